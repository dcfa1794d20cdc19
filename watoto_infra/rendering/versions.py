"""Versions of the servers that read the rendered files: what is installed, what was asked for, what depends on it.

A version that no template was written for is refused: a key that one version requires is fatal to another.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from watoto_infra.errors import RenderError
from watoto_infra.programs import find

Version = tuple[int, ...]


@dataclass(frozen=True)
class Release:
    """The versions of a server that its templates were written for, and how the installed one is found.

    ``lowest`` and ``highest`` bound them; (3,) is any version 3. ``default`` is rendered for where the server is not
    installed and no version was asked for: Debian 12's. The first group of ``pattern`` finds the version in what
    ``command`` prints; without a command nobody is asked.
    """

    lowest: Version
    highest: Version
    default: Version
    command: tuple[str, ...] = ()
    pattern: str = ""

    def covers(self, version: Version) -> bool:
        """Tell whether the templates were written for a version."""
        return self.lowest <= version[: len(self.lowest)] and version[: len(self.highest)] <= self.highest


def parse(text: str) -> Version:
    """Read ``1.22.1`` as ``(1, 22, 1)``."""
    return tuple(int(part) for part in text.split(".") if part)


@cache
def installed(release: Release) -> Version | None:
    """Ask the installed server for its version; None where it is absent or does not say."""
    program = find(release.command[0]) if release.command else None
    if program is None:
        return None
    done = subprocess.run([program, *release.command[1:]], capture_output=True, text=True, timeout=20, check=False)
    match = re.search(release.pattern, done.stdout + done.stderr)
    return parse(match[1]) if match else None


@dataclass(frozen=True)
class Versions:
    """Version of each server, looked up when first asked for: the one asked for, else the installed one.

    ``asked`` are the stage's ``versions``. Raises ``RenderError`` where it names a server that has no releases.
    """

    releases: Mapping[str, Release]
    asked: Mapping[str, str] = field(default_factory=dict)
    look: Callable[[Release], Version | None] = installed

    def __post_init__(self) -> None:
        unknown = sorted(set(self.asked) - set(self.releases))
        if unknown:
            raise RenderError(
                f"versions.{unknown[0]}: no rendered file depends on the version of a server of that name",
                hint=f"servers: {', '.join(sorted(self.releases))}",
            )

    def of(self, server: str) -> Version:
        """Give a server's version. Raises ``RenderError`` for one the templates were not written for."""
        release, text = self.releases[server], self.asked.get(server)
        version = parse(text) if text else self.look(release) or release.default
        if not release.covers(version):
            raise RenderError(
                f"{server} {_dotted(version)} is unknown to the templates, which were written for "
                f"{_dotted(release.lowest)} to {_dotted(release.highest)}",
                hint=f"set versions.{server} in the stage file to a version in that range",
            )
        return version

    def mismatch(self, server: str) -> str | None:
        """Say that another version is installed than was asked for, as far as versions make a difference; else None."""
        release, text = self.releases[server], self.asked.get(server)
        present = self.look(release) if text else None
        if text is None or present is None:
            return None
        asked = parse(text)
        precision = min(len(asked), len(release.lowest))
        if asked[:precision] == present[:precision]:
            return None
        return f"{server} {_dotted(present)} is installed, the files are for {text}"

    def at_least(self, server: str, *version: int) -> bool:
        """Whether the server's version is ``version`` or newer."""
        mine = self.of(server)
        return mine + (0,) * (len(version) - len(mine)) >= version


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
