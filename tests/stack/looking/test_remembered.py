"""A stack whose control plane was stopped or killed is there again, whole, for whoever looks at it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.local import processes
from tests.stack.driver import Driver

pytestmark = pytest.mark.local


def test_after_stop_everything_is_there_again_for_whoever_looks(phase2: Driver):
    before, held = phase2.json("outputs", "--json"), phase2.inventory()
    phase2.ok("stop")
    assert processes.of_stack(phase2.home / phase2.stack) == set()
    phase2.ok("preview", "--stage", "phase2", "--refresh", "--expect-no-changes")
    phase2.ok("drift")
    assert phase2.inventory() == held
    assert phase2.json("outputs", "--json") == before


def test_a_killed_control_plane_is_back_by_itself_with_everything(phase2: Driver):
    held = phase2.inventory()
    os.kill(phase2.emulator(), signal.SIGKILL)
    phase2.ok("preview", "--stage", "phase2", "--refresh", "--expect-no-changes")
    assert phase2.inventory() == held
