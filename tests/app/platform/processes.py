"""Starts the LMS's own processes as an operator would, and ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Process:
    """A running command with its log."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.popen.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def terminate(self, seconds: float = 40) -> int:
        """Ask it to stop and return its exit status."""
        self.popen.terminate()
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """End it and its children as a crash does."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)


@contextmanager
def running(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[Process]:
    process = Process(arguments, environment, log)
    try:
        yield process
    finally:
        process.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 20, *, log: Process | None = None) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.said()[-4000:] if log else "it did not come true in time"
        time.sleep(0.05)
