"""Finds the programs of servers and their tools, which distributions keep outside a plain user's PATH."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from watoto_infra.errors import MissingProgram

BEFORE = (
    str(Path(sys.executable).parent),
    *(f"/usr/lib/postgresql/{major}/bin" for major in range(18, 12, -1)),
    "/usr/lib/rabbitmq/bin",
)
"""Searched before PATH, where the distribution's wrappers of the same names want to be root."""
AFTER = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def find(name: str) -> str | None:
    """Give the path of a server or tool, or None where it is not installed."""
    return shutil.which(name, path=os.pathsep.join([*BEFORE, os.environ.get("PATH", os.defpath), *AFTER]))


def program(name: str) -> str:
    """Give the path of a server or tool. Raises ``MissingProgram`` when it is not installed."""
    path = find(name)
    if path is None:
        raise MissingProgram(f"{name} is not installed", hint="`watoto doctor` prints the command that installs it")
    return path
