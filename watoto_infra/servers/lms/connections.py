"""How the LMS reaches what it needs: URLs with passwords, each in a file that only its processes may read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from watoto_infra.derived.shards import label, spans
from watoto_infra.rendering.secrets import owner_name
from watoto_infra.servers.pgbouncer import server as pgbouncer_server
from watoto_infra.servers.pgbouncer.config import owner
from watoto_infra.servers.topology import Topology
from watoto_infra.values.addresses import Endpoint


def connections(topology: Topology, *, pooled: bool = True) -> dict[str, Path]:
    """Write the files, and give each by the name of its setting without ``LMS_``.

    Where there is a PgBouncer the databases are reached through it, unless not ``pooled``: a migration may take longer
    than a pooled statement.
    """
    settings, endpoints = topology.settings, topology.endpoints
    username = settings.queue.username
    through = pooled and settings.database.pgbouncer
    values = {
        "SECRET_KEY": topology.secret("app-key"),
        "REDIS_CACHE_URL": _redis(topology, "cache", endpoints.cache),
        "REDIS_STATE_URL": _redis(topology, "state" if "state" in settings.cache.groups else "cache", endpoints.state),
        "AMQP_URL": f"amqp://{username}:{quote(topology.secret('queue'), safe='')}@{endpoints.queue}//",
        "DB_THROUGH_PGBOUNCER": str(through).lower(),
        "SHARD_MAP": _Databases(topology, through).shard_map(),
    }
    prefix = "lms" if pooled else "lms-direct"
    return {name: topology.private_file(f"{prefix}-{name.lower()}", value) for name, value in values.items()}


def _redis(topology: Topology, role: str, endpoint: Endpoint) -> str:
    return f"redis://app:{quote(topology.secret(f'redis-{role}'), safe='')}@{endpoint}/0"


@dataclass(frozen=True)
class _Databases:
    """The URLs of all databases, through PgBouncer or not."""

    topology: Topology
    pooled: bool

    def shard_map(self) -> str:
        """Give the LMS's table of databases as JSON, as it is told everywhere: also of one that holds everything."""
        groups = self.topology.endpoints.databases
        databases = {
            label(shard): {"primary_url": self._primary(shard), "replica_urls": self._replicas(shard)}
            for shard in range(len(groups))
        }
        shards = spans(len(groups) - 1)
        return json.dumps({"catalogue": label(0), "databases": databases, "shards": shards})

    def _primary(self, shard: int) -> str:
        """Name every server of the group: whichever is the primary answers, so that a promotion changes nothing."""
        if self.pooled:
            return self._url(shard, [self.topology.endpoints.one(pgbouncer_server.CLIENTS)], self._pool(shard))
        group = self.topology.endpoints.databases[shard]
        return self._url(shard, [group.primary, *group.replicas]) + "?target_session_attrs=read-write"

    def _replicas(self, shard: int) -> list[str]:
        replicas = self.topology.endpoints.databases[shard].replicas
        if self.pooled:
            pool, name = self.topology.endpoints.one(pgbouncer_server.CLIENTS), self._pool(shard)
            return [self._url(shard, [pool], f"{name}_ro{number}") for number in range(1, len(replicas) + 1)]
        return [self._url(shard, [replica]) for replica in replicas]

    def _pool(self, shard: int) -> str:
        """Give PgBouncer's name of a shard's primary (rendering.families.pgbouncer)."""
        return self.topology.settings.database.name + (f"_shard{shard}" if shard else "")

    def _url(self, shard: int, servers: list[Endpoint], name: str | None = None) -> str:
        database = self.topology.settings.database
        user = database.username if name is None else owner(database.username, shard)
        password = quote(self.topology.secret(owner_name(shard)), safe="")
        return f"postgresql://{user}:{password}@{','.join(map(str, servers))}/{name or database.name}"
