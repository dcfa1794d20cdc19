"""True causes for the guide's three alerts. Each ends with its block and, whatever happens to this process, by itself.

Nothing of anybody's data is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from watoto_infra.derived.lms_environment import lms_environment
from watoto_infra.drills.alert_waiting import enrolled, enrolling, held
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.unix_user import PYTHON

BURN_SECONDS = 1800
BURN = """
import os, sys, time
end, caller = time.monotonic() + float(sys.argv[1]), int(sys.argv[2])
while time.monotonic() < end and os.getppid() == caller:
    pass
"""
"""Burns until its time is over or whoever started it is gone, also if that was before it could ask to die with it."""
FEW = 3
PAUSE_SECONDS = 0.02
HELD_SECONDS = 2.0
CALLERS_A_THREAD = 2.5
"""gunicorn spreads connections over its processes by chance: with so many there are enough that can still move."""


@dataclass(frozen=True)
class Cause:
    """How an alert is made to fire. ``begin`` gives a block that has the cause; ``traffic`` one that shows its end."""

    what: str
    expression: str
    begin: Callable[[Topology], AbstractContextManager[None]]
    traffic: Callable[[Topology], AbstractContextManager[None]]


@contextmanager
def burning_processors(topology: Topology) -> Iterator[None]:
    """Keep every processor busy, at the lowest priority, so that the stack goes on serving."""
    command = ["nice", "-n", "19", PYTHON, "-c", BURN, str(BURN_SECONDS), str(os.getpid())]
    environment = {"PATH": os.defpath}
    burners = [topology.user.start(command, environment=environment) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


@contextmanager
def holding_the_pool(topology: Topology) -> Iterator[None]:
    """Have every thread of the first app server wait for a lock, each with a connection of the pool in its hand.

    None waits as long as the LMS lets a statement wait for a lock (5 s), so that nobody is answered with an error.
    """
    slots = lms_environment(topology.settings, topology.inputs.machine).slots
    students = enrolled(topology, round(CALLERS_A_THREAD * slots))
    with held(topology, students, seconds=HELD_SECONDS), enrolling(topology, students, moves_after=HELD_SECONDS * 1.25):
        yield


@contextmanager
def slow_answers(topology: Topology) -> Iterator[None]:
    """Have a few requests wait three seconds each for what a sleeping query holds."""
    students = enrolled(topology, FEW)
    with held(topology, students, seconds=3.0), enrolling(topology, students, pause=PAUSE_SECONDS):
        yield


@contextmanager
def a_few_requests(topology: Topology) -> Iterator[None]:
    """Send the same requests with nothing in their way: a percentile falls only when there is something quick."""
    with enrolling(topology, enrolled(topology, FEW), pause=PAUSE_SECONDS):
        yield


@contextmanager
def nothing(_: Topology) -> Iterator[None]:
    """No traffic is needed to see the end of it."""
    yield


CAUSES: Mapping[str, Cause] = {
    "HighCPUUsage": Cause(
        "every processor is kept busy",
        '100 * (1 - avg by (instance, server) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
        burning_processors,
        nothing,
    ),
    "DatabaseConnectionPoolExhausted": Cause(
        "every thread of the first app server holds a connection and waits for a lock",
        "sum by (instance, server, pool) (db_connections_active) "
        "/ (sum by (instance, server, pool) (db_connections_total) > 0)",
        holding_the_pool,
        nothing,
    ),
    "SlowResponseTime": Cause(
        "a sleeping query holds what requests wait for",
        "histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m])))",
        slow_answers,
        a_few_requests,
    ),
}
"""By the alert's name. ``expression`` is what the rule compares with its threshold, to show how near it is."""
