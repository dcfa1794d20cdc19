"""The state of a stack while a run goes on: what was there before, what this run reached, what it must still remove.

Every change is recorded before anybody can build on it. A preview has a ledger without a recorder: it forgets, and
compares no states, because the SDK fails to compare an unknown with a known value.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder


class Ledger:
    """The resources of one run, by where they stand in it; safe to use from many threads.

    ``old`` are live resources the program has not asked for yet, ``new`` those it has (in the order in which they were
    reached), ``condemned`` the old halves of replacements that still have to be deleted. ``before`` is what was live at
    the start, as far as it is known.
    """

    def __init__(self, snapshot: Snapshot, recorder: Recorder | None = None) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self.before: dict[str, ResourceState] = snapshot.by_urn()
        self.old: dict[str, ResourceState] = dict(self.before)
        self.new: dict[str, ResourceState] = {}
        self.condemned: list[ResourceState] = [state for state in snapshot.resources if state.delete]
        self.pending: tuple[PendingOperation, ...] = snapshot.pending

    def begin(self, kind: OperationKind, state: ResourceState) -> str | None:
        """Record that an operation starts, and give its token (32 hex digits); None when nothing is recorded."""
        return self._recorder.start(kind, state) if self._recorder is not None else None

    def reach(
        self,
        state: ResourceState,
        *,
        was: ResourceState | None = None,
        keep_old: bool = False,
        token: str | None = None,
    ) -> None:
        """Take a resource of the program as it is now. ``was`` is its former state (its URN may differ: an alias).

        With ``keep_old`` the former thing still exists and is condemned; else it became this one.
        """
        put = [] if self._recorder is None or (token is None and state == was) else [state]
        drop: list[ResourceState] = []
        with self._lock:
            if was is not None and was.urn != state.urn:
                drop.append(was)
                put += self._renamed(was.urn, state.urn)
            if keep_old and was is not None:
                put.append(replace(was, delete=True))
                self.condemned.append(put[-1])
            self.old.pop(was.urn if was is not None else state.urn, None)
            self.new[state.urn] = state
        self._record(put, drop, token)

    def amend(self, state: ResourceState, *, condemned: ResourceState | None = None, token: str | None = None) -> None:
        """Take what was found out about a live resource that this run has not reached, or that it exists.

        ``condemned`` is the former live thing of that URN, if it still exists and has to be deleted.
        """
        put = [state] if self.old.get(state.urn) != state else []
        with self._lock:
            self.old[state.urn] = self.before[state.urn] = state
            if condemned is not None:
                put.append(replace(condemned, delete=True))
                self.condemned.append(put[-1])
        self._record(put, [], token)

    def complete(self, state: ResourceState) -> None:
        """Take the outputs that the program registered for a component it reached before."""
        with self._lock:
            unchanged = self._recorder is None or self.new.get(state.urn) == state
            self.new[state.urn] = state
        self._record([] if unchanged else [state], [], None)

    def forget(self, state: ResourceState, *, token: str | None = None) -> None:
        """Take a resource out of the state: it was deleted, or nothing stood behind it."""
        with self._lock:
            if state.delete:
                self.condemned = [other for other in self.condemned if other is not state]
            else:
                self.old.pop(state.urn, None)
        self._record([], [state], token)

    def abandon(self, token: str | None) -> None:
        """Record that an operation ended without any effect."""
        if self._recorder is not None and token is not None:
            self._recorder.abandon(token)

    def _record(self, put: list[ResourceState], drop: list[ResourceState], token: str | None) -> None:
        if self._recorder is None:
            return
        if token is not None:
            self._recorder.finish(token, put=put, drop=drop)
        elif put or drop:
            self._recorder.record(put=put, drop=drop)

    def _renamed(self, before: str, after: str) -> list[ResourceState]:
        """Point what still refers to a former URN at the new one, so that no reference dangles at any time."""
        touched = []
        for urn, state in self.old.items():
            if before in state.needs():
                self.old[urn] = self.before[urn] = _pointed(state, before, after)
                touched.append(self.old[urn])
        for index, state in enumerate(self.condemned):
            if before in state.needs():
                self.condemned[index] = _pointed(state, before, after)
                touched.append(self.condemned[index])
        return touched


def _pointed(state: ResourceState, before: str, after: str) -> ResourceState:
    def moved(urns: Iterable[str]) -> tuple[str, ...]:
        return tuple(after if urn == before else urn for urn in urns)

    dependencies: Mapping[str, tuple[str, ...]] = {
        key: moved(urns) for key, urns in state.property_dependencies.items()
    }
    provider = state.provider
    if provider and provider.startswith(f"{before}::"):
        provider = after + provider.removeprefix(before)
    return replace(
        state,
        parent=after if state.parent == before else state.parent,
        dependencies=moved(state.dependencies),
        property_dependencies=dependencies,
        deleted_with=after if state.deleted_with == before else state.deleted_with,
        provider=provider,
    )
