"""The programs a stack needs on this machine, and the Debian packages that bring them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

SERVER_FOLDERS = ("/usr/lib/postgresql/15/bin", "/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/local/sbin", "/sbin")
"""Where the distribution puts servers that are not on a plain user's PATH."""


@dataclass(frozen=True)
class Requirement:
    """A program, the package that holds it, and what stops working without it."""

    program: str
    package: str
    purpose: str


@dataclass(frozen=True)
class Finding:
    """A requirement and where it was found; ``path`` is None when it is missing."""

    requirement: Requirement
    path: Path | None


REQUIREMENTS = (Requirement("setpriv", "util-linux", "local processes end when their supervisor is killed"),)


def check() -> tuple[Finding, ...]:
    """Look for every requirement on PATH and where distributions keep servers."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *SERVER_FOLDERS])
    return tuple(
        Finding(requirement, Path(found) if (found := shutil.which(requirement.program, path=search)) else None)
        for requirement in REQUIREMENTS
    )


def install_command(findings: tuple[Finding, ...]) -> str | None:
    """Give the exact command that installs what is missing; None when nothing is."""
    packages = sorted({finding.requirement.package for finding in findings if finding.path is None})
    if not packages:
        return None
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"
