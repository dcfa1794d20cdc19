"""One run at a time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from watoto_infra.engine.embedded.state.lock import HOLDER_NAME, LOCK_NAME, break_lock, hold_lock, read_holder
from watoto_infra.errors import StackLocked

HOLD = """
import subprocess, sys, time
from pathlib import Path
from watoto_infra.engine.embedded.state.lock import hold_lock
with hold_lock(Path(sys.argv[1]), "watoto up --stage phase2"):
    if sys.argv[2] == "leave-child":
        import ctypes, os
        if ctypes.CDLL(None).fork() == 0:  # as a library would: Python's own fork lets go of the lock
            os.close(1)
            time.sleep(600)
    print("held", os.getpid() if sys.argv[2] == "leave-child" else "", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), "plain"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("held")
    yield process
    process.kill()
    process.wait(30)


def test_the_second_run_is_told_who_holds_the_lock_since_when_and_why(tmp_path, holder):
    with pytest.raises(StackLocked) as caught, hold_lock(tmp_path, "watoto up"):
        pass
    assert caught.value.exit_code == 11
    says = rf"process {holder.pid} since \d{{4}}-\d\d-\d\dT[\d:]+\+00:00 \(`watoto up --stage phase2`\)"
    assert re.search(says, caught.value.message)


def test_the_lock_of_a_killed_run_is_free_by_itself(tmp_path, holder):
    holder.kill()
    holder.wait(30)
    assert read_holder(tmp_path) is not None
    with hold_lock(tmp_path, "watoto up"):
        now = read_holder(tmp_path)
        assert now is not None
        assert now.pid == os.getpid()
    assert read_holder(tmp_path) is None


def test_a_lock_is_taken_and_given_back_again_and_again(tmp_path):
    for _ in range(3):
        with hold_lock(tmp_path, "a"), pytest.raises(StackLocked), hold_lock(tmp_path, "b"):
            pass


def test_an_error_in_the_run_frees_the_lock(tmp_path):
    with pytest.raises(RuntimeError), hold_lock(tmp_path, "a"):
        raise RuntimeError
    with hold_lock(tmp_path, "b"):
        pass


def test_files_of_the_lock_are_for_their_owner_alone(tmp_path):
    with hold_lock(tmp_path / "stack", "a"):
        assert (tmp_path / "stack").stat().st_mode & 0o777 == 0o700
        for name in (LOCK_NAME, HOLDER_NAME):
            assert (tmp_path / "stack" / name).stat().st_mode & 0o777 == 0o600


def test_unlock_refuses_while_the_holder_lives(tmp_path, holder):
    with pytest.raises(StackLocked, match=str(holder.pid)):
        break_lock(tmp_path)
    with pytest.raises(StackLocked), hold_lock(tmp_path, "b"):
        pass


def test_unlock_of_a_free_stack_has_nothing_to_do(tmp_path):
    assert break_lock(tmp_path) is None


def test_unlock_removes_the_note_of_a_killed_run(tmp_path, holder):
    holder.kill()
    holder.wait(30)
    assert str(holder.pid) in (break_lock(tmp_path) or "")
    assert break_lock(tmp_path) is None


def test_unlock_frees_a_lock_that_a_dead_run_left_to_its_child(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "leave-child"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("held")
        process.kill()
        process.wait(30)
        with pytest.raises(StackLocked, match="left a process behind") as caught, hold_lock(tmp_path, "b"):
            pass
        assert "watoto state unlock" in (caught.value.hint or "")
        assert "left behind" in (break_lock(tmp_path) or "")
        with hold_lock(tmp_path, "b"):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def test_a_damaged_note_does_not_matter(tmp_path, holder):
    (tmp_path / HOLDER_NAME).write_text("{")
    with pytest.raises(StackLocked, match="another run"), hold_lock(tmp_path, "b"):
        pass
