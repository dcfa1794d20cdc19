"""Running a checking tool: bounded in time, its words kept, its absence said."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering.model import Finding, Verdict

LIMIT_SECONDS = 60
DETAIL_LINES = 12


@dataclass(frozen=True)
class Ran:
    """How a tool ended; ``output`` is both its streams."""

    code: int
    output: str


def inherited() -> dict[str, str]:
    """Give the caller's environment without what points a person's own psql at a stack (`watoto env`)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    user: str | None = None,
) -> Ran:
    """Run a tool to its end, with ``stdin`` as its input, as ``user`` if one is given."""
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env={**inherited(), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_SECONDS,
            user=user,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(124, f"{command[0]} did not end within {LIMIT_SECONDS} s")
    return Ran(done.returncode, (done.stdout + done.stderr).strip())


def absent(family: str, tool: str, files: Sequence[str]) -> Finding:
    """Say that nothing was validated, and why."""
    return Finding(family, tool, Verdict.NOT_VALIDATED, tuple(files), f"{tool} absent")


def judged(family: str, tool: str, files: Sequence[str], ran: Ran, *, folder: Path | None = None) -> Finding:
    """Turn a tool's exit status into a finding, without the throw-away folder's name in its words."""
    words = ran.output if folder is None else ran.output.replace(f"{folder}/", "")
    words = re.sub(r"\x1b\[[0-9;]*m", "", words)
    detail = "\n".join(words.splitlines()[-DETAIL_LINES:])
    if ran.code == 0:
        return Finding(family, tool, Verdict.VALID, tuple(files))
    return Finding(family, tool, Verdict.INVALID, tuple(files), detail or f"exit status {ran.code}")


def by_tool(
    family: str, tool: str, arguments: Sequence[str], files: Sequence[str], *, folder: Path, program: str | None = None
) -> Finding:
    """Find a tool, run it in ``folder`` and judge the files by its exit status."""
    found = find(program or tool)
    if found is None:
        return absent(family, tool, files)
    return judged(family, tool, files, run([found, *arguments], cwd=folder), folder=folder)
