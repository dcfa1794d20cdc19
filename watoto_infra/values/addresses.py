"""Where something answers: one value for it, and the table that gives local processes their ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import urlsplit

UNDECLARED = "local"
"""Stands in place of a URN for a local process that stands for nothing declared."""

EMULATOR_CREDENTIALS = "emulator"
"""Key and secret that an AWS endpoint on this machine is sent: it takes any, and a user's own must never reach it."""


@dataclass(frozen=True)
class Endpoint:
    """A host and a TCP port. ``name`` is what alerts and dashboards call the server there; empty where nobody asks."""

    host: str
    port: int
    name: str = ""

    @classmethod
    def of_url(cls, url: str, name: str = "") -> Self:
        """Give where a URL leads. Raises ``ValueError`` for one that names no host or no port."""
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url!r} names no host with a port")
        return cls(parts.hostname, parts.port, name)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Addresses(Protocol):
    """The stack's port table. Reserving is idempotent: the same URN and kind give the same address for ever."""

    def reserve(self, urn: str, kind: str, name: str = "") -> Endpoint:
        """Give the address that stands for ``urn`` (or ``UNDECLARED``) and ``kind``; ``name`` is the endpoint's."""
        ...
