"""Looks at how things really are before a run: reads resources again, and notices a control plane that lost its memory.

A live resource that is gone keeps its entry, marked ``pending_replacement``: the next run creates it again from its old
inputs, so that automatic names stay, and nobody tries to delete it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.ledger import Ledger
from watoto_infra.engine.embedded.operations import Operations, has_thing
from watoto_infra.engine.embedded.provider_pool import ProviderPool, answer
from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState
from watoto_infra.errors import ProviderError
from watoto_infra.providers.base import AdoptRequest
from watoto_infra.values.contracts import Change


@dataclass(frozen=True)
class Finding:
    """One resource that was read: as it stood in the state, and as it is (None: gone)."""

    was: ResourceState
    now: ResourceState | None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What somebody changed: differences of the inputs; other outputs follow from those."""
        return diff.compare(self.was.inputs, self.now.inputs) if self.now is not None else ()


class Survey:
    """Reads the things of one stack. What is found is recorded, unless the ledger only previews."""

    def __init__(self, ledger: Ledger, pool: ProviderPool, operations: Operations, *, parallel: int) -> None:
        self._ledger = ledger
        self._pool = pool
        self._operations = operations
        self._parallel = parallel

    def everything(self) -> list[Finding]:
        """Read every thing in the state."""
        return self._read(self._things())

    def reached(self) -> list[Finding]:
        """Ask each control plane that may forget for the first thing that this run reached, as ``volatile`` does.

        It is gone if memory was lost at any time since; what was made later may be there.
        """
        return self.volatile(among=[state for state in self._ledger.new.values() if has_thing(state)])

    def volatile(self, *, may_be_down: bool = False, among: Sequence[ResourceState] | None = None) -> list[Finding]:
        """Ask each control plane that may forget for one thing; read all of its things if that one is gone.

        ``may_be_down``: one that does not even answer has lost everything, as its memory dies with it. ``among``: the
        things to look at; all of the state that the run has not reached, if not given.
        """
        by_provider: dict[str, list[ResourceState]] = {}
        for state in self._things() if among is None else among:
            by_provider.setdefault(state.provider or "", []).append(state)
        findings: list[Finding] = []
        for reference, states in by_provider.items():
            provider = self._pool.get(reference, states[0].urn)
            if not provider.volatile:
                continue
            try:
                gone = self._operations.read(_witness(states, provider.durable)) is None
            except ProviderError:
                if not may_be_down:
                    raise
                findings += [self._lost(state) for state in states]
                self._drop_pending(reference)
                continue
            if gone:
                findings += self._read(states)
        return findings

    def resolve_pending(self) -> None:
        """Find out how the operations ended that a killed run, or a failed call, left open."""
        for operation in self._ledger.pending:
            if operation.kind is OperationKind.CREATING:
                self._adopt(operation)
            else:
                self._reread(operation)
        self._ledger.pending = ()

    def _adopt(self, operation: PendingOperation) -> None:
        """Take into the state what a creation left behind that was never recorded; drop it if it left nothing."""
        goal = operation.resource
        provider = self._pool.get(goal.provider, goal.urn)
        request = AdoptRequest(goal.urn, dict(goal.inputs), operation.token)
        found = answer(provider.adopt(request), operation="adopt", urn=goal.urn)
        if found is None:
            self._ledger.abandon(operation.token)
            return
        inputs = diff.seal(found.inputs, goal.inputs)
        outputs = diff.seal(found.properties, goal.inputs, goal.additional_secret_outputs)
        state = replace(goal, id=found.resource_id, inputs=inputs, outputs=outputs)
        former = self._ledger.old.get(goal.urn)
        stands = former is not None and not former.pending_replacement and former.id != state.id
        self._ledger.amend(state, condemned=former if stands else None, token=operation.token)

    def _reread(self, operation: PendingOperation) -> None:
        """See what an update or a deletion came to."""
        asked = operation.resource
        known = [self._ledger.old.get(asked.urn), *self._ledger.condemned]
        state = next((one for one in known if one is not None and (one.urn, one.id) == (asked.urn, asked.id)), None)
        if state is None or not has_thing(state):
            self._ledger.abandon(operation.token)
            return
        now = self._operations.read(state)
        if state.delete and now is None:
            self._ledger.forget(state, token=operation.token)
        elif state.delete:
            self._ledger.abandon(operation.token)
        else:
            self._ledger.amend(now or replace(state, pending_replacement=True), token=operation.token)

    def _things(self) -> list[ResourceState]:
        return [state for state in self._ledger.old.values() if has_thing(state)]

    def _read(self, states: Iterable[ResourceState]) -> list[Finding]:
        with ThreadPoolExecutor(self._parallel) as threads:
            return list(threads.map(self._read_one, states))

    def _read_one(self, state: ResourceState) -> Finding:
        now = self._operations.read(state)
        if now is None:
            return self._lost(state)
        if now != state:
            self._ledger.amend(now)
        return Finding(state, now)

    def _lost(self, state: ResourceState) -> Finding:
        self._ledger.amend(replace(state, pending_replacement=True))
        return Finding(state, None)

    def _drop_pending(self, reference: str) -> None:
        mine = [operation for operation in self._ledger.pending if operation.resource.provider == reference]
        for operation in mine:
            self._ledger.abandon(operation.token)
        self._ledger.pending = tuple(one for one in self._ledger.pending if one not in mine)


def _witness(states: list[ResourceState], durable: Collection[str]) -> ResourceState:
    """Give a thing that is gone if everything is: neither simulated nor of a type that outlives a loss."""
    real = [state for state in states if not state.simulated] or states
    return next((state for state in real if state.type not in durable), real[0])
