"""Pulumi's ``deleteBeforeReplace``: an old resource is deleted first where its replacement cannot exist beside it.

The dependents that cannot exist without it, as the old state knows them, are deleted before it. A registration and the
deletion of the same resource never overlap: a resource that is registered already is left to its registration, and a
resource that is being deleted makes its registration wait.

Which of the two comes first is not fixed where a program takes the dependency away in the same edit. A preview so
collects such resources in ``maybe_replaced``: shown as replaced, whether or not the run has to delete them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from watoto_infra.engine.embedded.deletion import deletion_step
from watoto_infra.engine.embedded.operations import Operations
from watoto_infra.engine.embedded.run_control import RunControl
from watoto_infra.engine.embedded.run_snapshot import RunSnapshot
from watoto_infra.engine.embedded.state.model import Properties, ResourceState
from watoto_infra.engine.embedded.step_generator import dependent_replacements
from watoto_infra.providers.base import DiffResponse
from watoto_infra.values.contracts import DataBearing

Diff = Callable[[ResourceState, Properties], DiffResponse]
"""Asks a resource's provider what other inputs would mean for it."""


class DeleteBeforeReplace:
    """Which URNs one run has registered, and which it has deleted for a replacement; safe to use from many threads."""

    def __init__(self, snapshot: RunSnapshot, operations: Operations, control: RunControl, *, dry_run: bool) -> None:
        self._snapshot = snapshot
        self._operations = operations
        self._control = control
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._one_replacement_at_a_time = threading.Lock()
        self._registered: set[str] = set()
        self._deleted: dict[str, threading.Event] = {}
        self.maybe_replaced: set[str] = set()

    def begin_registration(self, urn: str) -> bool:
        """Begin a registration, once the deletion of that URN is over; False when it was registered before."""
        with self._lock:
            first = urn not in self._registered
            self._registered.add(urn)
            deletion = self._deleted.get(urn)
        if deletion is not None:
            deletion.wait()
        return first

    def has_deleted(self, old: ResourceState | None) -> bool:
        """Tell whether this run deleted an old resource, so that its registration has to make it again."""
        return old is not None and old.urn in self._deleted

    def was_deleted(self, urn: str, needs: Iterable[str]) -> bool:
        """Tell whether this run deleted the old resource for the replacement of another one.

        Collects it as ``maybe_replaced`` where nothing among ``needs`` was deleted: the new resource does not depend
        on the replaced one any more.
        """
        if urn not in self._deleted:
            return False
        if not any(needed in self._deleted for needed in needs):
            self.maybe_replaced.add(urn)
        return True

    def delete_with_dependents(self, old: ResourceState, diff: Diff, data_bearing: DataBearing) -> bool:
        """Delete a resource now, and before it the dependents that cannot exist without it; False when that failed.

        Raises ``PlanViolated`` for a deletion that the plan did not show.
        """
        with self._one_replacement_at_a_time:
            dependents = dependent_replacements(old, self._snapshot.olds, diff)
            for state in reversed(dependents):
                if self._reserve(state) and not self._delete(state, data_bearing):
                    return False
            with self._lock:
                self._deleted[old.urn] = threading.Event()
            return self._delete(old, data_bearing)

    def _reserve(self, state: ResourceState) -> bool:
        """Make a dependent's registration wait; False when it is registered or deleted already."""
        with self._lock:
            if state.urn in self._registered:
                self.maybe_replaced.add(state.urn)
                return False
            if state.urn in self._deleted or state.urn not in self._snapshot.unregistered:
                return False
            self._deleted[state.urn] = threading.Event()
            return True

    def _delete(self, state: ResourceState, data_bearing: DataBearing) -> bool:
        try:
            step = deletion_step(state, data_bearing, replaced=True)
            self._control.permit(step)
            if self._dry_run:
                self._operations.delete_keeping_entry(state)
                return True
            deletion = self._control.operate(step, lambda: self._operations.delete_keeping_entry(state))
            return deletion is not None
        finally:
            self._deleted[state.urn].set()
