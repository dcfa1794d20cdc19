"""The servers' tools, run for a stack as its processes' user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watoto_infra.errors import ServiceFailed
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.unix_user import process_user


def sh(script: str, *, seconds: float = 10, given: str = "") -> str:
    return run_as(process_user(), ["/bin/sh", "-c", script], seconds=seconds, given=given)


def test_a_tool_runs_as_the_processes_user_and_sees_nothing_of_the_callers_environment(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "xyzzy-planted")
    assert sh("id -u").strip() == str(process_user().uid)
    assert "xyzzy" not in sh("env")
    assert sh("cat", given="by standard input") == "by standard input"


def test_a_failed_tool_is_quoted_with_the_line_that_says_why():
    with pytest.raises(ServiceFailed, match=r"^sh failed: initdb: error: could not write: No space left") as caught:
        sh("echo 'initdb: error: could not write: No space left on device' >&2; echo tidying >&2; exit 1")
    assert "free some space" in (caught.value.hint or "")
    with pytest.raises(ServiceFailed, match="exit status 3"):
        sh("exit 3")


def test_a_tool_that_hangs_is_ended_in_time():
    with pytest.raises(ServiceFailed, match="did not end within"):
        sh("exec sleep 60", seconds=0.3)


def test_a_tool_does_not_go_on_for_a_run_that_was_killed():
    script = (
        "from watoto_infra.supervision.unix_user import process_user\n"
        "from watoto_infra.supervision.commands import run_as\n"
        "run_as(process_user(), ['/bin/sh', '-c', 'exec sleep 600'], seconds=600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    tools = f"/proc/{run.pid}/task/{run.pid}/children"
    deadline = time.monotonic() + 30
    while not (found := Path(tools).read_text().split()):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.02)
    while b"sleep\x00600" not in Path(f"/proc/{found[0]}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    while Path(f"/proc/{found[0]}").exists():
        assert time.monotonic() < deadline, "the tool goes on"
        time.sleep(0.02)
