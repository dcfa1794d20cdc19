"""Versions of the servers that read the rendered files: what is installed, what was asked for, what depends on it.

A version that is known to no one here is refused: a key that is required by one version is fatal to another.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from watoto_infra.errors import RenderError
from watoto_infra.programs import find
from watoto_infra.settings.gateway import VersionSettings

Version = tuple[int, ...]

SUPPORTED: Mapping[str, tuple[Version, Version]] = {
    "nginx": ((1, 18), (1, 31)),
    "openssl": ((1, 1, 1), (3,)),
    "postgresql": ((13,), (18,)),
    "pgbouncer": ((1, 16), (1, 25)),
    "pgbackrest": ((2, 39), (2, 59)),
    "redis": ((6, 2), (8,)),
    "rabbitmq": ((3, 10), (4, 3)),
    "prometheus": ((2, 40), (3,)),
    "kong": ((3, 4), (3, 9)),
}
"""Lowest and highest version each server's templates were written for; (3,) is any version 3."""

UNINSTALLED: Mapping[str, Version] = {
    "nginx": (1, 22, 1),
    "openssl": (3, 0),
    "postgresql": (15,),
    "pgbouncer": (1, 18),
    "pgbackrest": (2, 45),
    "redis": (7, 0, 15),
    "rabbitmq": (3, 10, 8),
    "prometheus": (2, 42),
    "kong": (3, 9),
}
"""What is rendered for where the server is not installed and no version was asked for: Debian 12's."""

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "nginx": ("nginx", "-v"),
    "openssl": ("nginx", "-V"),
    "postgresql": ("postgres", "--version"),
    "pgbouncer": ("pgbouncer", "--version"),
    "pgbackrest": ("pgbackrest", "version"),
    "redis": ("redis-server", "--version"),
    "prometheus": ("promtool", "--version"),
}
_PATTERNS: Mapping[str, str] = {
    "nginx": r"nginx/([\d.]+)",
    "openssl": r"(?:running with|built with) OpenSSL ([\d.]+)",
    "postgresql": r"\) ([\d.]+)",
    "pgbouncer": r"PgBouncer ([\d.]+)",
    "pgbackrest": r"pgBackRest ([\d.]+)",
    "redis": r"v=([\d.]+)",
    "prometheus": r"version ([\d.]+)",
}


def parse(text: str) -> Version:
    """Read ``1.22.1`` as ``(1, 22, 1)``."""
    return tuple(int(part) for part in text.split(".") if part)


@cache
def installed(server: str) -> Version | None:
    """Ask the installed server for its version; None where it is absent or does not say."""
    if server == "rabbitmq":
        return _rabbitmq()
    command = _COMMANDS.get(server)
    program = find(command[0]) if command else None
    if command is None or program is None:
        return None
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=20, check=False)
    match = re.search(_PATTERNS[server], done.stdout + done.stderr)
    return parse(match[1]) if match else None


def _rabbitmq() -> Version | None:
    """Read the version from where the package keeps it: asking the server would start an Erlang machine."""
    query = shutil.which("dpkg-query")
    if query is None:
        return None
    done = subprocess.run(
        [query, "-W", "-f=${Version}", "rabbitmq-server"], capture_output=True, text=True, check=False
    )
    match = re.match(r"(\d+\.\d+\.\d+)", done.stdout)
    return parse(match[1]) if match else None


@dataclass(frozen=True)
class Versions:
    """Version of each server, looked up when first asked for: the one asked for, else the installed one."""

    asked: VersionSettings = field(default_factory=VersionSettings)
    look: Callable[[str], Version | None] = installed

    def of(self, server: str) -> Version:
        """Give a server's version. Raises ``RenderError`` for one the templates were not written for."""
        text = getattr(self.asked, server)
        version = parse(text) if text else self.look(server) or UNINSTALLED[server]
        lowest, highest = SUPPORTED[server]
        if not lowest <= version[: len(lowest)] or version[: len(highest)] > highest:
            raise RenderError(
                f"{server} {_dotted(version)} is unknown to the templates, which were written for "
                f"{_dotted(lowest)} to {_dotted(highest)}",
                hint=f"set versions.{server} in the stage file to a version in that range",
            )
        return version

    def stranger(self, server: str) -> str | None:
        """Say that another version is installed than was asked for, as far as versions make a difference; else None."""
        text = getattr(self.asked, server)
        present = self.look(server) if text else None
        if present is None:
            return None
        wanted = parse(text)
        precision = min(len(wanted), len(SUPPORTED[server][0]))
        if wanted[:precision] == present[:precision]:
            return None
        return f"{server} {_dotted(present)} is installed, the files are for {text}"

    def at_least(self, server: str, *version: int) -> bool:
        """Whether the server's version is ``version`` or newer."""
        mine = self.of(server)
        return mine + (0,) * (len(version) - len(mine)) >= version


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
