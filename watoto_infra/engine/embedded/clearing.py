"""Makes way for replacements that cannot exist beside what they replace (delete before replace).

The old thing is deleted first, and before it the things that cannot stand without it, as the old state knows them. A
registration and the clearing of the same resource never overlap: a resource that is registered already is left to its
registration, one that is being cleared makes its registration wait.

Which of the two comes first is not fixed where a program takes the dependency away in the same edit. A preview so
notes such resources as ``doubtful``: shown as replaced, whether or not the run finds them in the way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from watoto_infra.engine.embedded.course import Course
from watoto_infra.engine.embedded.deletion import deletion_step
from watoto_infra.engine.embedded.ledger import Ledger
from watoto_infra.engine.embedded.operations import Operations
from watoto_infra.engine.embedded.planner import replaced_with
from watoto_infra.engine.embedded.state.model import Properties, ResourceState
from watoto_infra.providers.base import DiffResponse
from watoto_infra.values.contracts import DataBearing

Compare = Callable[[ResourceState, Properties], DiffResponse]


class Clearing:
    """Who has been registered and who has been cleared away in one run; safe to use from many threads."""

    def __init__(self, ledger: Ledger, operations: Operations, course: Course, *, dry_run: bool) -> None:
        self._ledger = ledger
        self._operations = operations
        self._course = course
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._registered: set[str] = set()
        self._cleared: dict[str, threading.Event] = {}
        self.doubtful: set[str] = set()

    def claim(self, urn: str) -> bool:
        """Begin a resource's registration, once its clearing is over; False when it was registered before."""
        with self._lock:
            first = urn not in self._registered
            self._registered.add(urn)
            clearing = self._cleared.get(urn)
        if clearing is not None:
            clearing.wait()
        return first

    def was_cleared(self, urn: str, needs: Iterable[str]) -> bool:
        """Tell whether this run deleted the thing; notes as doubtful one that needs nothing cleared any more."""
        if urn not in self._cleared:
            return False
        if not any(needed in self._cleared for needed in needs):
            self.doubtful.add(urn)
        return True

    def make_way(self, old: ResourceState, compare: Compare, data_bearing: DataBearing) -> bool:
        """Delete the old thing now, and before it what cannot stand without it; False when that failed."""
        with self._one_at_a_time:
            dependents = replaced_with(old, self._ledger.before, compare)
            for state in reversed(dependents):
                if self._reserve(state) and not self._clear(state, data_bearing):
                    return False
            with self._lock:
                self._cleared[old.urn] = threading.Event()
            return self._clear(old, data_bearing)

    def _reserve(self, state: ResourceState) -> bool:
        """Keep a dependent's registration waiting; False when it is registered or cleared already."""
        with self._lock:
            if state.urn in self._registered:
                self.doubtful.add(state.urn)
                return False
            if state.urn in self._cleared or state.urn not in self._ledger.old:
                return False
            self._cleared[state.urn] = threading.Event()
            return True

    def _clear(self, state: ResourceState, data_bearing: DataBearing) -> bool:
        try:
            step = deletion_step(state, data_bearing, half=True)
            self._course.permit(step)
            if self._dry_run:
                self._operations.vacate(state)
                return True
            return self._course.operate(step, lambda: self._operations.vacate(state)) is not None
        finally:
            self._cleared[state.urn].set()
