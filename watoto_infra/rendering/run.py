"""Running a checking tool: bounded in time, its words kept, its absence said."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering.model import CheckFinding, Verdict

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


def as_ran(problems: Sequence[str]) -> Ran:
    """Give the problems that a check of our own found as if a tool had printed them, a line each."""
    return Ran(1 if problems else 0, "\n".join(problems))


@dataclass(frozen=True)
class Checker:
    """Who checks files of a family. ``name`` is shown to people and decides nothing.

    ``servers`` are those whose versions must be the ones that the files are for (``Server.releases``).
    """

    family: str
    name: str
    servers: tuple[str, ...] = ()

    def found(self, verdict: Verdict, files: Sequence[str], detail: str = "") -> CheckFinding:
        """Give a finding about some files."""
        return CheckFinding(self.family, self.name, verdict, tuple(files), detail, self.servers)

    def absent(self, files: Sequence[str]) -> CheckFinding:
        """Say that nothing was validated, and why."""
        return self.found(Verdict.NOT_VALIDATED, files, f"{self.name} absent")

    def judged(self, files: Sequence[str], ran: Ran, *, folder: Path | None = None) -> CheckFinding:
        """Turn a tool's exit status into a finding, without the throw-away folder's name in its words."""
        if ran.code == 0:
            return self.found(Verdict.VALID, files)
        words = ran.output if folder is None else ran.output.replace(f"{folder}/", "")
        words = re.sub(r"\x1b\[[0-9;]*m", "", words)
        detail = "\n".join(words.splitlines()[-DETAIL_LINES:])
        return self.found(Verdict.INVALID, files, detail or f"exit status {ran.code}")

    def by_tool(self, program: str, arguments: Sequence[str], files: Sequence[str], *, folder: Path) -> CheckFinding:
        """Find a tool, run it in ``folder`` and judge the files by its exit status."""
        path = find(program)
        if path is None:
            return self.absent(files)
        return self.judged(files, run([path, *arguments], cwd=folder), folder=folder)
