"""The snapshot of a stack while a run changes it: old states, new states, pending deletes, pending operations.

Every change is recorded before anybody can build on it. A preview has a snapshot without a recorder: it is forgotten,
and no states are compared, because the SDK fails to compare an unknown with a known value.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder


class RunSnapshot:
    """The resources of one run; safe to use from many threads.

    ``olds`` is every live resource as it was at the start, corrected by what was read since. ``unregistered`` are those
    of them that the program has not registered yet: what stays there when it ends is deleted. ``news`` are the
    resources it has registered, in that order. ``to_delete`` are old halves of replacements (Pulumi's
    ``delete: true``), ``pending_operations`` those that an earlier run left open. ``findings`` are sentences for people
    about what the check of the state found, by URN.
    """

    def __init__(self, snapshot: Snapshot, recorder: Recorder | None = None) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self.olds: dict[str, ResourceState] = snapshot.by_urn()
        self.unregistered: dict[str, ResourceState] = dict(self.olds)
        self.news: dict[str, ResourceState] = {}
        self.to_delete: list[ResourceState] = [state for state in snapshot.resources if state.delete]
        self.pending_operations: tuple[PendingOperation, ...] = snapshot.pending
        self.findings: dict[str, tuple[str, ...]] = {}

    def begin(self, kind: OperationKind, state: ResourceState) -> str | None:
        """Record that an operation starts, and give its token (32 hex digits); None when nothing is recorded.

        Raises ``StateError`` when it cannot be recorded; then the operation must not be started.
        """
        return self._recorder.start(kind, state) if self._recorder is not None else None

    def put_new(
        self,
        state: ResourceState,
        *,
        old: ResourceState | None = None,
        old_to_delete: bool = False,
        token: str | None = None,
    ) -> None:
        """Put the new state of a registered resource. ``old`` is its former one (its URN may differ: an alias).

        With ``old_to_delete`` what the old state stands for still exists and waits for its deletion; else it became
        the new one. Raises ``StateError`` when it cannot be recorded.
        """
        put = [] if self._recorder is None or (token is None and state == old) else [state]
        drop: list[ResourceState] = []
        with self._lock:
            if old is not None and old.urn != state.urn:
                drop.append(old)
                put += self._repointed(old.urn, state.urn)
            if old_to_delete and old is not None:
                put.append(replace(old, delete=True))
                self.to_delete.append(put[-1])
            self.unregistered.pop(old.urn if old is not None else state.urn, None)
            self.news[state.urn] = state
        self._record(put, drop, token)

    def correct(self, state: ResourceState, *, former: ResourceState | None = None, token: str | None = None) -> None:
        """Correct an old state that the program has not registered yet by what was read, or add it.

        ``former`` is another live resource of that URN, which waits for its deletion from now on. Raises
        ``StateError`` when it cannot be recorded.
        """
        put = [state] if self.unregistered.get(state.urn) != state else []
        with self._lock:
            self.unregistered[state.urn] = self.olds[state.urn] = state
            if former is not None:
                put.append(replace(former, delete=True))
                self.to_delete.append(put[-1])
        self._record(put, [], token)

    def set_outputs(self, state: ResourceState) -> None:
        """Put a component or the stack anew, with the outputs that the program registered for it.

        Raises ``StateError`` when it cannot be recorded.
        """
        with self._lock:
            unchanged = self._recorder is None or self.news.get(state.urn) == state
            self.news[state.urn] = state
        self._record([] if unchanged else [state], [], None)

    def remove(self, state: ResourceState, *, token: str | None = None) -> None:
        """Take a resource out of the state: it was deleted, or nothing real stood behind it.

        Raises ``StateError`` when it cannot be recorded.
        """
        with self._lock:
            if state.delete:
                self.to_delete = [other for other in self.to_delete if other is not state]
            else:
                self.unregistered.pop(state.urn, None)
        self._record([], [state], token)

    def abandon(self, token: str | None) -> None:
        """Record that an operation ended without any effect. Raises ``StateError`` when it cannot be recorded."""
        if self._recorder is not None and token is not None:
            self._recorder.abandon(token)

    def _record(self, put: list[ResourceState], drop: list[ResourceState], token: str | None) -> None:
        if self._recorder is None:
            return
        if token is not None:
            self._recorder.finish(token, put=put, drop=drop)
        elif put or drop:
            self._recorder.record(put=put, drop=drop)

    def _repointed(self, former: str, urn: str) -> list[ResourceState]:
        """Point what still refers to a former URN at the new one, so that no reference dangles at any time."""
        changed = []
        for name, state in self.unregistered.items():
            if former in state.needs():
                self.unregistered[name] = self.olds[name] = _with_urn_replaced(state, former, urn)
                changed.append(self.unregistered[name])
        for index, state in enumerate(self.to_delete):
            if former in state.needs():
                self.to_delete[index] = _with_urn_replaced(state, former, urn)
                changed.append(self.to_delete[index])
        return changed


def _with_urn_replaced(state: ResourceState, former: str, new: str) -> ResourceState:
    def replaced(urns: Iterable[str]) -> tuple[str, ...]:
        return tuple(new if urn == former else urn for urn in urns)

    dependencies: Mapping[str, tuple[str, ...]] = {
        key: replaced(urns) for key, urns in state.property_dependencies.items()
    }
    provider = state.provider
    if provider and provider.startswith(f"{former}::"):
        provider = new + provider.removeprefix(former)
    return replace(
        state,
        parent=new if state.parent == former else state.parent,
        dependencies=replaced(state.dependencies),
        property_dependencies=dependencies,
        deleted_with=new if state.deleted_with == former else state.deleted_with,
        provider=provider,
    )
