"""Ends what a killed supervisord left behind: processes that carry the stack's mark, or work in its folders.

The mark is a variable in the environment. PostgreSQL and nginx write their titles over it, but they work in a folder
of the stack's that nobody else enters: a process there with a terminal is a person's and left alone.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from watoto_infra.errors import ServiceFailed

MARK = "WATOTO_STACK"
"""Variable in the environment of each of a stack's processes, and so of their children: the stack's home."""

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.05


def end_orphans(root: Path) -> None:
    """Kill every process of the stack whose home is ``root``, and wait until none is left.

    Called only when its supervisord does not run. Raises ``ServiceFailed`` when one does not end.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found := list(_marked(root)):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            pids = " ".join(map(str, found))
            raise ServiceFailed(f"processes of an earlier run do not end: {pids}", hint=f"kill -9 {pids}")
        time.sleep(POLL_SECONDS)


def _marked(root: Path) -> Iterator[int]:
    wanted = f"{MARK}={root}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            marked = wanted in (folder / "environ").read_bytes().split(b"\0") or _works_in(root, folder)
        except OSError:
            continue
        if marked:
            yield int(folder.name)


def _works_in(root: Path, process: Path) -> bool:
    place = (process / "cwd").readlink()
    if not any(place.is_relative_to(root / name) for name in ("run", "data")):
        return False
    terminal = (process / "stat").read_text().rpartition(")")[2].split()[4]
    return terminal == "0"
