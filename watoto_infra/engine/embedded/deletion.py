"""Deletes what the program did not register, or everything: dependents first, independent resources in parallel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from watoto_infra.engine.embedded.guard import PROTECTED, RETAINED
from watoto_infra.engine.embedded.operations import Operations
from watoto_infra.engine.embedded.run_control import RunControl
from watoto_infra.engine.embedded.state.integrity import in_dependency_order
from watoto_infra.engine.embedded.state.model import ResourceState
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.engine.embedded.urns import is_default_provider
from watoto_infra.providers.base import DeleteResponse
from watoto_infra.values.contracts import DataBearing, Op, Step


def deletion_step(state: ResourceState, data_bearing: DataBearing, *, replaced: bool = False) -> Step:
    """Give the step that deletes a resource; ``replaced``, and every pending delete, is a replacement's old half."""
    notes = [PROTECTED] if state.protect else []
    if state.retain_on_delete or state.external:
        notes.append(RETAINED)
    bearing = state.custom and data_bearing(state.type, plain_properties(state.inputs))
    op = Op.DELETE_REPLACED if state.delete or replaced else Op.DELETE
    return Step(op, state.urn, state.type, data_bearing=bearing, notes=tuple(notes), parent=state.parent)


def is_reported(state: ResourceState) -> bool:
    """Tell whether users see a resource come and go; Pulumi does not report default providers either."""
    return not is_default_provider(state.urn)


def deletion_order(states: Collection[ResourceState]) -> list[ResourceState]:
    """Order resources for deletion: each before all that it needs, otherwise by URN."""
    order: list[ResourceState] = []
    graph = _Dependents(states)
    ready = graph.ready()
    while ready:
        order += ready
        ready = sorted((freed for state in ready for freed in graph.deleted(state)), key=lambda state: state.urn)
    return order


class Deletion:
    """Deletes resources at the end of a run. ``left_behind`` collects, in words, what services keep nevertheless."""

    def __init__(
        self, operations: Operations, control: RunControl, data_bearing: DataBearing, *, parallel: int
    ) -> None:
        self._operations = operations
        self._control = control
        self._data_bearing = data_bearing
        self._parallel = parallel
        self.left_behind: list[str] = []

    def delete(self, states: Sequence[ResourceState]) -> None:
        """Delete them all. What a failed deletion's resource needs stays; everything else is deleted all the same.

        Raises ``PlanViolated`` before anything is deleted, for a deletion that the plan did not show.
        """
        steps = {id(state): deletion_step(state, self._data_bearing) for state in states}
        for state in states:
            if is_reported(state):
                self._control.permit(steps[id(state)])
        owners = {state.urn for state in states if not state.delete}
        graph = _Dependents(states)

        def delete(state: ResourceState) -> DeleteResponse | None:
            def operation() -> DeleteResponse:
                return self._operations.delete(state, with_owner=state.deleted_with in owners)

            if not is_reported(state):
                return operation()
            return self._control.operate(steps[id(state)], operation, stop_on_failure=False)

        with ThreadPoolExecutor(self._parallel) as threads:
            self._follow(graph, lambda state: threads.submit(delete, state))

    def _follow(self, graph: _Dependents, submit: Callable[[ResourceState], Future[DeleteResponse | None]]) -> None:
        running = {submit(state): state for state in graph.ready()}
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                state, response = running.pop(future), future.result()
                if response is None:
                    continue
                if response.left_behind:
                    self.left_behind.append(response.left_behind)
                running.update({submit(freed): freed for freed in graph.deleted(state)})


class _Dependents:
    """Counts each resource's dependents that still exist: it may be deleted once there are none.

    Only a resource that comes earlier in the state counts as needed, so pending deletes that refer to each other in a
    circle do not wait for ever.
    """

    def __init__(self, states: Collection[ResourceState]) -> None:
        self._states = in_dependency_order(states)
        self._position = {id(state): position for position, state in enumerate(self._states)}
        self._by_urn: defaultdict[str, list[ResourceState]] = defaultdict(list)
        self._dependents: dict[int, int] = {id(state): 0 for state in self._states}
        for state in self._states:
            self._by_urn[state.urn].append(state)
        for state in self._states:
            for needed in self._needs(state):
                self._dependents[id(needed)] += 1

    def ready(self) -> list[ResourceState]:
        """Give the resources that have no dependents from the start, by URN."""
        return sorted((state for state in self._states if not self._dependents[id(state)]), key=lambda state: state.urn)

    def deleted(self, state: ResourceState) -> list[ResourceState]:
        """Count a resource as deleted, and give those that have no dependents any more."""
        freed = []
        for needed in self._needs(state):
            self._dependents[id(needed)] -= 1
            if not self._dependents[id(needed)]:
                freed.append(needed)
        return freed

    def _needs(self, state: ResourceState) -> list[ResourceState]:
        others = (other for urn in set(state.needs()) for other in self._by_urn.get(urn, ()))
        return [other for other in others if self._position[id(other)] < self._position[id(state)]]
