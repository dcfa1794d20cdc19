"""Redis: the cache that evicts, the state that must not, and what the app may do in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from watoto_infra.derived.machines import Machine, of_instance_type
from watoto_infra.derived.redis import backlog_mib
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs, ServerTls
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.redis.server import CLUSTER_BUS, REPLICA
from watoto_infra.settings.data import EvictionPolicy
from watoto_infra.values.addresses import Endpoint

MONITOR = "monitor"
REPLICA_USER = "replica"
USABLE = 0.75
"""Share of a node's memory for data; ElastiCache too keeps a quarter for failover and backup."""
MAX_CLIENTS = 10_000
APP_RULES = "~* &* +@all -@admin -@dangerous +info +cluster|slots +cluster|shards +cluster|nodes +role"
MONITOR_RULES = "resetkeys resetchannels -@all +info +ping +client|list +config|get +latency +slowlog +cluster|info"


@dataclass(frozen=True)
class RedisUser:
    """One user; without the SHA-256 of a password it is switched off."""

    name: str
    password_hash: str | None
    rules: str


@dataclass(frozen=True)
class RedisContext:
    """What one role's redis.conf may say."""

    role: str
    host: str
    port: int
    tls: ServerTls | None
    memory_mib: int
    max_memory_mib: int
    backlog_mib: int
    max_clients: int
    eviction: str
    persistent: bool
    folder: str
    users: tuple[RedisUser, ...]
    primary: Endpoint | None
    primary_password: str | None
    cluster: bool
    bus_port: int | None


CONTEXTS: tuple[type, ...] = (RedisContext,)


def context(inputs: Inputs, role: str, endpoint: Endpoint, primary: Endpoint | None = None) -> RedisContext:
    """Build the context of one server; it is a replica if it has a ``primary``.

    What may not be evicted is also kept on disk.
    """
    group = inputs.settings.cache.groups[role]
    machine: Machine = inputs.cache_machine or of_instance_type(group.node_type)
    return RedisContext(
        role=role,
        host=values.host(endpoint.host, "address of a cache"),
        port=endpoint.port,
        tls=inputs.server_tls(endpoint.host),
        memory_mib=machine.memory_mib,
        max_memory_mib=int(machine.memory_mib * USABLE),
        backlog_mib=backlog_mib(machine.memory_mib),
        max_clients=MAX_CLIENTS,
        eviction=group.eviction.value,
        persistent=group.eviction is not EvictionPolicy.ALLKEYS_LRU,
        folder=values.path(f"{inputs.places.data}/{folder(role, is_replica=primary is not None)}", "folder of a cache"),
        users=(
            RedisUser("app", _hashed(inputs, f"redis-{role}"), APP_RULES),
            RedisUser(REPLICA_USER, _hashed(inputs, f"redis-{role}-replica"), "+psync +replconf +ping"),
            RedisUser(MONITOR, _hashed(inputs, f"redis-{role}-monitor"), MONITOR_RULES),
        ),
        primary=primary,
        primary_password=inputs.secrets.get(f"redis-{role}-replica") if primary is not None else None,
        cluster=group.shards > 1,
        bus_port=_bus_port(inputs),
    )


def folder(role: str, *, is_replica: bool) -> str:
    """Give the name of a server's folder, below the data folder and in the rendered tree."""
    return f"redis-{role}-replica" if is_replica else f"redis-{role}"


def _bus_port(inputs: Inputs) -> int | None:
    """Redis 6 takes no other than 10,000 above the clients' port."""
    bus = inputs.endpoints.all(CLUSTER_BUS)
    return bus[0].port if bus and inputs.versions.at_least("redis", 7) else None


def _hashed(inputs: Inputs, name: str) -> str | None:
    password = inputs.secrets.get(name)
    return None if password is None else inputs.secrets.note(hashlib.sha256(password.encode()).hexdigest())


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """One redis.conf for each role, and one for its replica."""
    endpoints = {"cache": inputs.endpoints.cache, "state": inputs.endpoints.state}
    replicas = {replica.name: replica for replica in inputs.endpoints.all(REPLICA)}
    found = []
    for role in inputs.settings.cache.groups:
        found.append((role, context(inputs, role, endpoints[role])))
        if role in replicas:
            found.append((f"{role}-replica", context(inputs, role, replicas[role], endpoints[role])))
    return tuple(FileSpec(f"redis/{name}/redis.conf", "redis/redis.conf.j2", ctx, secret=True) for name, ctx in found)
