"""A control plane that is slow, or left over from a run that was killed, is neither taken for dead nor denied."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.local import processes
from tests.stack.driver import Driver

pytestmark = pytest.mark.local

SLOW = "the AWS control plane is slow to answer"


@contextmanager
def stopped_for(pid: int, seconds: float) -> Iterator[None]:
    """Have a process stand still meanwhile, but not for longer than so many seconds."""
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        os.kill(pid, signal.SIGCONT)


@contextmanager
def busy_machine() -> Iterator[None]:
    """Keep every core busy meanwhile."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def assert_looks_are_patient(stack: Driver, seconds: float, *looks: tuple[str, ...]) -> None:
    pid = stack.emulator()
    for look in looks:
        with stopped_for(pid, seconds):
            done = stack.run(*look)
        assert done.returncode == 0, done.stdout + done.stderr
        assert SLOW in done.stderr
        assert stack.emulator() == pid


def test_a_look_waits_for_a_control_plane_that_stands_still_and_shows_no_false_plan(phase1: Driver):
    assert_looks_are_patient(phase1, 7, ("preview", "--stage", "phase1", "--refresh", "--expect-no-changes"))


@pytest.mark.long
def test_no_look_restarts_a_control_plane_that_stands_still_for_40_s_with_every_core_busy(phase1: Driver):
    with busy_machine():
        assert_looks_are_patient(
            phase1,
            40,
            ("preview", "--stage", "phase1", "--expect-no-changes"),
            ("preview", "--stage", "phase1", "--refresh", "--expect-no-changes"),
            ("drift",),
            ("refresh",),
        )


@pytest.mark.long
def test_a_look_at_a_control_plane_that_stays_still_fails_with_its_pid_and_up_restarts_it(phase1: Driver):
    pid = phase1.emulator()
    os.kill(pid, signal.SIGSTOP)
    try:
        done = phase1.run("drift")
        assert done.returncode == 1
        assert f"does not answer within 60 s (control-plane, pid {pid})" in done.stderr
        assert "hint: " in done.stderr
        assert phase1.emulator() == pid
        phase1.ok("up", "--stage", "phase1", "--yes")
        assert phase1.emulator() != pid
    finally:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    phase1.ok("preview", "--stage", "phase1", "--refresh", "--expect-no-changes")


def killed_while_planning(stack: Driver) -> None:
    """Begin a first `up`, and kill it as soon as its control plane is there."""
    up = subprocess.Popen(
        stack.command("up", "--stage", "phase1", "--yes"), env=stack.variables, stderr=subprocess.DEVNULL
    )
    root = stack.home / stack.stack
    deadline = time.monotonic() + 60
    while not (root / "logs" / "control-plane.log").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    up.kill()
    up.wait()
    assert not (root / "state" / "state.json").exists(), "it had begun to make things"
    assert processes.of_stack(root)


def test_what_a_first_run_left_that_was_killed_while_it_planned_can_be_looked_at_and_stopped(own: Driver):
    killed_while_planning(own)
    assert [one["name"] for one in own.json("status", "--json")["processes"]] == ["control-plane"]
    stopped = own.run("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "nothing had been made" in stopped.stderr
    assert processes.of_stack(own.home / own.stack) == set()
    assert own.run("status").returncode == 10


def test_what_a_first_run_left_that_was_killed_while_it_planned_can_be_destroyed(own: Driver):
    killed_while_planning(own)
    own.ok("destroy", "--yes")
    assert processes.of_stack(own.home / own.stack) == set()
    assert not (own.home / own.stack).exists()
    assert own.run("destroy", "--yes").returncode == 10
