"""What a stack was answered is there after its control plane was killed, or went on as a newer one."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, suppress

import pytest

from tests.stack.driver import Driver

pytestmark = pytest.mark.local


def kill_control_plane(stack: Driver) -> None:
    """Kill it as soon as it is there: supervisord may just be starting it again."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(ValueError):
            os.kill(stack.emulator(), signal.SIGKILL)
            return
        assert time.monotonic() < deadline, "it never came back"
        time.sleep(0.05)


def control_plane_killed_amid_up(stack: Driver, moment: float) -> None:
    """Run `up`, and kill the control plane so long after the run began to make things."""
    journal = stack.home / stack.stack / "state" / "journal.jsonl"
    with subprocess.Popen(
        stack.command("up", "--stage", "phase1", "--yes"), env=stack.variables, stderr=subprocess.DEVNULL
    ) as run:
        deadline = time.monotonic() + 120
        while run.poll() is None and not journal.exists():
            assert time.monotonic() < deadline, "the run never began"
            time.sleep(0.01)
        time.sleep(moment)
        kill_control_plane(stack)


def gone(stack: Driver) -> list[str]:
    """Give what the state has and the control plane has not; what was not answered may be there and not yet known."""
    done = stack.run("drift", "--json")
    assert done.returncode in {0, 3}, done.stderr
    return [step["urn"] for step in json.loads(done.stdout)["steps"] if step["op"] == "delete"]


def killed_at_random_moments(stack: Driver, whole: Counter[str], rounds: int) -> None:
    moments = random.Random(rounds)
    for _ in range(rounds):
        control_plane_killed_amid_up(stack, moments.uniform(0, 2))
        kill_control_plane(stack)  # at idle
        assert gone(stack) == [], "whatever the state has was answered"
    stack.ok("up", "--stage", "phase1", "--yes")
    stack.ok("preview", "--stage", "phase1", "--refresh", "--expect-no-changes")
    assert stack.inventory() == whole


def test_a_control_plane_killed_at_random_moments_of_up_and_at_idle_loses_nothing(own: Driver, whole: Counter[str]):
    killed_at_random_moments(own, whole, 2)


@pytest.mark.long
def test_a_control_plane_killed_at_sixty_moments_of_up_and_at_idle_loses_nothing(own: Driver, whole: Counter[str]):
    for _ in range(6):
        killed_at_random_moments(own, whole, 5)
        own.ok("destroy", "--yes", "--delete-data")


def test_after_another_version_of_moto_that_starts_empty_up_makes_everything_again(phase1: Driver, whole: Counter[str]):
    phase1.ok("stop")
    folder = phase1.home / phase1.stack / "data" / "control-plane"
    with closing(sqlite3.connect(folder / "memory.sqlite3")) as table, table:
        table.execute("update memory set stamp = 'moto 4.0.0, Python 3.11, schema 1'")
    phase1.ok("up", "--stage", "phase1", "--yes")
    assert (folder.with_name("control-plane.set-aside") / "memory.sqlite3").exists()
    phase1.ok("preview", "--stage", "phase1", "--refresh", "--expect-no-changes")
    assert phase1.inventory() == whole
