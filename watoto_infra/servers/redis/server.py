"""Redis: the cache that evicts, and the state that must not."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Requirement, ScrapeJob, Server

REPLICA = Port(
    "redis-replica",
    6389,
    # In cluster mode one node with all slots stands for the group, and has no replica.
    lambda settings, _endpoints: [
        role for role, group in settings.cache.groups.items() if group.replicas and group.shards == 1
    ],
    urn=lambda outputs, role: outputs.caches[role].urn,
)
"""Replicas, named by their role."""
CLUSTER_BUS = Port(
    "redis-bus",
    16379,
    lambda settings, _endpoints: ["cache"] if settings.cache.cache.shards > 1 else [],
    urn=lambda outputs, role: outputs.caches[role].urn,
)
"""Where the nodes of a cluster would find each other."""
EXPORTER = Port(
    "redis-exporter",
    9121,
    lambda settings, _endpoints: list(settings.cache.groups),
    reserved_as="redis-exporter-{name}",
)

SERVER = Server(
    family="redis",
    summary="redis.conf of each role, cache and state, and of its replica, with their users",
    checked_by="a throw-away Redis",
    requirements=(
        Requirement("redis-server", "redis-server", "Redis configurations are checked by a throw-away server"),
        Requirement("prometheus-redis-exporter", "prometheus-redis-exporter", "Redis's metrics are known"),
    ),
    releases={"redis": Release((6, 2), (8,), (7, 0, 15), ("redis-server", "--version"), r"v=([\d.]+)")},
    title="Redis",
    declared_version=lambda settings: settings.cache.engine_version,
    ports=(REPLICA, CLUSTER_BUS, EXPORTER),
    scraped=(
        ScrapeJob(
            "redis",
            lambda endpoints: endpoints.all(EXPORTER),
            lambda endpoints: [(("role", exporter.name),) for exporter in endpoints.all(EXPORTER)],
        ),
    ),
)
