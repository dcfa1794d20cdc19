"""How a stack is: everything declared, and the local processes that stand for some of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import cast

from watoto_infra.values.documents import SCHEMA_VERSION, ProcessDocument, StatusDocument, ThingDocument


def is_manifest(type_: str) -> bool:
    """Tell the types that no API server here takes: what its schema took is kept, and local servers do the work."""
    return type_.startswith("kubernetes:")


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

    def as_json(self) -> StatusDocument:
        """Give the report as ``status --json`` prints it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "stack": self.stack,
            "stage": self.stage,
            "target": self.target,
            "things": [cast("ThingDocument", asdict(thing)) for thing in self.things],
            "processes": [cast("ProcessDocument", asdict(process)) for process in self.processes],
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[str]:
        """Give the report for people: processes first, then each declared thing."""
        counts = Counter(thing.state for thing in self.things)
        counted = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing declared"
        yield f"stack {self.stack} at {self.stage} on {self.target}: {counted}"
        for note in self.notes:
            yield f"  note: {note}"
        for process in self.processes:
            yield (
                f"  {process.name}  {process.state}  {process.address or '-'}  since {process.since or '-'}"
                f"  (stands for {process.stands_for})" + (f"  {process.error}" if process.error else "")
            )
        for thing in self.things:
            yield (
                f"  {thing.name}  {thing.type}  {thing.state}  {thing.id or '-'}  since {thing.since or '-'}"
                + (f"  {thing.error}" if thing.error else "")
            )


def moment(seconds: float) -> str:
    """Give seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
