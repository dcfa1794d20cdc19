"""PostgreSQL on this machine: a cluster for each declared primary, a streaming replica for each read replica."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from watoto_infra.programs import program
from watoto_infra.rendering.endpoints import DatabaseEndpoints
from watoto_infra.servers.postgresql import archive
from watoto_infra.servers.postgresql import contents as postgresql_contents
from watoto_infra.servers.postgresql import data_folders as postgresql_folders
from watoto_infra.servers.postgresql.config import REPLICATOR, SUPERUSER
from watoto_infra.servers.postgresql.exporter import exporters
from watoto_infra.servers.postgresql.psql import Psql
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.service import Service, Unit
from watoto_infra.values.addresses import Endpoint
from watoto_infra.values.outputs import DatabaseOutput

START_SECONDS = 120.0
"""A server that was killed replays what it had not yet written."""
STOP_SECONDS = 60
"""A stopping server writes everything out and hands the last of its WAL to its replicas and the archive."""
RELOAD_SECONDS, POLL_SECONDS = 5.0, 0.05
STARTER = """\
# After recovery, which every start goes through, the checkpointer of PostgreSQL 15 and later sleeps for as long as
# checkpoint_timeout (5 min) and closes no segment meanwhile, whatever archive_timeout says. A checkpoint wakes it.
socket=$1 port=$2
shift 2
(
    while kill -0 $$ && ! {psql} -X -q -h "$socket" -p "$port" -U {superuser} -d postgres -c CHECKPOINT; do
        sleep 0.5
    done &
) </dev/null >/dev/null 2>&1
exec "$@"
"""
STREAMING = "pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"


def unit_name(server: Endpoint) -> str:
    """Give the unit's name, by which others say that they need this server."""
    return f"postgresql-{server.name}"


def slot(replica: Endpoint) -> str:
    """Give the replication slot of a replica, as its rendered configuration names it."""
    return replica.name.replace("-", "_")


def units(topology: Topology) -> tuple[Unit, ...]:
    """Describe a service for each server, where a replica waits for its primary, and its exporter."""
    found: list[Service] = []
    outputs = topology.outputs
    for shard, group in zip((0, *outputs.shards), topology.endpoints.databases, strict=True):
        found.append(_Primary(topology, group.primary, group, shard).service(outputs.primary_of(shard)))
        for replica, declared in zip(group.replicas, outputs.replicas_of(shard), strict=True):
            found.append(_Replica(topology, replica, group, shard).service(declared))
    return (*found, *exporters(topology))


@dataclass(frozen=True)
class _Server:
    topology: Topology
    endpoint: Endpoint
    group: DatabaseEndpoints
    shard: int

    @property
    def data(self) -> Path:
        return self.topology.folder("postgresql") / self.endpoint.name

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """Configuration, access rules and user map, as rendered."""
        folder = self.topology.config / "postgresql" / self.endpoint.name
        return folder / "postgresql.conf", folder / "pg_hba.conf", folder / "pg_ident.conf"

    @property
    def psql(self) -> Psql:
        return self.of(self.endpoint)

    def of(self, server: Endpoint) -> Psql:
        return Psql(self.topology.user, self.topology.sockets, server.port)

    def needs_restart(self) -> bool:
        """Tell whether a value is in the files that only a restart brings; waits until the server has read them."""
        changed = max(file.stat().st_mtime for file in self.files)
        deadline = time.monotonic() + RELOAD_SECONDS
        while not self.psql.holds(f"extract(epoch FROM pg_conf_load_time()) >= {changed}"):
            if time.monotonic() > deadline:
                return True
            time.sleep(POLL_SECONDS)
        return self.psql.holds("EXISTS (SELECT FROM pg_settings WHERE pending_restart)")

    def _started(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Let no recovery happen without a start: after a crash of a backend the server ends, and is started again."""
        text = STARTER.format(psql=shlex.quote(program("psql")), superuser=SUPERUSER)
        starter = self.topology.private_file("start-postgresql.sh", text)
        where = (str(self.topology.sockets), str(self.endpoint.port))
        return ("/bin/sh", str(starter), *where, *command, "-c", "restart_after_crash=off")

    def described(self, stands_for: str, healthy: str) -> Service:
        names = ("config_file", "hba_file", "ident_file")
        files = (part for name, file in zip(names, self.files, strict=True) for part in ("-c", f"{name}={file}"))
        return Service(
            name=unit_name(self.endpoint),
            command=self._started((program("postgres"), "-D", str(self.data), *files)),
            folder=self.topology.folder("postgresql"),
            stands_for=stands_for,
            healthy=partial(self.psql.holds, healthy),
            address=self.endpoint,
            environment={"LC_ALL": "C.UTF-8"},
            start_seconds=START_SECONDS,
            stop_signal="INT",
            stop_seconds=STOP_SECONDS,
            stops_as_group=False,
            rereads=self.files,
            reload_is_not_enough=self.needs_restart,
        )


@dataclass(frozen=True)
class _Primary(_Server):
    def service(self, declared: DatabaseOutput) -> Service:
        described = self.described(f"RDS instance {declared.identifier}", "true")
        return replace(described, prepare=self._prepare, settle=self._settle)

    def _prepare(self) -> None:
        archive.prepare(self.topology)
        if not postgresql_folders.exists(self.data):
            archive.ensure_not_lost(self.topology, self.endpoint, self.data)
            postgresql_folders.make_primary(self.topology.user, self.data)

    def _settle(self) -> None:
        psql = self.psql
        postgresql_contents.promote(psql)
        wanted = postgresql_contents.roles(self.topology, self.shard)
        postgresql_contents.fill(psql, wanted, self.topology.settings.database.name)
        postgresql_contents.forget_slots(psql, tuple(slot(replica) for replica in self.group.replicas))
        archive.settle(self.topology, self.endpoint, psql)
        postgresql_folders.remove_replicas(self.data, (replica.name for replica in self.group.replicas))


@dataclass(frozen=True)
class _Replica(_Server):
    def service(self, declared: DatabaseOutput) -> Service:
        described = self.described(f"RDS read replica {declared.identifier}", STREAMING)
        return replace(described, prepare=self._prepare, needs=(unit_name(self.group.primary),))

    def _prepare(self) -> None:
        user, data, primary = self.topology.user, self.data, self.of(self.group.primary)
        mine = slot(self.endpoint)
        if postgresql_folders.exists(data) and postgresql_folders.can_follow(user, data, primary, mine):
            postgresql_folders.make_slot(primary, mine)
            return
        postgresql_folders.make_slot(primary, mine)
        postgresql_folders.copy_primary(user, data, self._connection(), mine)

    def _connection(self) -> str:
        source = self.group.primary
        passwords = self.files[0].with_name("pgpass")
        return f"host={source.host} port={source.port} user={REPLICATOR} passfile={passwords} dbname=replication"
