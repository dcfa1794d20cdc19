"""True causes for the guide's three alerts. Each ends with its block and, whatever happens to this process, by itself.

Nothing of anybody's data is changed: requests mark a notification as read that nobody has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import urllib3

from watoto_infra.dataplane.identity import PYTHON
from watoto_infra.dataplane.services.lms import flask
from watoto_infra.dataplane.services.psql import Psql
from watoto_infra.dataplane.topology import Topology
from watoto_infra.errors import ServiceFailed
from watoto_infra.rendering.endpoints import Endpoint
from watoto_infra.rendering.families.gunicorn import context as gunicorn_context

BURN_SECONDS = 1800
BURN = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass\n"
HOLD = "BEGIN; SET LOCAL lock_timeout = '10s'; LOCK TABLE notifications IN EXCLUSIVE MODE; SELECT pg_sleep({}); COMMIT;"
"""Blocks whoever writes a notification, and nobody who reads one; a server ends it by itself after its sleep."""
NOBODYS = "/api/notifications/9223372036854775807/read"
ANSWER_SECONDS = 20.0
RETRY_SECONDS = 0.2
PAUSE_SECONDS = 0.02


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
    setpriv = shutil.which("setpriv")
    dies = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    command = [*dies, "nice", "-n", "19", PYTHON, "-c", BURN, str(BURN_SECONDS)]
    user = topology.identity.popen_user()
    burners = [subprocess.Popen(command, **user) for _ in range(os.cpu_count() or 1)]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


@contextmanager
def holding_the_pool(topology: Topology) -> Iterator[None]:
    """Have every thread of the first app server wait for a lock, each with a connection of the pool in its hand."""
    callers = 2 * gunicorn_context(topology.inputs).slots
    # One of the two is always in line for the lock, so that the requests are never all let through at a time.
    with _locked(topology, seconds=1.0, holders=2), _asking(topology, callers=callers):
        yield


@contextmanager
def slow_answers(topology: Topology) -> Iterator[None]:
    """Have a sleeping query hold a lock for three seconds at a time, and a few callers wait for it."""
    with _locked(topology, seconds=3.0, holders=1), _few(topology):
        yield


@contextmanager
def nobody(_: Topology) -> Iterator[None]:
    """No traffic is needed to see the end of it."""
    yield


@contextmanager
def _few(topology: Topology) -> Iterator[None]:
    with _asking(topology, callers=3, pause=PAUSE_SECONDS):
        yield


CAUSES: Mapping[str, Cause] = {
    "HighCPUUsage": Cause(
        "every processor is kept busy",
        '100 * (1 - avg by (instance, server) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
        burning_processors,
        nobody,
    ),
    "DatabaseConnectionPoolExhausted": Cause(
        "every thread of the first app server holds a connection and waits for a lock",
        "sum by (instance, server, pool) (db_connections_active) "
        "/ (sum by (instance, server, pool) (db_connections_total) > 0)",
        holding_the_pool,
        nobody,
    ),
    "SlowResponseTime": Cause(
        "a sleeping query holds a lock that requests wait for",
        "histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m])))",
        slow_answers,
        _few,
    ),
}
"""By the alert's name. ``expression`` is what the rule compares with its threshold, to show how near it is."""


@contextmanager
def _locked(topology: Topology, *, seconds: float, holders: int) -> Iterator[None]:
    """Hold the lock on every primary over and over, by one holder or by several that take turns."""
    ended = threading.Event()
    primaries = [group.primary for group in topology.endpoints.databases]

    def hold(server: Endpoint) -> None:
        psql = Psql(topology.identity, topology.sockets, server.port)
        while not ended.is_set():
            try:
                psql.rows(HOLD.format(seconds), database=topology.settings.database.name)
            except ServiceFailed:  # somebody else was longer in line, or the server is away for a moment
                ended.wait(RETRY_SECONDS)

    with _threads([partial(hold, primary) for primary in primaries] * holders, ended):
        yield


@contextmanager
def _asking(topology: Topology, *, callers: int, pause: float = 0.0) -> Iterator[None]:
    """Let callers write to the first app server, each as soon as it has its answer, on a connection of its own."""
    url = f"http://{topology.endpoints.app_servers[0]}{NOBODYS}"
    token = flask(topology, "issue-sessions", "--first", "1", "--count", "1").strip()
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    ended = threading.Event()
    pool = urllib3.PoolManager(maxsize=callers, timeout=ANSWER_SECONDS, retries=False)

    def call() -> None:
        while not ended.is_set():
            try:
                pool.request("POST", url, headers=headers)
            except urllib3.exceptions.HTTPError:
                ended.wait(RETRY_SECONDS)
            ended.wait(pause)

    with _threads([call] * callers, ended):
        yield


@contextmanager
def _threads(work: Sequence[Callable[[], None]], ended: threading.Event) -> Iterator[None]:
    """Run functions beside the block; with its end they are told to end, and waited for."""
    threads = [threading.Thread(target=one, daemon=True) for one in work]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        ended.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
