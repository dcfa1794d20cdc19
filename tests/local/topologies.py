"""Stacks of local processes without an engine or a control plane: outputs by hand, ports from a real port table.

``topology_of`` gives what ``converge`` gets after an apply; ``place_files`` puts its rendered files where its processes
look for them; a ``LocalStack`` brings some kinds of servers up and keeps them so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tests.render.conftest import IMAGE
from watoto_infra.derived.machines import Machine
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.endpoints import Endpoints, Port
from watoto_infra.rendering.inputs import Inputs, Places, Secrets
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.endpoints import of_outputs, with_ports
from watoto_infra.servers.registry import family, releases
from watoto_infra.servers.topology import Topology
from watoto_infra.settings import load_stage
from watoto_infra.settings.stage import StageSettings
from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.converge import Convergence, Converger
from watoto_infra.supervision.ports import PortTable
from watoto_infra.supervision.service import Service, Unit
from watoto_infra.supervision.supervisor import Supervisor
from watoto_infra.supervision.unix_user import process_user
from watoto_infra.templating import Templates
from watoto_infra.values.addresses import Endpoint
from watoto_infra.values.outputs import StackOutputs

SMALL_DATABASE = Machine(cores=2, memory_mib=256)
SMALL_CACHE = Machine(cores=1, memory_mib=64)
SMALL_QUEUE = Machine(cores=1, memory_mib=512)
ONE_SHARD: Mapping[str, Any] = {"database": {"shards": 1, "shard_replicas": 1, "replicas": 0}}
"""Overrides of phase3 that leave one shard with one replica beside the main database."""


class Module(Protocol):
    """A server's ``process`` module."""

    def units(self, topology: Topology) -> tuple[Unit, ...]: ...


@contextmanager
def temporary_home(stack: str = "probe") -> Iterator[StackHome]:
    """A home that root's processes can enter too (pytest closes its own folders to them), gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="watoto-") as base:
        Path(base).chmod(0o755)
        yield StackHome(stack=stack, root=Path(base) / stack, sockets=Path(base) / "s")


@contextmanager
def running(home: StackHome) -> Iterator[Supervisor]:
    """The home's supervisor; all that it runs ends with the block."""
    supervisor = Supervisor(home, process_user())
    try:
        yield supervisor
    finally:
        supervisor.shutdown()
        shutil.rmtree(home.sockets, ignore_errors=True)


def topology_of(
    home: StackHome,
    stage: str = "phase2",
    overrides: Mapping[str, Any] | None = None,
    *,
    known: Mapping[str, str] | None = None,
    database_machine: Machine = SMALL_DATABASE,
    cache_machine: Machine = SMALL_CACHE,
) -> Topology:
    """Give a stage's topology in ``home``, the same again for the same home.

    ``overrides`` are merged into the stage's settings; ``known`` replaces some of the home's secrets.
    """
    user = process_user()
    home.root.mkdir(parents=True, exist_ok=True)
    home.sockets.parent.mkdir(parents=True, exist_ok=True)
    for folder in (home.run, home.logs, home.sockets):
        user.own_folder(folder)
    merged = {"app": {"image": IMAGE}} | {key: dict(value) for key, value in (overrides or {}).items()}
    settings = load_stage(stage, target="local", overrides=merged).settings
    table = PortTable(home.run / "ports.json")
    outputs = outputs_of(settings, stage, table)
    inputs = Inputs(
        stack=home.stack,
        stage=stage,
        settings=settings,
        endpoints=_moved(of_outputs(outputs, settings), table, outputs, settings),
        versions=Versions(releases(), settings.versions),
        machine=Machine(cores=2, memory_mib=1024),
        database_machine=database_machine,
        cache_machine=cache_machine,
        queue_machine=SMALL_QUEUE,
        places=Places(
            config=str(home.run / "config"),
            run=str(home.sockets),
            data=str(home.root / "data"),
            logs=str(home.logs),
            os_user=user.name,
        ),
        secrets=Secrets({**_secrets(home, settings), **(known or {})}),
    )
    return Topology(home=home, user=user, outputs=outputs, inputs=inputs, addresses=table)


def outputs_of(settings: StageSettings, stage: str, table: PortTable) -> StackOutputs:
    """Give what a stage exports, with each URN's port from the table, as the local target lays them over."""
    secret = {"name": "watoto/test", "arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:watoto/test"}
    http = _address(table, _urn("lb", "watoto"), "http")
    url = f"http://{http['address']}:{http['port']}"
    queue_urn = _urn("mq", "watoto")
    amqp, console = (table.reserve(queue_urn, kind) for kind in ("amqp", "amqp-console"))
    app = settings.app
    return StackOutputs.from_outputs(
        {
            "url": url,
            "stage": stage,
            "target": "local",
            "region": settings.region,
            "protection": settings.protection,
            "network": {"vpc_id": "vpc-1", "cidr": settings.network.cidr, "subnets": {}, "security_groups": {}},
            "load_balancer": {
                "urn": _urn("lb", "watoto"),
                "arn": "arn:lb",
                "dns_name": f"{http['address']}:{http['port']}",
                "url": url,
                "target_group_arn": "arn:tg",
            },
            "app": {
                "platform": app.platform.value,
                "image": IMAGE,
                "role_arn": "arn:role",
                "port": 8000,
                "gateway_port": 80,
                "groups": [
                    {
                        "urn": _urn("deployment", group.service),
                        "name": f"watoto-{group.service}",
                        "service": group.service,
                        "paths": group.paths,
                        "min_size": group.min_size,
                        "max_size": group.max_size,
                        "desired": group.desired,
                    }
                    for group in app.groups
                ],
            },
            "databases": _databases(settings, table, secret),
            "caches": _caches(settings, table, secret),
            "queue": {
                "urn": queue_urn,
                "id": "b-1",
                "arn": "arn:mq",
                "endpoints": [f"amqp://{amqp}"],
                "console_url": f"http://{console}",
                "nodes": 1 if settings.queue.deployment.value == "single" else 3,
                "secret": secret,
            },
            "buckets": {
                role: {
                    "urn": _urn("s3", f"watoto-{role}"),
                    "name": f"watoto-{role}",
                    "arn": f"arn:aws:s3:::watoto-{role}",
                }
                for role in ("media", "static", "backups", "logs")
            },
            "secrets": dict.fromkeys(("app", "service_accounts", "backup_cipher"), secret),
            "key": {"urn": _urn("kms", "watoto"), "arn": "arn:key", "alias": "alias/watoto"},
        }
    )


def _databases(settings: StageSettings, table: PortTable, secret: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for shard in range(settings.database.shards + 1):
        primary = "watoto-primary" if shard == 0 else f"watoto-shard-{shard}"
        replicas = settings.database.shard_replicas if shard else settings.database.replicas
        names = [primary, *(f"{primary.replace('primary', 'replica')}-{number}" for number in range(1, replicas + 1))]
        for name in names:
            is_primary = name == primary
            role = {"role": "primary", "secret": secret} if is_primary else {"role": "replica", "source": primary}
            urn = _urn("rds", name)
            known = {"urn": urn, "identifier": name, "arn": f"arn:rds:{name}", "shard": shard}
            found.append({**known, **role, **_address(table, urn, "postgresql")})
    return found


def _caches(settings: StageSettings, table: PortTable, secret: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for role, group in settings.cache.groups.items():
        urn = _urn("elasticache", f"watoto-{role}")
        endpoint = _address(table, urn, "redis")
        found[role] = {
            "urn": urn,
            "id": f"watoto-{role}",
            "role": role,
            "primary": endpoint,
            "reader": endpoint,
            "nodes": group.shards * (group.replicas + 1),
            "cluster_mode": group.shards > 1,
            "tls": False,
            "eviction": group.eviction.value,
            "secret": secret,
        }
    return found


def _moved(endpoints: Endpoints, table: PortTable, outputs: StackOutputs, settings: StageSettings) -> Endpoints:
    """Give every process that no output names a port of its own."""
    app_servers = tuple(table.reserve("local", f"app_servers {one.name}", one.name) for one in endpoints.app_servers)
    services = {
        name: tuple(table.reserve("local", f"services {one.name}", one.name) for one in servers)
        for name, servers in endpoints.services.items()
    }
    door = table.reserve(_urn("lb", "watoto"), "http", "front-door")
    declared = replace(endpoints, app_servers=app_servers, services=services, front_door=door)

    def at(port: Port, _index: int, name: str) -> Endpoint:
        return table.reserve(port.urn(outputs, name), (port.reserved_as or port.kind).format(name=name), name)

    return with_ports(declared, settings, at)


def _address(table: PortTable, urn: str, kind: str) -> dict[str, Any]:
    address = table.reserve(urn, kind)
    return {"address": address.host, "port": address.port}


def _urn(kind: str, name: str) -> str:
    return f"urn:pulumi:probe::watoto::aws:{kind}::{name}"


def _secrets(home: StackHome, settings: StageSettings) -> dict[str, str]:
    """The home's secrets: made once, then the same, as Secrets Manager's are."""
    kept = home.run / "test-secrets"
    kept.mkdir(mode=0o700, exist_ok=True)
    names = ["app-key", "queue", "backup-cipher", "replicator", "postgresql-monitor", "queue-erlang-cookie", "database"]
    names += [f"database-shard{shard}" for shard in range(1, settings.database.shards + 1)]
    names += [f"redis-{role}{suffix}" for role in settings.cache.groups for suffix in ("", "-replica", "-monitor")]
    for name in names:
        file = kept / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
    return {name: (kept / name).read_text() for name in names}


def place_files(topology: Topology, *families: str) -> None:
    """Render families and put their files where the topology's processes read them, as theirs."""
    rendered = use_cases.render(map(family, families), topology.inputs, Templates())
    use_cases.write(rendered, topology.config)
    for path in (topology.config, *topology.config.rglob("*")):
        os.chown(path, topology.user.uid, topology.user.gid)


class LocalStack:
    """A home in which some modules' units run as the last declared stage has them."""

    def __init__(self, home: StackHome, supervisor: Supervisor, modules: Sequence[Module], families: Sequence[str]):
        self.home = home
        self.supervisor = supervisor
        self._modules = modules
        self._families = families
        self.topology: Topology
        self.services: dict[str, Service]

    def declare(
        self, stage: str = "phase2", overrides: Mapping[str, Any] | None = None, **keywords: Any
    ) -> Convergence:
        """Bring the processes to a stage; keywords are those of ``topology_of``."""
        self.topology = topology_of(self.home, stage, overrides, **keywords)
        place_files(self.topology, *self._families)
        units = [unit for module in self._modules for unit in module.units(self.topology)]
        self.services = {unit.name: unit for unit in units if isinstance(unit, Service)}
        return Converger(self.home, self.supervisor, lambda _: None).converge(units)

    def address(self, name: str) -> Endpoint:
        address = self.services[name].address
        assert address is not None
        return address

    def pid(self, name: str) -> int:
        return int(self.supervisor.states()[name]["pid"])

    def kill(self, name: str) -> None:
        """End a process as a crash would, and wait until supervisord has another in its place."""
        before = self.pid(name)
        os.kill(before, signal.SIGKILL)
        self.wait(lambda: self.pid(name) not in {0, before}, f"{name} is not started again")

    def wait_healthy(self, *names: str) -> None:
        for name in names:
            self.wait(self.services[name].healthy, f"{name} does not become healthy")

    @staticmethod
    def wait(condition: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.05)


@contextmanager
def local_stack(modules: Sequence[Module], families: Sequence[str]) -> Iterator[LocalStack]:
    """A stack in a temporary home; nothing of it is left after the block."""
    with temporary_home() as home, running(home) as supervisor:
        yield LocalStack(home, supervisor, modules, families)
