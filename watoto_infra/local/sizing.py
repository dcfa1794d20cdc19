"""How this machine is shared out: each server gets what its declared size gives it, or its part of what is here.

Figures in MiB are resident memory measured on Debian 12 with the versions of requirements/, rounded up.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.derived.background import BACKGROUND
from watoto_infra.derived.machines import Machine, of_instance_type
from watoto_infra.errors import ServiceFailed
from watoto_infra.settings.stage import StageSettings

DATABASES, CACHES, QUEUE = 0.35, 0.10, 0.05
"""Shares of the memory for all PostgreSQL servers, for all Redis servers and for RabbitMQ."""
SMALLEST_DATABASE_MIB, SMALLEST_CACHE_MIB = 256, 64
SMALLEST_QUEUE_MIB = 640
"""Of which 256 are from where RabbitMQ slows publishers down; without a message it takes 150."""
APP_SERVER_MIB, WORKER_MIB = 260, 130
FIXED_MIB = 1024
"""moto, RabbitMQ, Prometheus, Alertmanager, exporters, nginx and the supervisor."""
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Shares:
    """What each app server, PostgreSQL server, Redis server and RabbitMQ may use; ``note`` says it to the user."""

    app: Machine
    database: Machine
    cache: Machine
    queue: Machine
    note: str


def this_machine() -> Machine:
    """Give this machine's processors and memory, or those of the container it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no limit, or no such group
        memory = min(memory, int(CGROUP_LIMIT.read_text()))
    return Machine(len(os.sched_getaffinity(0)), memory // 2**20)


def share_out(settings: StageSettings, machine: Machine) -> Shares:
    """Share a machine out among a stage's servers.

    Raises ``ServiceFailed`` with the numbers when the stage does not fit.
    """
    servers = _servers(settings)
    apps = settings.app.servers
    nodes = sum(1 + group.replicas for group in settings.cache.groups.values())
    needed = (
        servers * SMALLEST_DATABASE_MIB
        + nodes * SMALLEST_CACHE_MIB
        + apps * APP_SERVER_MIB
        + len(BACKGROUND) * WORKER_MIB
        + FIXED_MIB
    )
    if needed > machine.memory_mib:
        raise ServiceFailed(
            f"the stage needs about {needed:,} MiB of memory on this machine, which has {machine.memory_mib:,}: "
            f"{servers} PostgreSQL servers, {nodes} Redis servers, {apps} app servers",
            hint="choose a smaller stage, or lower app.desired, app.services, database.replicas or database.shards",
        )
    declared = of_instance_type(settings.database.instance_class)
    node = of_instance_type(next(iter(settings.cache.groups.values())).node_type)
    database_mib = _between(SMALLEST_DATABASE_MIB, int(machine.memory_mib * DATABASES / servers), declared.memory_mib)
    cache_mib = _between(SMALLEST_CACHE_MIB, int(machine.memory_mib * CACHES / nodes), node.memory_mib)
    broker = of_instance_type(settings.queue.instance_type)
    queue_mib = _between(SMALLEST_QUEUE_MIB, int(machine.memory_mib * QUEUE), broker.memory_mib)
    cores = max(1, machine.cores // max(1, apps))
    return Shares(
        app=Machine(cores, max(APP_SERVER_MIB, machine.memory_mib // 4 // max(1, apps))),
        database=Machine(machine.cores, database_mib),
        cache=Machine(1, cache_mib),
        queue=Machine(1, queue_mib),
        note=(
            f"sized for this machine ({machine.cores} cores, {machine.memory_mib:,} MiB): each PostgreSQL server "
            f"{database_mib:,} MiB of the declared {declared.memory_mib:,}, each Redis {cache_mib:,} of "
            f"{node.memory_mib:,}, RabbitMQ {queue_mib:,} of {broker.memory_mib:,}"
        ),
    )


def _servers(settings: StageSettings) -> int:
    database = settings.database
    return 1 + database.replicas + database.shards * (1 + database.shard_replicas)


def _between(low: int, wanted: int, high: int) -> int:
    return max(low, min(wanted, high))
