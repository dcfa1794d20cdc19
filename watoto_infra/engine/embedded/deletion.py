"""Deletes what a run leaves over, or everything: dependents before what they depend on, the independent in parallel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from watoto_infra.engine.embedded.course import Course
from watoto_infra.engine.embedded.guard import KEPT, PROTECTED
from watoto_infra.engine.embedded.operations import Operations
from watoto_infra.engine.embedded.state.integrity import ordered
from watoto_infra.engine.embedded.state.model import ResourceState
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.engine.embedded.urns import is_default_provider
from watoto_infra.providers.base import DeleteResponse
from watoto_infra.values.contracts import DataBearing, Op, Step


def deletion_step(state: ResourceState, data_bearing: DataBearing, *, half: bool = False) -> Step:
    """Say that a resource is deleted: the whole of it, or (also with ``half``) the old half of a replacement."""
    notes = [PROTECTED] if state.protect else []
    if state.retain_on_delete or state.external:
        notes.append(KEPT)
    bearing = state.custom and data_bearing(state.type, plain_properties(state.inputs))
    op = Op.DELETE_REPLACED if state.delete or half else Op.DELETE
    return Step(op, state.urn, state.type, data_bearing=bearing, notes=tuple(notes), parent=state.parent)


def reported(state: ResourceState) -> bool:
    """Tell whether users see a resource come and go; default providers are the engine's own, as in Pulumi."""
    return not is_default_provider(state.urn)


def in_waves(states: Collection[ResourceState]) -> list[ResourceState]:
    """Order resources for deletion: each before all that it needs."""
    order: list[ResourceState] = []
    graph = _Graph(states)
    ready = graph.free()
    while ready:
        order += ready
        ready = sorted((free for state in ready for free in graph.gone(state)), key=lambda state: state.urn)
    return order


class Deletion:
    """One deleting phase. ``left_behind`` collects, in words, what a service keeps of what was deleted."""

    def __init__(self, operations: Operations, course: Course, data_bearing: DataBearing, *, parallel: int) -> None:
        self._operations = operations
        self._course = course
        self._data_bearing = data_bearing
        self._parallel = parallel
        self.left_behind: list[str] = []

    def delete(self, states: Sequence[ResourceState]) -> None:
        """Delete them all. What a failed one needs stays; everything else is deleted all the same.

        An operation the plan did not show raises ``PlanViolated`` before anything is deleted.
        """
        steps = {id(state): deletion_step(state, self._data_bearing) for state in states}
        for state in states:
            if reported(state):
                self._course.permit(steps[id(state)])
        owners = {state.urn for state in states if not state.delete}
        graph = _Graph(states)

        def delete_one(state: ResourceState) -> DeleteResponse | None:
            def act() -> DeleteResponse:
                return self._operations.delete(state, with_owner=state.deleted_with in owners)

            if not reported(state):
                return act()
            return self._course.operate(steps[id(state)], act, stop_on_failure=False)

        with ThreadPoolExecutor(self._parallel) as threads:
            self._follow(graph, lambda state: threads.submit(delete_one, state))

    def _follow(self, graph: _Graph, submit: Callable[[ResourceState], Future[DeleteResponse | None]]) -> None:
        running = {submit(state): state for state in graph.free()}
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                state, response = running.pop(future), future.result()
                if response is None:
                    continue
                if response.left_behind:
                    self.left_behind.append(response.left_behind)
                running.update({submit(free): free for free in graph.gone(state)})


class _Graph:
    """Who waits for whom: a resource is free once everything that needs it is gone.

    Only what stands earlier in the state counts as needed, so halves of old replacements that refer to each other in a
    circle do not wait for ever.
    """

    def __init__(self, states: Collection[ResourceState]) -> None:
        self._states = ordered(states)
        self._place = {id(state): place for place, state in enumerate(self._states)}
        self._by_urn: defaultdict[str, list[ResourceState]] = defaultdict(list)
        self._waiting_for: dict[int, int] = {id(state): 0 for state in self._states}
        for state in self._states:
            self._by_urn[state.urn].append(state)
        for state in self._states:
            for needed in self._needs(state):
                self._waiting_for[id(needed)] += 1

    def free(self) -> list[ResourceState]:
        """Give what nothing waits for from the start."""
        return sorted(
            (state for state in self._states if not self._waiting_for[id(state)]), key=lambda state: state.urn
        )

    def gone(self, state: ResourceState) -> list[ResourceState]:
        """Note that one is gone, and give what became free by it."""
        freed = []
        for needed in self._needs(state):
            self._waiting_for[id(needed)] -= 1
            if not self._waiting_for[id(needed)]:
                freed.append(needed)
        return freed

    def _needs(self, state: ResourceState) -> list[ResourceState]:
        others = (other for urn in set(state.needs()) for other in self._by_urn.get(urn, ()))
        return [other for other in others if self._place[id(other)] < self._place[id(state)]]
