"""A run that is told to end, by whichever signal, ends as at Ctrl-C: recorded, and with nothing of its own left."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.stack.driver import Driver
from watoto_infra.errors import ExitCode

pytestmark = pytest.mark.local


def processes_of(home: Path) -> list[bytes]:
    """Give the command lines that name a home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if str(home).encode() in line:
            found.append(line)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_first_up_that_is_told_to_end_while_it_plans_leaves_nothing_running(own: Driver, number: signal.Signals):
    command = own.command("up", "--stage", "phase1", "--yes")
    with subprocess.Popen(command, env=own.variables, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while not processes_of(own.home):
            assert time.monotonic() < deadline, "no control plane was started"
            time.sleep(0.05)
        time.sleep(1)
        run.send_signal(number)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == ExitCode.INTERRUPTED, said
    assert "interrupted" in said
    assert processes_of(own.home) == []


def test_an_up_that_is_told_to_end_is_in_the_history_and_goes_on_from_there(own: Driver):
    command = own.command("up", "--stage", "phase1", "--yes")
    with subprocess.Popen(command, env=own.variables, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.strip().startswith("create"):
                break
        run.terminate()
        said = run.communicate(timeout=120)[1]
    assert run.returncode == ExitCode.INTERRUPTED, said
    assert [entry["result"] for entry in own.json("history", "--json")["runs"]] == ["interrupted"]
    own.ok("up", "--stage", "phase1", "--yes")
    own.ok("drift")
