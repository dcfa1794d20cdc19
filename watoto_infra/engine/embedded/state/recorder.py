"""Records what a run does, step by step, so that it may be killed at any point."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from watoto_infra.engine.embedded.state.integrity import in_dependency_order
from watoto_infra.engine.embedded.state.journal import Journal
from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.secrets import PassphraseCrypter
from watoto_infra.engine.embedded.state.statefile import Key, WorkingSnapshot, begin_entry, end_entry, key_of
from watoto_infra.errors import StateError
from watoto_infra.values.contracts import Json


@dataclass
class StoreHandle:
    """A state opened for writing: what was read, with what to write secrets, and the file's serial number (0: none)."""

    snapshot: Snapshot
    crypter: PassphraseCrypter
    serial: int
    stage: str | None


class RunStorage(Protocol):
    """What a recorder writes to; ``StackStore`` is it."""

    def open_journal(self, handle: StoreHandle, *, kind: str, stage: str | None) -> Journal:
        """Start the run's journal. Raises ``StateError`` when it cannot be written."""
        ...

    def compact(self, handle: StoreHandle, snapshot: Snapshot, *, stage: str | None) -> None:
        """Write the state file anew and retire the journal. Raises ``StateError``; then both are as they were."""
        ...

    def note_run(self, entry: Mapping[str, Json]) -> None:
        """Add a line to the history. Raises ``StateError`` when it cannot be written."""
        ...


class Recorder:
    """The record of one run; all methods may be called from many threads.

    Every operation on a real thing is ``start`` ... ``finish`` (or ``abandon``, when it surely had no effect). An
    operation that was started and neither finished nor abandoned stays pending for the next run. As a context manager
    it closes itself, as failed when the block raises.
    """

    def __init__(self, store: RunStorage, handle: StoreHandle, kind: str, stage: str | None) -> None:
        self._store = store
        self._handle = handle
        self._kind = kind
        self._stage = stage
        self._working = WorkingSnapshot.of(handle.snapshot)
        self._changing = threading.Lock()
        self._journal: Journal | None = None
        self._started = datetime.now(UTC)
        self._closed = False

    def start(self, kind: OperationKind, resource: ResourceState, *, token: str | None = None) -> str:
        """Note, durably, that an operation is about to start; give its token.

        ``resource`` is the goal without id for a creation, the old state otherwise. Raises ``StateError``, and then
        the operation must not be started.
        """
        pending = PendingOperation(resource, kind, token or uuid.uuid4().hex)
        entry = begin_entry(pending, self._handle.crypter)
        with self._changing:
            journal = self._opened()
            ticket = journal.append(entry)
            self._working.begin(pending)
        journal.sync(ticket)
        return pending.token

    def finish(self, token: str, *, put: Iterable[ResourceState] = (), drop: Iterable[ResourceState] = ()) -> None:
        """Note, durably, how an operation ended: which resources there are now and which are gone.

        Raises ``StateError`` when the disk does not take it; the operation then stays pending for the next run.
        """
        self._end(token, tuple(put), tuple(drop), wait=True)

    def abandon(self, token: str) -> None:
        """Note, durably, that an operation ended without any effect. Raises ``StateError`` as ``finish`` does."""
        self._end(token, (), (), wait=True)

    def record(
        self, *, put: Iterable[ResourceState] = (), drop: Iterable[ResourceState] = (), wait: bool = False
    ) -> None:
        """Note a change that no provider took part in (a component, a resource's options, stack outputs).

        It is on the disk at the latest with the next operation; ``wait`` to have it there at once. Raises
        ``StateError`` when the disk does not take it.
        """
        self._end(None, tuple(put), tuple(drop), wait=wait)

    def snapshot(self) -> Snapshot:
        """Give the state as it is now, in the order of dependencies."""
        with self._changing:
            resources = tuple(self._working.resources.values())
            pending = tuple(self._working.pending.values())
        return Snapshot(in_dependency_order(resources), pending)

    def close(self, result: str, *, summary: Mapping[str, int] | None = None, digest: str | None = None) -> None:
        """End the run: write the state anew, drop the journal and note the run in the history.

        ``result`` is one word (``done``, ``failed``, ``interrupted``). Raises ``StateError`` when the disk does not
        take it; journal and old state then still hold everything.
        """
        if self._closed:
            return
        self._closed = True
        if self._journal is not None:
            self._journal.close()
        if self._journal is not None or self._stage != self._handle.stage:
            self._store.compact(self._handle, self.snapshot(), stage=self._stage)
        ended = datetime.now(UTC)
        entry: dict[str, Json] = {
            "when": self._started.isoformat(timespec="seconds"),
            "kind": self._kind,
            "stage": self._stage,
            "result": result,
            "seconds": round((ended - self._started).total_seconds(), 1),
            "summary": dict(summary or {}),
            "digest": digest,
        }
        self._store.note_run(entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close("done")
            return
        with suppress(StateError):  # the block's own error says more, and the journal keeps what was recorded
            self.close("failed")

    def _end(
        self, token: str | None, put: tuple[ResourceState, ...], drop: tuple[ResourceState, ...], *, wait: bool
    ) -> None:
        keys: list[Key] = [key_of(resource) for resource in drop]
        entry = end_entry(token, put, keys, self._handle.crypter)
        with self._changing:
            self._working.end(token, put, keys)  # first: it happened, whether or not the journal can take it
            journal = self._opened()
            ticket = journal.append(entry)
        if wait:
            journal.sync(ticket)

    def _opened(self) -> Journal:
        """Give the journal, made when the run first changes something."""
        if self._journal is None:
            self._journal = self._store.open_journal(self._handle, kind=self._kind, stage=self._stage)
        return self._journal
