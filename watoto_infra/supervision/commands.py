"""Runs the servers' own tools for a short while, as the user whose processes the servers are."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from watoto_infra.errors import ServiceFailed
from watoto_infra.supervision.unix_user import UnixUser

LAST_LINES = 3
REASON = re.compile(r"\b(FATAL|PANIC|ERROR|error):")
FULL = "No space left on device"


def run_as(
    user: UnixUser,
    command: Sequence[str],
    *,
    seconds: float,
    folder: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
    given: str = "",
    called: str | None = None,
    hint: str | None = None,
) -> str:
    """Run a tool to its end, with ``given`` as its input, and give what it printed.

    Nothing of the caller's environment but ``PATH`` reaches it; it dies with the caller's thread, so that no tool goes
    on writing for a run that was killed. Raises ``ServiceFailed`` with its last words and ``hint``, in which the tool
    is ``called`` so (default: the program's name).
    """
    tool = called or Path(command[0]).name
    variables = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **(environment or {})}
    try:
        done = user.run(command, environment=variables, seconds=seconds, folder=folder, given=given)
    except subprocess.TimeoutExpired:
        raise ServiceFailed(f"{tool} did not end within {seconds:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise ServiceFailed(
            f"{tool} failed: {_reason(said) or f'exit status {done.returncode}'}",
            hint="free some space on the disk that holds the stack" if FULL in said else hint,
        )
    return done.stdout


def _reason(said: str) -> str:
    """Give the line that says why; tools go on to tell how they clean up."""
    lines = said.splitlines()
    return next((line for line in lines if REASON.search(line)), " ".join(lines[-LAST_LINES:]))
