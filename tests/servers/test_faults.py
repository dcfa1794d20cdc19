"""Processes killed under load: how many requests fail, and that everything heals without a hand."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest

from tests.servers.conftest import Running, children_of, result_of

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


@pytest.mark.parametrize("case", QUICK)
def test_when_it_is_killed_beside_other_work_no_more_requests_fail_than_it_had_in_hand_and_it_heals(
    running: Running, case: str
):
    kill_under_load(running, case, rate=200)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_when_it_is_killed_under_load_no_more_requests_fail_than_it_had_in_hand_and_it_heals(
    running: Running, case: str
):
    kill_under_load(running, case, rate=500)


def kill_under_load(running: Running, case: str, *, rate: int) -> None:
    victims, most = CASES[case]
    running.wait_until_whole()
    load = running.load(rate, seconds=12)
    time.sleep(6)  # the load has begun once its sessions are made

    kill(victims(running))

    result = result_of(load)
    running.wait_until_whole()
    assert result["total"]["requests"] >= rate * 12 * 0.8, result
    assert result["total"]["failures"] <= most, result
