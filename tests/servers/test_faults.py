"""Processes killed under load: how many requests fail, and that everything heals without a hand."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers.conftest import Running, children_of
from tests.servers.steady import steady_load

pytestmark = pytest.mark.local


def whole(name: str) -> Callable[[Running], list[int]]:
    """A process with its children, as when its machine is lost."""

    def pids(running: Running) -> list[int]:
        master = running.pid(name)
        return [master, *children_of(master)]

    return pids


def worker_of_nginx(running: Running) -> list[int]:
    return children_of(running.pid("nginx"))[:1]


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


CASES = {
    "an app server": (whole("app2"), 0),
    # The requests it had in flight, and those that waited to be accepted.
    "a worker of nginx": (worker_of_nginx, 64),
    "the cache": (whole("redis-cache"), 0),
    "a read replica": (whole("postgresql-replica1"), 0),
    "the worker of a queue": (whole("worker-notification"), 0),
    "the state": (whole("redis-state"), 0),
    "the broker": (whole("rabbitmq"), 0),
    "prometheus": (whole("prometheus"), 0),
}
"""Who is killed, and how many requests may fail."""
QUICK = ("an app server", "a worker of nginx", "the cache")
HURT_SECONDS = 6
"""How long load goes on after a kill at least, whether or not all is healthy before."""


@pytest.mark.parametrize(
    ("rate", "cases"),
    [(200, QUICK), pytest.param(500, tuple(CASES), marks=pytest.mark.long)],
    ids=["beside other work", "under load"],
)
def test_when_one_is_killed_no_more_requests_fail_than_it_had_in_hand_and_it_heals(
    running: Running, tmp_path: Path, rate: int, cases: tuple[str, ...]
):
    running.wait_until_whole()
    failed = {}
    with steady_load(running.driver, rate, tmp_path) as load:
        for case in cases:
            before = load.failed()
            kill(CASES[case][0](running))
            time.sleep(HURT_SECONDS)
            running.wait_until_whole()
            failed[case] = load.failed() - before
        result = load.end()

    assert {case: number for case, number in failed.items() if number > CASES[case][1]} == {}, result
    assert result["failures"] == sum(failed.values()), "some were never answered"
    assert result["requests"] >= rate * result["seconds"] * 0.8, result
