"""Compares the state with what really exists before a run.

A live resource that is gone keeps its entry, marked ``pending_replacement``: the next run creates it again from its old
inputs, so that automatic names stay, and nobody tries to delete it. It is looked for at every refresh, because a
deletion can be taken back: then its entry counts again.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from watoto_infra.engine.embedded import diff, paths
from watoto_infra.engine.embedded.operations import Operations, has_physical_resource, is_managed
from watoto_infra.engine.embedded.provider_pool import ProviderPool, call_provider
from watoto_infra.engine.embedded.run_snapshot import RunSnapshot
from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState
from watoto_infra.engine.embedded.state.values import plain
from watoto_infra.errors import ProviderError
from watoto_infra.providers.base import AdoptRequest, Hanging
from watoto_infra.values.contracts import Change, ChangeKind

NOT_DECLARED = "hangs on it and is not declared; `watoto up` leaves it to you"
"""The note on a resource that somebody hung something on."""

ADOPTED = "made by an earlier run that got no answer: it is taken over"
"""The note on what an earlier run began to make and did not know to be there."""


@dataclass(frozen=True)
class Refreshed:
    """One resource that was read: its old state, its new one (None: it is gone), and how to have it back, in words.

    ``hanging`` is what hangs on it, and once all is read what of that is not declared.
    """

    old: ResourceState
    new: ResourceState | None
    rescue: str = ""
    hanging: tuple[Hanging, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is not as it was declared and applied: differences of the inputs; other outputs follow from those."""
        if self.new is None:
            return ()
        changed = diff.compare(self.new.inputs, self.new.present_inputs, by_name=True)
        return (*changed, *(_added(one) for one in self.hanging))

    @property
    def notes(self) -> tuple[str, ...]:
        """What people must know of it, in sentences."""
        gone = ("gone: `watoto up` creates it again",) if self.new is None else ()
        return (*gone, *((self.rescue,) if self.rescue else ()), *((NOT_DECLARED,) if self.hanging else ()))


class StateCheck:
    """Reads the resources of one stack. What differs is recorded, unless the snapshot is a preview's.

    Every method raises ``ProviderError`` when a provider cannot read, ``StateError`` when the state cannot be written.
    """

    def __init__(self, snapshot: RunSnapshot, pool: ProviderPool, operations: Operations, *, parallel: int) -> None:
        self._snapshot = snapshot
        self._pool = pool
        self._operations = operations
        self._parallel = parallel

    def refresh_all(self) -> list[Refreshed]:
        """Read every resource in the state, also those that were gone when they were last read."""
        refreshed = [
            self._with_undeclared(resource) for resource in self._read_all([*self._unregistered(), *self._gone()])
        ]
        for resource in refreshed:
            if resource.hanging:
                said = ", ".join(_added(one).path for one in resource.hanging)
                self._snapshot.findings[resource.old.urn] = (f"{said}: {NOT_DECLARED}",)
        return refreshed

    def _with_undeclared(self, resource: Refreshed) -> Refreshed:
        """Give what was read with those things that hang on it and that no resource of the state stands for."""
        owner = resource.old
        if not resource.hanging:
            return resource
        theirs = [
            state
            for state in (*self._snapshot.unregistered.values(), *self._snapshot.to_delete)
            if owner.urn in state.needs() or owner.id in map(plain, state.inputs.values())
        ]
        declared = [one for one in resource.hanging if any(_stands_for(state, one) for state in theirs)]
        return replace(resource, hanging=tuple(one for one in resource.hanging if one not in declared))

    def look_for_gone(self) -> None:
        """Take back what was gone and is there again. A provider that does not answer leaves it gone."""
        with suppress(ProviderError):
            self._read_all(self._gone())

    def resolve_pending_operations(self) -> None:
        """Find out how the operations ended that a killed run, or a failed call, left open."""
        for operation in self._snapshot.pending_operations:
            if operation.kind is OperationKind.CREATING:
                self._adopt(operation)
            else:
                self._reread(operation)
        self._snapshot.pending_operations = ()

    def _adopt(self, operation: PendingOperation) -> None:
        """Take into the state what a creation made that was never recorded; drop the operation if it made nothing."""
        goal = operation.resource
        provider = self._pool.get(goal.provider, goal.urn)
        request = AdoptRequest(goal.urn, dict(goal.inputs), operation.token)
        adopted = call_provider(provider.adopt(request), operation="adopt", urn=goal.urn)
        if adopted is None:
            self._snapshot.abandon(operation.token)
            return
        outputs = diff.mark_secrets(adopted.properties, goal.inputs, goal.additional_secret_outputs)
        state = replace(diff.as_read(goal, adopted.inputs), id=adopted.resource_id, outputs=outputs)
        former = self._snapshot.unregistered.get(goal.urn)
        exists = former is not None and not former.pending_replacement and former.id != state.id
        self._snapshot.correct(state, former=former if exists else None, token=operation.token)
        self._snapshot.findings[goal.urn] = (ADOPTED,)

    def _reread(self, operation: PendingOperation) -> None:
        """See what an update or a deletion came to."""
        begun_with = operation.resource
        same_urn = [self._snapshot.unregistered.get(begun_with.urn), *self._snapshot.to_delete]
        state = next(
            (
                candidate
                for candidate in same_urn
                if candidate is not None and (candidate.urn, candidate.id) == (begun_with.urn, begun_with.id)
            ),
            None,
        )
        if state is None or not has_physical_resource(state):
            self._snapshot.abandon(operation.token)
            return
        now = self._operations.read(state)
        if state.delete and now is None:
            self._snapshot.remove(state, token=operation.token)
        elif state.delete:
            self._snapshot.abandon(operation.token)
        else:
            self._snapshot.correct(now or replace(state, pending_replacement=True), token=operation.token)

    def _gone(self) -> list[ResourceState]:
        """Give the entries of what is gone, where the state has a provider to ask and an id to ask for."""
        gone = [state for state in self._snapshot.unregistered.values() if state.pending_replacement and state.id]
        return [state for state in gone if is_managed(state) and state.provider_urn in self._snapshot.olds]

    def _unregistered(self) -> list[ResourceState]:
        return [state for state in self._snapshot.unregistered.values() if has_physical_resource(state)]

    def _read_all(self, states: Iterable[ResourceState]) -> list[Refreshed]:
        with ThreadPoolExecutor(self._parallel) as threads:
            return list(threads.map(self._read, states))

    def _read(self, state: ResourceState) -> Refreshed:
        look = self._operations.look(state)
        if look.now is None:
            return self._mark_gone(state, look.rescue)
        now = replace(look.now, pending_replacement=False)
        if now != state:
            self._snapshot.correct(now)
        return Refreshed(state, now, hanging=look.hanging)

    def _mark_gone(self, state: ResourceState, rescue: str = "") -> Refreshed:
        if not state.pending_replacement:
            self._snapshot.correct(replace(state, pending_replacement=True))
        if rescue:
            self._snapshot.findings[state.urn] = (rescue,)
        return Refreshed(state, None, rescue)


def _stands_for(state: ResourceState, found: Hanging) -> bool:
    """Tell whether what was found hanging is what a state stands for."""
    if state.type != found.type:
        return False
    if found.property == "id":
        return state.id == found.name
    value = state.outputs.get(found.property) or state.inputs.get(found.property)
    return value is not None and plain(value) == found.name


def _added(one: Hanging) -> Change:
    kind = one.type.rpartition(":")[2]
    return Change(paths.write((kind, paths.ElementName(one.name))), ChangeKind.ADD, None, one.name)
