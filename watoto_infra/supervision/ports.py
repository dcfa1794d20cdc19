"""The stack's port table: which loopback port stands for what, the same for as long as the stack lives."""

from __future__ import annotations

import json
import socket
import zlib
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from watoto_infra.errors import PortTaken, StateError
from watoto_infra.supervision.port_claims import Claims, claiming
from watoto_infra.values.addresses import Endpoint
from watoto_infra.whole_file import write_whole

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 29_999
"""Below Linux's range for outgoing connections (32768 to 60999), so that no client's port sits on a stopped service."""


class PortTable:
    """Implements ``values.addresses.Addresses`` over one JSON file; safe for several threads and processes at once."""

    def __init__(self, file: Path) -> None:
        self._file = file.absolute()
        self._lock = FileLock(f"{file}.lock", mode=0o600)

    def reserve(self, urn: str, kind: str, name: str = "") -> Endpoint:
        """Give the address that stands for ``urn`` and ``kind``; a new one gets a port that is free now."""
        key = f"{kind} {urn}"
        with self._lock:
            table = self._load()
            if key not in table:
                with claiming() as claims:
                    table[key] = self._free_port(set(table.values()), claims)
                    self._store(table)
            return Endpoint(LOOPBACK, table[key], name)

    def release_all(self) -> None:
        """Forget every port: the stack is gone."""
        if self._file.exists():
            with self._lock, claiming() as claims:
                claims.release(set(self._load().values()), self._file)
                self._file.unlink()

    def _free_port(self, reserved: set[int], claims: Claims) -> int:
        span = LAST - FIRST + 1
        start = zlib.crc32(str(self._file).encode())  # two stacks look from different places
        for offset in range(span):
            port = FIRST + (start + offset) % span
            if port not in reserved and _can_bind(port) and claims.claim(port, self._file):
                return port
        raise PortTaken(f"no port from {FIRST} to {LAST} is free on {LOOPBACK}", hint="stop what listens there")

    def _load(self) -> dict[str, int]:
        try:
            table = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise StateError(
                f"the port table {self._file} cannot be read: {problem}",
                hint="stop the stack and remove that file; new ports are chosen at the next start",
            ) from problem
        return {str(key): int(port) for key, port in table.items()}

    def _store(self, table: dict[str, int]) -> None:
        write_whole(self._file, json.dumps(table, indent=1, sort_keys=True), mode=0o644)


def ensure_free(address: Endpoint, purpose: str) -> None:
    """Raise ``PortTaken`` when another process listens where ``purpose`` is about to."""
    if not _can_bind(address.port):
        raise PortTaken(
            f"port {address.port} on {address.host}, which {purpose} needs, is taken by another process",
            hint=f"`ss -ltnp 'sport = :{address.port}'` names it; stop it, then run the command again",
        )


def _can_bind(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
