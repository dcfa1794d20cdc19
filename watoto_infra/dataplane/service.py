"""What the supervisor needs to know of one local process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from watoto_infra.contracts import Address


@dataclass(frozen=True)
class Service:
    """One process under the supervisor.

    ``command`` is an argument list without secrets. ``healthy`` answers within a second whether the process does its
    work now. ``start_seconds`` is how long it may take until it does. ``stands_for`` names the declared thing.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    stands_for: str
    healthy: Callable[[], bool]
    address: Address | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 30.0
    stop_signal: str = "TERM"
    stop_seconds: int = 10
