"""How a stack is: everything declared, and the local processes that stand for some of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class DeclaredThing:
    """One resource of the state. ``since`` is when it was last changed, ISO 8601; ``state`` is a word for people."""

    urn: str
    type: str
    id: str | None
    state: str
    since: str | None
    error: str | None = None

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True)
class LocalProcess:
    """One supervised process and what it stands for; ``since`` is when it was started, ISO 8601."""

    name: str
    stands_for: str
    state: str
    address: str | None
    pid: int | None
    since: str | None
    error: str | None = None


@dataclass(frozen=True)
class StatusReport:
    """A stack, its declared things and its local processes."""

    stack: str
    stage: str
    target: str
    things: tuple[DeclaredThing, ...]
    processes: tuple[LocalProcess, ...]
    notes: tuple[str, ...] = ()
    """Where the rehearsal is not what is declared: smaller, of another version, or not there."""


def moment(seconds: float) -> str:
    """Give seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
