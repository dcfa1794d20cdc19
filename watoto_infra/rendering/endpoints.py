"""Where the parts of a stage answer, as rendered files name them.

A stage without a stack has addresses too, the same every time: loopback and the servers' usual ports, counted up
(``of_stage``); docs/guides/rendering.md lists them. A stack's own come from its outputs (``of_outputs``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watoto_infra.derived.names import WORKERS
from watoto_infra.settings.app import ServerGroup
from watoto_infra.settings.stage import StageSettings
from watoto_infra.values.addresses import Endpoint

if TYPE_CHECKING:
    from watoto_infra.values.outputs import DatabaseOutput, StackOutputs

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class DatabaseEndpoints:
    """A primary and its replicas."""

    primary: Endpoint
    replicas: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Endpoints:
    """All addresses of one stack. ``databases`` starts with the main one; shards follow.

    ``app_servers`` are those of the main service; ``services`` holds those of each other bounded context by its name.

    ``cache_replicas`` are named by their role: a group has one unless it has no replicas, or is in cluster mode, which
    one node with all slots stands for. ``cache_bus`` is where the nodes of such a cluster would find each other.
    """

    front_door: Endpoint
    front_door_status: Endpoint
    app_servers: tuple[Endpoint, ...]
    databases: tuple[DatabaseEndpoints, ...]
    pgbouncer: Endpoint
    cache: Endpoint
    state: Endpoint
    queue: Endpoint
    queue_management: Endpoint
    queue_metrics: Endpoint
    worker_metrics: tuple[Endpoint, ...]
    prometheus: Endpoint
    alertmanager: Endpoint
    grafana: Endpoint
    kong: Endpoint
    node_exporters: tuple[Endpoint, ...]
    postgres_exporters: tuple[Endpoint, ...]
    redis_exporters: tuple[Endpoint, ...]
    nginx_exporter: Endpoint
    backups_bucket: str
    media_bucket: str
    region: str
    s3_endpoint: str | None = None
    media_origins: tuple[str, ...] = ()
    cache_replicas: tuple[Endpoint, ...] = ()
    cache_bus: Endpoint | None = None
    services: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)

    @property
    def all_app_servers(self) -> tuple[Endpoint, ...]:
        """The app servers of every service."""
        return (*self.app_servers, *(server for servers in self.services.values() for server in servers))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; names are not looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _counted(first_port: int, names: list[str]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(LOOPBACK, first_port + index, name) for index, name in enumerate(names))


def replicated_roles(settings: StageSettings) -> list[str]:
    """Give the roles of Redis that have a replica of their own here."""
    return [role for role, group in settings.cache.groups.items() if group.replicas and group.shards == 1]


def server_names(group: ServerGroup) -> list[str]:
    """Give the names of a service's app servers, one at least: ``app1``, or ``app-identity1`` beside the main ones."""
    prefix = "app" if group.is_main else f"app-{group.service}"
    return [f"{prefix}{number}" for number in range(1, max(1, group.desired) + 1)]


def of_stage(settings: StageSettings) -> Endpoints:
    """Give the documented addresses of a stage: loopback, the usual ports, counted up from them."""
    main, *others = settings.app.groups
    taken = 8001 + max(1, main.desired)
    services = {}
    for group in others:
        services[group.service] = _counted(taken, server_names(group))
        taken += group.desired
    databases = []
    port = 5432
    for shard in range(settings.database.shards + 1):
        prefix = "" if shard == 0 else f"shard{shard}-"
        count = settings.database.shard_replicas if shard else settings.database.replicas
        names = [f"{prefix}primary", *(f"{prefix}replica{n}" for n in range(1, count + 1))]
        primary, *replicas = _counted(port, names)
        port += len(names)
        databases.append(DatabaseEndpoints(primary, tuple(replicas)))
    servers = [endpoint.name for group in databases for endpoint in (group.primary, *group.replicas)]
    groups = list(settings.cache.groups)
    cache_nodes = _counted(6379, groups)
    suffix = settings.storage.bucket_suffix
    return Endpoints(
        front_door=Endpoint(LOOPBACK, 8080, "front-door"),
        front_door_status=Endpoint(LOOPBACK, 8081, "front-door"),
        app_servers=_counted(8001, server_names(main)),
        databases=tuple(databases),
        pgbouncer=Endpoint(LOOPBACK, 6432, "pgbouncer"),
        cache=cache_nodes[0],
        state=cache_nodes[-1],
        queue=Endpoint(LOOPBACK, 5672, "queue"),
        queue_management=Endpoint(LOOPBACK, 15672, "queue"),
        queue_metrics=Endpoint(LOOPBACK, 15692, "queue"),
        worker_metrics=_counted(9201, [*WORKERS, "relay"]),
        prometheus=Endpoint(LOOPBACK, 9090, "prometheus"),
        alertmanager=Endpoint(LOOPBACK, 9093, "alertmanager"),
        grafana=Endpoint(LOOPBACK, 3000, "grafana"),
        kong=Endpoint(LOOPBACK, 8100, "kong"),
        node_exporters=(Endpoint(LOOPBACK, 9100, "host"),),
        postgres_exporters=_counted(9187, servers),
        redis_exporters=_counted(9121, groups),
        nginx_exporter=Endpoint(LOOPBACK, 9113, "front-door"),
        backups_bucket=f"watoto-backups{suffix}",
        media_bucket=f"watoto-media{suffix}",
        region=settings.region,
        cache_replicas=_counted(6389, replicated_roles(settings)),
        cache_bus=Endpoint(LOOPBACK, 16379, "cache") if settings.cache.cache.shards > 1 else None,
        services=services,
    )


def of_outputs(outputs: StackOutputs, settings: StageSettings) -> Endpoints:
    """Give a stack's own addresses; what the stack does not export, such as exporters, stays at the stage's.

    The data plane of the local target knows the ports of all its processes and builds ``Endpoints`` itself.
    """
    groups = []
    for shard in (0, *outputs.shards):
        prefix = "" if shard == 0 else f"shard{shard}-"
        primary = _of_database(outputs.primary_of(shard), f"{prefix}primary")
        replicas = enumerate(outputs.replicas_of(shard), start=1)
        named = (_of_database(replica, f"{prefix}replica{number}") for number, replica in replicas)
        groups.append(DatabaseEndpoints(primary, tuple(named)))
    servers = [endpoint.name for group in groups for endpoint in (group.primary, *group.replicas)]
    caches = {role: Endpoint(cache.primary.address, cache.primary.port, role) for role, cache in outputs.caches.items()}
    broker = urlsplit(outputs.queue.endpoints[0])
    return replace(
        of_stage(settings),
        databases=tuple(groups),
        postgres_exporters=_counted(9187, servers),
        cache=caches["cache"],
        state=caches.get("state", caches["cache"]),
        queue=Endpoint(broker.hostname or LOOPBACK, broker.port or 5671, "queue"),
        backups_bucket=outputs.buckets["backups"].name,
        media_bucket=outputs.buckets["media"].name,
        region=outputs.region,
    )


def _of_database(database: DatabaseOutput, name: str) -> Endpoint:
    return Endpoint(database.address, database.port, name)
