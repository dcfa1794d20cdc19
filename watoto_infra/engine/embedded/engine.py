"""The embedded engine: the port ``contracts.Engine`` without the official CLI.

A run goes through the same stages each time: take the lock and open the state (``store``), resolve pending operations
and read the resources if that is asked for (``state_check``), run the program and bring each resource to
its goal state (``host``, ``monitor``, ``run``), delete the resources that it did not register (``deletion``), close the
state. A preview does the same without lock, recorder and effects, and gives the steps that it planned.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.deletion import Deletion, deletion_order, deletion_step, is_reported
from watoto_infra.engine.embedded.guard import PROTECTED, PlanGuard, refuse_forbidden
from watoto_infra.engine.embedded.host import Host, HostFactory, ProgramHost
from watoto_infra.engine.embedded.only_filter import OnlyFilter
from watoto_infra.engine.embedded.operations import Operations, has_physical_resource
from watoto_infra.engine.embedded.provider_pool import ProviderPool, Registry
from watoto_infra.engine.embedded.run import Run
from watoto_infra.engine.embedded.run_control import RunControl
from watoto_infra.engine.embedded.run_snapshot import RunSnapshot
from watoto_infra.engine.embedded.state.lock import hold_lock
from watoto_infra.engine.embedded.state.model import Properties, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.upkeep import export_state, import_state
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.engine.embedded.state_check import Refreshed, StateCheck
from watoto_infra.engine.embedded.step_generator import StepGenerator
from watoto_infra.engine.embedded.urns import STACK_TYPE
from watoto_infra.engine.interrupts import stopping_on_interrupt
from watoto_infra.errors import Interrupted, NoSuchStack, StateError
from watoto_infra.values.contracts import (
    QUIET_OPS,
    UNKNOWN_MARK,
    Allowances,
    Change,
    DataBearing,
    Json,
    Op,
    Plan,
    Program,
    Progress,
    Result,
    Step,
    StepOutcome,
)

DEFAULT_PARALLEL = 16
SPARE_WORKERS = 8
"""Registrations served beyond the operations that may run: components and comparisons need no slot."""


@dataclass(frozen=True)
class _RunParts:
    """The parts of one run that share its snapshot."""

    snapshot: RunSnapshot
    pool: ProviderPool
    operations: Operations
    control: RunControl
    check: StateCheck


class EmbeddedEngine:
    """Runs one stack. ``providers`` maps package names to factories of providers bound to the target's endpoint.

    ``parallel`` is the number of operations under way at a time. How each method ends is told by ``contracts.Engine``.
    """

    def __init__(
        self,
        store: StackStore,
        providers: Registry,
        *,
        stack: str,
        data_bearing: DataBearing,
        parallel: int = DEFAULT_PARALLEL,
        host: HostFactory = ProgramHost,
    ) -> None:
        self._store = store
        self._providers = providers
        self._stack = stack
        self._data_bearing = data_bearing
        self._parallel = parallel
        self._host = host
        self._seeds: dict[str, bytes] = {}

    # --- runs of a program ----------------------------------------------------------------------------------------

    def preview(
        self, program: Program, progress: Progress, *, refresh: bool = False, only: Collection[str] = ()
    ) -> Plan:
        """Say what ``up`` would do; nothing is written.

        Raises ``Interrupted`` at Ctrl-C, ``UsageError`` where ``only`` names no resource, and what the program, a
        provider or the state raises.
        """
        host = self._new_host(program, progress, dry_run=True)
        parts = self._parts(self._store.load(), progress, dry_run=True)
        snapshot, only_filter = parts.snapshot, OnlyFilter(only)
        with stopping_on_interrupt(parts.control.interrupt, progress):
            self._check_state(parts, refresh=refresh)
            pending_deletes = list(snapshot.to_delete)  # the preview itself adds the old halves of its replacements
            run = self._run(program, host, parts, only_filter, dry_run=True)
        if parts.control.interrupted:
            raise Interrupted("interrupted; nothing had been begun")
        deletes = [state for state in deletion_order(run.deletes()) if not state.delete or state in pending_deletes]
        deletions = [deletion_step(state, self._data_bearing) for state in deletes if is_reported(state)]
        only_filter.check_all_matched()
        for step in deletions:
            progress.planned(step)
        for step in parts.control.steps:
            if step.op in QUIET_OPS:  # no plan shows them
                _tell(step, progress)
        registered = [
            _maybe_replaced(step, snapshot) if step.urn in run.maybe_replaced else step for step in parts.control.steps
        ]
        steps = (*_dependency_order(registered, snapshot), *deletions)
        return Plan(
            program.stack,
            program.stage,
            steps,
            _output_changes(snapshot, steps),
            refreshed=refresh,
            outputs=plain_properties(_stack_outputs(snapshot.news)),
        )

    def up(
        self,
        program: Program,
        progress: Progress,
        *,
        expect: Plan,
        allow: Allowances = Allowances(),
        only: Collection[str] = (),
    ) -> Result:
        """Perform the program, and nothing that ``expect`` does not show.

        Raises ``ProtectedResource``, ``DataAtRisk`` and ``StackLocked`` before anything is done; ``PlanViolated``, and
        what the program or a provider raises, once the operations under way are recorded. Operations that failed are in
        the result.
        """
        refuse_forbidden(expect.steps, allow)
        begin = time.perf_counter()
        host = self._new_host(program, progress, dry_run=False)
        with hold_lock(self._store.folder, "up"), self._store.begin("up", program.stage) as recorder:
            parts = self._parts(recorder.snapshot(), progress, recorder=recorder, guard=PlanGuard(expect))
            deletion = self._deletion(parts)
            with stopping_on_interrupt(parts.control.interrupt, progress):
                self._check_state(parts, refresh=expect.refreshed)
                only_filter = OnlyFilter(_with_planned(only, expect))
                run = self._run(program, host, parts, only_filter, dry_run=False)
                if not parts.control.stopped:
                    deletion.delete(run.deletes())
            return self._result(parts, recorder, expect, begin, deletion.left_behind)

    # --- runs without one -----------------------------------------------------------------------------------------

    def refresh(self, progress: Progress, *, dry_run: bool) -> Result:
        """Read every resource. The plan shows what differs; with ``dry_run`` (drift) nothing is written.

        Raises ``NoSuchStack``, ``StackLocked``, and what a provider or the state raises.
        """
        self._require_stack()
        begin = time.perf_counter()
        if dry_run:
            parts = self._parts(self._store.load(), progress, dry_run=True)
            parts.check.resolve_pending_operations()
            return self._refresh_result(parts.check.refresh_all(), begin)
        with hold_lock(self._store.folder, "refresh"), self._store.begin("refresh") as recorder:
            parts = self._parts(recorder.snapshot(), progress, recorder=recorder)
            parts.check.resolve_pending_operations()
            return self._refresh_result(parts.check.refresh_all(), begin)

    def preview_destroy(self) -> Plan:
        """Say what ``destroy`` would delete, in its order; also what a killed run made and could not record.

        Raises ``NoSuchStack``, and what a provider or the state raises.
        """
        self._require_stack()
        snapshot = RunSnapshot(self._store.load())
        pool = ProviderPool(self._providers, snapshot.olds)
        check = StateCheck(snapshot, pool, Operations(snapshot, pool, dry_run=True), parallel=self._parallel)
        check.look_for_gone()
        check.resolve_pending_operations()
        states = deletion_order([*snapshot.unregistered.values(), *snapshot.to_delete])
        steps = tuple(deletion_step(state, self._data_bearing) for state in states if is_reported(state))
        return Plan(self._stack, self._store.stage or "", steps)

    def destroy(self, progress: Progress, *, expect: Plan, allow: Allowances = Allowances()) -> Result:
        """Delete everything in the state; what is gone already is deleted.

        Raises ``NoSuchStack``, ``ProtectedResource``, ``DataAtRisk``, ``StackLocked`` and ``PlanViolated`` before
        anything is deleted. Operations that failed are in the result.
        """
        self._require_stack()
        refuse_forbidden(expect.steps, allow, destroying=True)
        begin = time.perf_counter()
        with hold_lock(self._store.folder, "destroy"), self._store.begin("destroy") as recorder:
            parts = self._parts(recorder.snapshot(), progress, recorder=recorder, guard=PlanGuard(expect))
            deletion = self._deletion(parts)
            with stopping_on_interrupt(parts.control.interrupt, progress):
                parts.check.look_for_gone()
                parts.check.resolve_pending_operations()
                deletion.delete([*parts.snapshot.unregistered.values(), *parts.snapshot.to_delete])
            return self._result(parts, recorder, expect, begin, deletion.left_behind)

    # --- the state ------------------------------------------------------------------------------------------------

    def holds_resources(self) -> bool:
        """Tell whether the state stands for anything real, or may because a run was killed or it is damaged."""
        try:
            snapshot = self._store.peek()
        except StateError:
            return True
        return bool(snapshot.pending) or any(has_physical_resource(state) for state in snapshot.resources)

    def outputs(self, *, show_secrets: bool) -> Mapping[str, Json]:
        """Give what the program exported. Raises ``NoSuchStack``, and ``WrongPassphrase`` to show secrets."""
        self._require_stack()
        if not show_secrets:
            return self._store.outputs()
        return plain_properties(self._store.load().stack_outputs(), show_secrets=True)

    def export_state(self) -> Json:
        """Give the state as ``pulumi stack import`` reads it. Raises as ``upkeep.export_state`` does."""
        return export_state(self._store)

    def import_state(self, deployment: Json) -> None:
        """Replace the state by a deployment that ``pulumi stack export`` wrote.

        Raises ``StackLocked``, and as ``upkeep.import_state`` does; then nothing has been changed.
        """
        with hold_lock(self._store.folder, "state import"):
            import_state(self._store, deployment, stack=self._stack)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _require_stack(self) -> None:
        if not self._store.exists:
            raise NoSuchStack(f"there is no stack {self._stack}", hint="`watoto up` makes it")

    def _parts(
        self,
        snapshot: Snapshot,
        progress: Progress,
        *,
        recorder: Recorder | None = None,
        guard: PlanGuard | None = None,
        dry_run: bool = False,
    ) -> _RunParts:
        run_snapshot = RunSnapshot(snapshot, recorder)
        pool = ProviderPool(self._providers, run_snapshot.olds)
        operations = Operations(run_snapshot, pool, dry_run=dry_run)
        control = RunControl(progress, guard, parallel=self._parallel)
        check = StateCheck(run_snapshot, pool, operations, parallel=self._parallel)
        return _RunParts(run_snapshot, pool, operations, control, check)

    def _check_state(self, parts: _RunParts, *, refresh: bool) -> None:
        parts.check.resolve_pending_operations()
        if refresh:
            parts.check.refresh_all()

    def _new_host(self, program: Program, progress: Progress, *, dry_run: bool) -> Host:
        """Make the host of a run; made first of all, it may start a process beside what the engine does until then."""
        return self._host(program, progress, dry_run=dry_run, workers=self._parallel + SPARE_WORKERS)

    def _run(self, program: Program, host: Host, parts: _RunParts, only: OnlyFilter, *, dry_run: bool) -> Run:
        """Run the program to its end. Raises the run's own failure rather than the program's, which follows from it."""
        run = Run(
            program,
            snapshot=parts.snapshot,
            pool=parts.pool,
            operations=parts.operations,
            generator=StepGenerator(program.stack, program.project, self._seeds),
            control=parts.control,
            only=only,
            data_bearing=self._data_bearing,
            dry_run=dry_run,
        )
        try:
            host.run(run)
        except Exception as error:
            raise parts.control.failure or error from None
        if parts.control.failure is not None:
            raise parts.control.failure
        return run

    def _deletion(self, parts: _RunParts) -> Deletion:
        return Deletion(parts.operations, parts.control, self._data_bearing, parallel=self._parallel)

    def _result(
        self, parts: _RunParts, recorder: Recorder, plan: Plan, begin: float, left_behind: Sequence[str]
    ) -> Result:
        control, snapshot = parts.control, recorder.snapshot()
        if control.failure is not None:
            raise control.failure
        result = Result(
            plan=plan,
            outcomes=tuple(control.outcomes),
            seconds=time.perf_counter() - begin,
            outputs=plain_properties(snapshot.stack_outputs()),
            simulated=tuple(sorted(state.urn for state in snapshot.resources if state.simulated)),
            left_behind=tuple(left_behind),
            interrupted=control.interrupted,
        )
        word = "interrupted" if control.interrupted else "failed" if result.failures else "done"
        recorder.close(word, summary=result.summary, digest=plan.digest)
        return result

    def _refresh_result(self, refreshed: Sequence[Refreshed], begin: float) -> Result:
        steps = tuple(_refresh_step(resource) for resource in sorted(refreshed, key=lambda resource: resource.old.urn))
        plan = Plan(self._stack, self._store.stage or "", steps, refreshed=True)
        return Result(plan, tuple(StepOutcome(step, 0.0) for step in steps), time.perf_counter() - begin)


def _with_planned(only: Collection[str], plan: Plan) -> Collection[str]:
    """Give what ``--only`` names, if anything, with what its plan shows because that needs it."""
    return {*only, *(step.urn for step in plan.steps if step.op not in QUIET_OPS)} if only else ()


def _tell(step: Step, progress: Progress) -> None:
    """Say what was found out about a resource."""
    for note in step.notes:
        progress.message("info", f"{step.urn}: {note}", step.urn)


def _refresh_step(resource: Refreshed) -> Step:
    old, changes = resource.old, resource.changes
    op = Op.DELETE if resource.new is None else Op.UPDATE if changes else Op.SAME
    return Step(op, old.urn, old.type, parent=old.parent, changes=changes, notes=resource.notes)


def _maybe_replaced(step: Step, snapshot: RunSnapshot) -> Step:
    """Show as replaced a resource that the run may have to replace, depending on which registration comes first."""
    notes = (PROTECTED,) if snapshot.news[step.urn].protect else ()
    return step if step.op is Op.CREATE else replace(step, op=Op.REPLACE, may_replace=True, notes=notes)


def _dependency_order(steps: Sequence[Step], snapshot: RunSnapshot) -> list[Step]:
    """Order steps so that each comes after the steps it depends on, the same way in every run."""
    level: dict[str, int] = {}
    for urn, state in snapshot.news.items():  # registered in this order, so what a resource needs comes before it
        level[urn] = 1 + max((level.get(needed, 0) for needed in state.needs()), default=0)
    return sorted(steps, key=lambda step: (level.get(step.urn, 0), step.urn))


def _stack_outputs(states: Mapping[str, ResourceState]) -> Properties:
    return next((state.outputs for state in states.values() if state.type == STACK_TYPE), {})


def _output_changes(snapshot: RunSnapshot, steps: Sequence[Step]) -> tuple[Change, ...]:
    """Say how the stack's outputs differ. Where nothing is done, an output that is not known yet cannot change."""
    changes = diff.compare(_stack_outputs(snapshot.olds), _stack_outputs(snapshot.news))
    idle = all(step.op in QUIET_OPS for step in steps)
    return tuple(change for change in changes if not (idle and change.after == UNKNOWN_MARK))
