"""The causes of alert drills end with the drill, and with a process that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from watoto_infra.drills import alert_drill as drill
from watoto_infra.drills.alert_causes import CAUSES, burning_processors
from watoto_infra.errors import ServiceFailed, UsageError
from watoto_infra.supervision.unix_user import process_user
from watoto_infra.values.addresses import Endpoint

ROOT = Path(__file__).parents[2]
BURN = """
from types import SimpleNamespace
from watoto_infra.drills.alert_causes import burning_processors
from watoto_infra.supervision.unix_user import process_user
with burning_processors(SimpleNamespace(user=process_user())):
    print("burning", flush=True)
    input()
"""
HERE: Any = SimpleNamespace(user=process_user())


def burners(parent: int) -> set[int]:
    """Processes below a parent that were started to burn."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid) for pid in found if b"time.monotonic" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.local
def test_processors_burn_at_the_lowest_priority_and_only_as_long_as_the_block():
    with burning_processors(HERE):
        deadline = time.monotonic() + 10
        while [os.getpriority(os.PRIO_PROCESS, pid) for pid in burners(os.getpid())] != [19] * (os.cpu_count() or 1):
            assert time.monotonic() < deadline, "not every processor burns at the lowest priority"
            time.sleep(0.05)
        found = burners(os.getpid())
    assert gone(found)


@pytest.mark.local
def test_a_killed_drill_leaves_no_processor_burning():
    parent = subprocess.Popen([sys.executable, "-c", BURN], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"burning\n"
    deadline = time.monotonic() + 10
    while not (found := burners(parent.pid)):
        assert time.monotonic() < deadline, "nothing burns"
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(found)


def test_an_alert_without_a_cause_is_a_usage_error_that_names_those_with_one():
    with pytest.raises(UsageError) as caught:
        drill.drill(HERE, "LmsDown", lambda _: None)
    assert all(name in (caught.value.hint or "") for name in CAUSES)


def test_an_alert_that_is_on_already_is_not_drilled(monkeypatch):
    monkeypatch.setattr(drill, "state_at_prometheus", lambda *_: "pending")
    topology: Any = SimpleNamespace(endpoints=SimpleNamespace(one=lambda _: Endpoint("127.0.0.1", 1)))
    with pytest.raises(ServiceFailed, match="is on already"):
        drill.drill(topology, "HighCPUUsage", lambda _: None)
