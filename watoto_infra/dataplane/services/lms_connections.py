"""How the LMS reaches what it needs: URLs with passwords, each in a file that only its processes may read."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from watoto_infra.dataplane.topology import Topology
from watoto_infra.rendering.endpoints import Endpoint
from watoto_infra.rendering.families.pgbouncer import owner
from watoto_infra.rendering.secrets import owner_name
from watoto_infra.settings.sharding import label, spans


def connections(topology: Topology) -> dict[str, Path]:
    """Write the files, and give each by the name of its setting without ``LMS_``."""
    settings, endpoints = topology.settings, topology.endpoints
    owner = settings.queue.username
    values = {
        "SECRET_KEY": topology.secret("app-key"),
        "REDIS_CACHE_URL": _redis(topology, "cache", endpoints.cache),
        "REDIS_STATE_URL": _redis(topology, "state" if "state" in settings.cache.groups else "cache", endpoints.state),
        "AMQP_URL": f"amqp://{owner}:{quote(topology.secret('queue'), safe='')}@{endpoints.queue}//",
        **_databases(topology),
    }
    return {name: topology.private_file(f"lms-{name.lower()}", value) for name, value in values.items()}


def _redis(topology: Topology, role: str, endpoint: Endpoint) -> str:
    return f"redis://app:{quote(topology.secret(f'redis-{role}'), safe='')}@{endpoint}/0"


def _databases(topology: Topology) -> dict[str, str]:
    groups = topology.endpoints.databases
    if len(groups) == 1:
        found = {"DATABASE_PRIMARY_URL": _primary(topology, 0)}
        if groups[0].replicas:
            found["DATABASE_REPLICA_URLS"] = ",".join(_replicas(topology, 0))
        return found
    databases = {
        label(shard): {"primary_url": _primary(topology, shard), "replica_urls": _replicas(topology, shard)}
        for shard in range(len(groups))
    }
    return {"SHARD_MAP": json.dumps({"catalogue": label(0), "databases": databases, "shards": spans(len(groups) - 1)})}


def _primary(topology: Topology, shard: int) -> str:
    """Name every server of the group: whichever is the primary answers, so that a promotion changes nothing here."""
    if topology.settings.database.pgbouncer:
        return _url(topology, shard, [topology.endpoints.pgbouncer], _pooled(topology, shard))
    group = topology.endpoints.databases[shard]
    return _url(topology, shard, [group.primary, *group.replicas]) + "?target_session_attrs=read-write"


def _replicas(topology: Topology, shard: int) -> list[str]:
    replicas = topology.endpoints.databases[shard].replicas
    if topology.settings.database.pgbouncer:
        pool, name = topology.endpoints.pgbouncer, _pooled(topology, shard)
        return [_url(topology, shard, [pool], f"{name}_ro{number}") for number in range(1, len(replicas) + 1)]
    return [_url(topology, shard, [replica]) for replica in replicas]


def _pooled(topology: Topology, shard: int) -> str:
    """Give PgBouncer's name of a shard's primary (rendering.families.pgbouncer)."""
    return topology.settings.database.name + (f"_shard{shard}" if shard else "")


def _url(topology: Topology, shard: int, servers: list[Endpoint], name: str | None = None) -> str:
    database = topology.settings.database
    user = database.username if name is None else owner(database.username, shard)
    password = quote(topology.secret(owner_name(shard)), safe="")
    return f"postgresql://{user}:{password}@{','.join(map(str, servers))}/{name or database.name}"
