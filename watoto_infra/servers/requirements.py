"""The programs a stack needs on this machine, and the Debian packages that bring them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.servers.registry import servers
from watoto_infra.servers.server import Requirement


@dataclass(frozen=True)
class FoundProgram:
    """A requirement and where it was found; ``path`` is None when it is missing."""

    requirement: Requirement
    path: Path | None


OWN = (Requirement("setpriv", "util-linux", "local processes end when their supervisor is killed"),)
"""Programs that the supervision of processes needs, whatever the servers are."""


def requirements() -> tuple[Requirement, ...]:
    """Give everything beside Python; requirements/debian.txt, which set-up reads, is made from it."""
    return (*OWN, *(requirement for server in servers().values() for requirement in server.requirements))


def check() -> tuple[FoundProgram, ...]:
    """Look for every requirement on PATH and where distributions keep servers."""
    return tuple(
        FoundProgram(requirement, Path(found) if (found := find(requirement.program)) else None)
        for requirement in requirements()
    )


def debian_packages() -> str:
    """Give requirements/debian.txt: what set-up installs, a package a line."""
    packages = {requirement.package for requirement in requirements()} | {"python3-venv"}
    return "\n".join(
        [
            "# Debian packages `make up` and `make test` install, one a line. Their services are not started:",
            "# watoto runs its own. Made from the servers' own requirements by `make reference`.",
            *sorted(packages),
            "",
        ]
    )


def install_command(findings: tuple[FoundProgram, ...]) -> str | None:
    """Give the exact command that installs what is missing; None when nothing is."""
    packages = sorted({finding.requirement.package for finding in findings if finding.path is None})
    if not packages:
        return None
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"
