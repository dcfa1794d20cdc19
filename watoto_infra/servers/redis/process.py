"""Redis on this machine: a primary for each declared group, and its replica.

A group in cluster mode is stood for by one node that has all slots: clients speak to it as to any cluster.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial

from watoto_infra.programs import program
from watoto_infra.servers.redis.client import ask
from watoto_infra.servers.redis.config import MONITOR, folder
from watoto_infra.servers.redis.exporter import exporters
from watoto_infra.servers.redis.server import CLUSTER_BUS, REPLICA
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.service import Service, Unit
from watoto_infra.values.addresses import Endpoint
from watoto_infra.values.outputs import CacheOutput

START_SECONDS = 60.0
"""A server reads all it has kept before it answers."""
STOP_SECONDS = 30


def units(topology: Topology) -> tuple[Unit, ...]:
    """Describe a service for each role's primary, one for its replica, which waits for it, and an exporter."""
    servers = (service for role in topology.settings.cache.groups for service in _role(topology, role))
    return (*servers, *exporters(topology))


def _role(topology: Topology, role: str) -> Iterator[Service]:
    declared = topology.outputs.caches[role]
    endpoint = topology.endpoints.cache if role == "cache" else topology.endpoints.state
    yield _service(topology, role, endpoint, _stands_for(declared))
    for replica in topology.endpoints.all(REPLICA):
        if replica.name == role:
            yield _service(topology, role, replica, f"ElastiCache group {declared.id}: its replica", is_replica=True)


def _stands_for(declared: CacheOutput) -> str:
    if declared.cluster_mode:
        return f"ElastiCache group {declared.id}: one node with all slots for its {declared.nodes}"
    return f"ElastiCache group {declared.id}"


def _service(
    topology: Topology, role: str, endpoint: Endpoint, stands_for: str, *, is_replica: bool = False
) -> Service:
    primary = f"redis-{role}"
    name = f"{primary}-replica" if is_replica else primary
    configuration = topology.config / "redis" / name.removeprefix("redis-") / "redis.conf"
    return Service(
        name=name,
        command=(program("redis-server"), str(configuration)),
        folder=topology.folder(folder(role, is_replica=is_replica)),
        stands_for=stands_for,
        healthy=partial(_healthy, topology, role, endpoint, is_replica=is_replica),
        address=endpoint,
        start_seconds=START_SECONDS,
        stop_seconds=STOP_SECONDS,
        needs=(primary,) if is_replica else (),
        prepare=partial(_prepare, topology, role, endpoint),
        reads=(configuration,),
    )


def _healthy(topology: Topology, role: str, endpoint: Endpoint, *, is_replica: bool) -> bool:
    """Ask as the monitor; a replica must also have its primary's data and hear from it, a cluster take writes."""
    password = topology.secret(f"redis-{role}-monitor")
    if ask(endpoint, MONITOR, password, "PING") != "PONG":
        return False
    if topology.outputs.caches[role].cluster_mode:
        return "cluster_state:ok" in (ask(endpoint, MONITOR, password, "CLUSTER", "INFO") or "")
    state = ask(endpoint, MONITOR, password, "INFO", "replication") or ""
    return "master_link_status:up" in state if is_replica else "role:master" in state


def _prepare(topology: Topology, role: str, endpoint: Endpoint) -> None:
    """Give the one node of a cluster all slots before it first starts: no user needs the right to assign any."""
    bus = topology.endpoints.all(CLUSTER_BUS)
    nodes = topology.folder(folder(role, is_replica=False)) / "nodes.conf"
    if topology.outputs.caches[role].cluster_mode and bus and not nodes.exists():
        myself = f"{secrets.token_hex(20)} {endpoint}@{bus[0].port} myself,master - 0 0 0 connected 0-16383"
        made = topology.private_file(nodes.name, f"{myself}\nvars currentEpoch 0 lastVoteEpoch 0\n")
        made.replace(nodes)
