"""Where a server's program is on this machine."""

from __future__ import annotations

from watoto_infra.errors import MissingProgram
from watoto_infra.rendering.programs import find


def program(name: str) -> str:
    """Give the path of a server. Raises ``MissingProgram`` when it is not installed."""
    path = find(name)
    if path is None:
        raise MissingProgram(f"{name} is not installed", hint="`watoto doctor` prints the command that installs it")
    return path
