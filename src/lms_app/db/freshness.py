"""Read your own writes: the WAL position that a replica must have replayed before it may answer a client that wrote.

A write leaves the primary's WAL position in the current context. The API hands it to the client, signed, and takes it
back with the next request. Jobs and commands start without one and may read from any replica.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NewType

Lsn = NewType("Lsn", int)
"""A position in the write-ahead log, in bytes."""

_primary_only: ContextVar[bool] = ContextVar("lms_primary_only", default=False)
_marks: ContextVar[Mapping[str, Lsn] | None] = ContextVar("lms_read_after", default=None)


def parse_lsn(text: str) -> Lsn:
    """Parse PostgreSQL's `pg_lsn` notation, two hexadecimal halves: ``16/B374D848``. Raises ValueError."""
    high, low = text.split("/")
    return Lsn((int(high, 16) << 32) | int(low, 16))


def mark(database: str) -> Lsn:
    """Return the position that a replica of this database must have replayed; 0 when nothing was written."""
    marks = _marks.get()
    return Lsn(0) if marks is None else marks.get(database, Lsn(0))


def note_write(database: str, lsn: Lsn) -> None:
    """Remember that this context wrote to the database."""
    _marks.set({**(_marks.get() or {}), database: lsn})


def marks() -> Mapping[str, Lsn]:
    """Return all positions of this context."""
    return _marks.get() or {}


def start(known: Mapping[str, Lsn] | None = None) -> None:
    """Forget this context's writes and take over the positions of earlier ones, by database."""
    _marks.set(known)


def primary_only() -> bool:
    """Whether this context reads from primaries alone."""
    return _primary_only.get()


@contextmanager
def from_primary() -> Iterator[None]:
    """Send all reads of a block to primaries, which show every committed write."""
    token = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(token)


@contextmanager
def context(known: Mapping[str, Lsn] | None = None) -> Iterator[None]:
    """Run a block with these positions; the writes before it count again after it."""
    token = _marks.set(known)
    try:
        yield
    finally:
        _marks.reset(token)
