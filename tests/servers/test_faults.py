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

RATE = 500


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


CASES = (
    pytest.param(whole("app2"), 0, id="an app server"),
    # The requests it had in flight, and those that waited to be accepted.
    pytest.param(worker_of_nginx, 64, id="a worker of nginx"),
    pytest.param(whole("redis-cache"), 0, id="the cache"),
    pytest.param(whole("postgresql-replica1"), 0, id="a read replica", marks=pytest.mark.long),
    pytest.param(whole("worker-notification"), 0, id="the worker of a queue", marks=pytest.mark.long),
    pytest.param(whole("redis-state"), 0, id="the state", marks=pytest.mark.long),
    pytest.param(whole("rabbitmq"), 0, id="the broker", marks=pytest.mark.long),
    pytest.param(whole("prometheus"), 0, id="prometheus", marks=pytest.mark.long),
)


@pytest.mark.parametrize(("victims", "most"), CASES)
def test_when_it_is_killed_under_load_no_more_requests_fail_than_it_had_in_hand_and_it_heals(
    running: Running, victims: Callable[[Running], list[int]], most: int
):
    running.wait_until_whole()
    load = running.load(RATE, seconds=12)
    time.sleep(6)  # the load has begun once its sessions are made

    kill(victims(running))

    result = result_of(load)
    running.wait_until_whole()
    assert result["total"]["requests"] >= RATE * 12 * 0.8, result
    assert result["total"]["failures"] <= most, result
