"""A pytest that is ended by a signal, as by a time limit of CI, ends the stacks that its tests have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.local import processes
from tests.stack.driver import ROOT

pytestmark = pytest.mark.local

SECONDS = 120


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGTERM, ["-n", "1"]), (signal.SIGHUP, [])], ids=["side by side", "alone"]
)
def test_a_signal_to_pytest_leaves_no_process_of_a_stack_and_no_file(
    tmp_path: Path, number: signal.Signals, how: list[str]
):
    told = tmp_path / "home"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *how, "tests/stack/waiting.py"]
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"WAITING": str(told)}, stdout=said, stderr=said, start_new_session=True
        )
    try:
        home = Path(once_written(told, running))
        assert processes.of_stack(home / "local"), "nothing runs: this test shows nothing"

        running.send_signal(number)

        assert running.wait(SECONDS) != 0, (tmp_path / "said").read_text()
    finally:
        running.kill()
        running.wait()
    assert processes.of_stack(home / "local") == set()
    assert naming(home) == []
    assert not home.exists()


def once_written(file: Path, running: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + SECONDS
    while not (file.exists() and file.read_text()):
        assert running.poll() is None, "pytest ended before its test waited"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return file.read_text()


def naming(home: Path) -> list[str]:
    """Processes that were started with a file of the home, as its supervisor was."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            found += [command.decode()] if str(home).encode() in command else []
    return found
