"""The addresses of a stage: without a stack the servers' usual ports, from a stack's outputs, or on this machine.

Without a stack they are the same every time: loopback and the usual ports, counted up; docs/guides/rendering.md lists
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from watoto_infra.rendering.endpoints import DatabaseEndpoints, Endpoints, Port
from watoto_infra.servers.registry import servers
from watoto_infra.settings.app import ServerGroup
from watoto_infra.settings.stage import StageSettings
from watoto_infra.values.addresses import Endpoint

if TYPE_CHECKING:
    from watoto_infra.values.outputs import DatabaseOutput, StackOutputs

LOOPBACK = "127.0.0.1"

At = Callable[[Port, int, str], Endpoint]
"""Gives an endpoint on a port: the how manieth it is there, and its name."""


def _counted(first_port: int, names: list[str]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(LOOPBACK, first_port + index, name) for index, name in enumerate(names))


def _usual(port: Port, index: int, name: str) -> Endpoint:
    return Endpoint(LOOPBACK, port.usual + index, name)


def with_ports(declared: Endpoints, settings: StageSettings, at: At) -> Endpoints:
    """Give the addresses together with those of every port that a server has beside what is declared."""
    listening = dict(declared.listening)
    for server in servers().values():
        for port in server.ports:
            names = [port.kind] if port.names is None else port.names(settings, declared)
            listening[port.kind] = tuple(at(port, index, name) for index, name in enumerate(names))
    return replace(declared, listening=listening)


def server_names(group: ServerGroup) -> list[str]:
    """Give the names of a service's app servers, one at least: ``app1``, or ``app-identity1`` beside the main ones."""
    prefix = "app" if group.is_main else f"app-{group.service}"
    return [f"{prefix}{number}" for number in range(1, max(1, group.desired) + 1)]


def of_stage(settings: StageSettings) -> Endpoints:
    """Give the documented addresses of a stage."""
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
    cache_nodes = _counted(6379, list(settings.cache.groups))
    suffix = settings.storage.bucket_suffix
    declared = Endpoints(
        front_door=Endpoint(LOOPBACK, 8080, "front-door"),
        app_servers=_counted(8001, server_names(main)),
        databases=tuple(databases),
        cache=cache_nodes[0],
        state=cache_nodes[-1],
        queue=Endpoint(LOOPBACK, 5672, "queue"),
        backups_bucket=f"watoto-backups{suffix}",
        media_bucket=f"watoto-media{suffix}",
        region=settings.region,
        services=services,
    )
    return with_ports(declared, settings, _usual)


def of_outputs(outputs: StackOutputs, settings: StageSettings) -> Endpoints:
    """Give a stack's own addresses; what the stack does not export, such as exporters, stays at the stage's.

    The local target knows the ports of all its processes and builds ``Endpoints`` itself.
    """
    groups = []
    for shard in (0, *outputs.shards):
        prefix = "" if shard == 0 else f"shard{shard}-"
        primary = _of_database(outputs.primary_of(shard), f"{prefix}primary")
        replicas = enumerate(outputs.replicas_of(shard), start=1)
        named = (_of_database(replica, f"{prefix}replica{number}") for number, replica in replicas)
        groups.append(DatabaseEndpoints(primary, tuple(named)))
    caches = {role: Endpoint(cache.primary.address, cache.primary.port, role) for role, cache in outputs.caches.items()}
    declared = replace(
        of_stage(settings),
        databases=tuple(groups),
        cache=caches["cache"],
        state=caches.get("state", caches["cache"]),
        queue=Endpoint.of_url(outputs.queue.endpoints[0], "queue"),
        backups_bucket=outputs.buckets["backups"].name,
        media_bucket=outputs.buckets["media"].name,
        region=outputs.region,
    )
    return with_ports(declared, settings, _usual)


def _of_database(database: DatabaseOutput, name: str) -> Endpoint:
    return Endpoint(database.address, database.port, name)
