"""The embedded engine: the port ``contracts.Engine`` without the official CLI.

A run goes through the same stages each time: take the lock and open the state (``store``), find out what a killed run
left open and whether the control plane still knows its things (``survey``), run the program and do what it asks
(``host``, ``monitor``, ``run``), delete what it no longer asks for (``deletion``), close the state. A preview does the
same without lock, recorder and effects, and gives the steps that came up.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.course import Course
from watoto_infra.engine.embedded.deletion import Deletion, deletion_step, in_waves, reported
from watoto_infra.engine.embedded.guard import PROTECTED, PlanGuard, refuse_forbidden
from watoto_infra.engine.embedded.host import HostFactory, ProgramHost
from watoto_infra.engine.embedded.ledger import Ledger
from watoto_infra.engine.embedded.operations import Operations, has_thing
from watoto_infra.engine.embedded.planner import Planner
from watoto_infra.engine.embedded.provider_pool import ProviderPool, Registry
from watoto_infra.engine.embedded.run import Run, Workshop
from watoto_infra.engine.embedded.state.lock import hold_lock
from watoto_infra.engine.embedded.state.model import STACK_TYPE, Properties, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.upkeep import export_state, import_state
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.engine.embedded.survey import Finding, Survey
from watoto_infra.engine.embedded.targets import Targets
from watoto_infra.engine.interrupts import stopping_on_interrupt
from watoto_infra.errors import Interrupted, NoSuchStack, ProviderError, StateError
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
class _Session:
    """The parts of one run that know each other."""

    ledger: Ledger
    pool: ProviderPool
    operations: Operations
    course: Course
    survey: Survey


class EmbeddedEngine:
    """Runs one stack. ``providers`` maps package names to what makes a provider bound to the target's endpoint."""

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
        """Say what ``up`` would do; nothing is written."""
        session = self._session(self._store.load(), progress, dry_run=True)
        targets = Targets(only)
        with stopping_on_interrupt(session.course.interrupt, progress):
            self._look(session, everything=refresh)
            leftovers = list(session.ledger.condemned)
            run = self._run(program, session, targets, progress, dry_run=True)
        if session.course.interrupted:
            raise Interrupted("interrupted; nothing had been begun")
        leaving = [state for state in in_waves(run.surplus()) if not state.delete or state in leftovers]
        deletions = [deletion_step(state, self._data_bearing) for state in leaving if reported(state)]
        targets.check_all_met()
        for step in deletions:
            progress.planned(step)
        shown = [_doubted(step, session.ledger) if step.urn in run.doubtful else step for step in session.course.steps]
        steps = (*_in_order(shown, session.ledger), *deletions)
        return Plan(program.stack, program.stage, steps, _output_changes(session.ledger, steps), refreshed=refresh)

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

        Raises ``ProtectedResource`` and ``DataAtRisk`` before anything is done; ``PlanViolated`` after what ran is
        recorded. Operations that failed are in the result.
        """
        refuse_forbidden(expect.steps, allow)
        begin = time.perf_counter()
        with hold_lock(self._store.folder, "up"), self._store.begin("up", program.stage) as recorder:
            session = self._session(recorder.snapshot(), progress, recorder=recorder, guard=PlanGuard(expect))
            deletion = self._deletion(session)
            with stopping_on_interrupt(session.course.interrupt, progress):
                self._look(session, everything=expect.refreshed)
                run = self._run(program, session, Targets(only), progress, dry_run=False)
                if not session.course.stopped:
                    deletion.delete(run.surplus())
                    _check_memory(session)
            return self._result(session, recorder, expect, begin, deletion.left_behind)

    # --- runs without one -----------------------------------------------------------------------------------------

    def refresh(self, progress: Progress, *, dry_run: bool) -> Result:
        """Read everything again. The plan shows what differs; with ``dry_run`` (drift) nothing is written."""
        self._require_stack()
        begin = time.perf_counter()
        if dry_run:
            session = self._session(self._store.load(), progress, dry_run=True)
            return self._found(session, session.survey.everything(), begin)
        with hold_lock(self._store.folder, "refresh"), self._store.begin("refresh") as recorder:
            session = self._session(recorder.snapshot(), progress, recorder=recorder)
            session.survey.resolve_pending()
            return self._found(session, session.survey.everything(), begin)

    def preview_destroy(self) -> Plan:
        """Say what ``destroy`` would delete, in its order; also what a killed run made and could not record."""
        self._require_stack()
        ledger = Ledger(self._store.load())
        pool = ProviderPool(self._providers, ledger.before)
        survey = Survey(ledger, pool, Operations(ledger, pool, dry_run=True), parallel=self._parallel)
        survey.volatile(may_be_down=True)
        survey.resolve_pending()
        states = in_waves([*ledger.old.values(), *ledger.condemned])
        steps = tuple(deletion_step(state, self._data_bearing) for state in states if reported(state))
        return Plan(self._stack, self._store.stage or "", steps)

    def destroy(self, progress: Progress, *, expect: Plan, allow: Allowances = Allowances()) -> Result:
        """Delete everything in the state. Works when a control plane that keeps nothing is down or was emptied."""
        self._require_stack()
        refuse_forbidden(expect.steps, allow, destroying=True)
        begin = time.perf_counter()
        with hold_lock(self._store.folder, "destroy"), self._store.begin("destroy") as recorder:
            session = self._session(recorder.snapshot(), progress, recorder=recorder, guard=PlanGuard(expect))
            deletion = self._deletion(session)
            with stopping_on_interrupt(session.course.interrupt, progress):
                session.survey.volatile(may_be_down=True)
                session.survey.resolve_pending()
                deletion.delete([*session.ledger.old.values(), *session.ledger.condemned])
            return self._result(session, recorder, expect, begin, deletion.left_behind)

    # --- the state ------------------------------------------------------------------------------------------------

    def holds_resources(self) -> bool:
        """Tell whether anything real stands behind the state, or may because a run was killed or it is damaged."""
        try:
            snapshot = self._store.peek()
        except StateError:
            return True
        return bool(snapshot.pending) or any(has_thing(state) for state in snapshot.resources)

    def outputs(self, *, show_secrets: bool) -> Mapping[str, Json]:
        """Give what the program exported."""
        self._require_stack()
        snapshot = self._store.load() if show_secrets else self._store.peek()
        return plain_properties(snapshot.stack_outputs(), show_secrets=show_secrets)

    def export_state(self) -> Json:
        """Give the state as ``pulumi stack import`` reads it."""
        return export_state(self._store)

    def import_state(self, deployment: Json) -> None:
        """Replace the state by what ``pulumi stack export`` wrote."""
        with hold_lock(self._store.folder, "state import"):
            import_state(self._store, deployment, stack=self._stack)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _require_stack(self) -> None:
        if not self._store.exists:
            raise NoSuchStack(f"there is no stack {self._stack}", hint="`watoto up` makes it")

    def _session(
        self,
        snapshot: Snapshot,
        progress: Progress,
        *,
        recorder: Recorder | None = None,
        guard: PlanGuard | None = None,
        dry_run: bool = False,
    ) -> _Session:
        ledger = Ledger(snapshot, recorder)
        pool = ProviderPool(self._providers, ledger.before)
        operations = Operations(ledger, pool, dry_run=dry_run)
        course = Course(progress, guard, parallel=self._parallel)
        return _Session(ledger, pool, operations, course, Survey(ledger, pool, operations, parallel=self._parallel))

    def _look(self, session: _Session, *, everything: bool) -> None:
        session.survey.resolve_pending()
        if everything:
            session.survey.everything()
        else:
            session.survey.volatile()

    def _run(self, program: Program, session: _Session, targets: Targets, progress: Progress, *, dry_run: bool) -> Run:
        run = Run(
            Workshop(
                program=program,
                ledger=session.ledger,
                pool=session.pool,
                operations=session.operations,
                planner=Planner(program.stack, program.project, self._seeds),
                course=session.course,
                targets=targets,
                data_bearing=self._data_bearing,
                dry_run=dry_run,
            )
        )
        host = self._host(program, progress, dry_run=dry_run, workers=self._parallel + SPARE_WORKERS)
        try:
            host.run(run)
        except Exception as error:
            raise session.course.failure or error from None
        if session.course.failure is not None:
            raise session.course.failure
        return run

    def _deletion(self, session: _Session) -> Deletion:
        return Deletion(session.operations, session.course, self._data_bearing, parallel=self._parallel)

    def _result(
        self, session: _Session, recorder: Recorder, plan: Plan, begin: float, left_behind: Sequence[str]
    ) -> Result:
        if session.course.failure is not None:
            raise session.course.failure
        course, snapshot = session.course, recorder.snapshot()
        result = Result(
            plan=plan,
            outcomes=tuple(course.outcomes),
            seconds=time.perf_counter() - begin,
            outputs=plain_properties(snapshot.stack_outputs()),
            simulated=tuple(sorted(state.urn for state in snapshot.resources if state.simulated)),
            left_behind=tuple(left_behind),
            interrupted=course.interrupted,
        )
        word = "interrupted" if course.interrupted else "failed" if result.failures else "done"
        recorder.close(word, summary=result.summary, digest=plan.digest)
        return result

    def _found(self, session: _Session, findings: Sequence[Finding], begin: float) -> Result:
        steps = tuple(_finding_step(finding) for finding in sorted(findings, key=lambda finding: finding.was.urn))
        plan = Plan(self._stack, self._store.stage or "", steps, refreshed=True)
        return Result(plan, tuple(StepOutcome(step, 0.0) for step in steps), time.perf_counter() - begin)


def _check_memory(session: _Session) -> None:
    """Fail the run if a control plane lost its memory in the middle; what is gone is noted for the next one."""
    lost = sum(finding.now is None for finding in session.survey.reached())
    if lost:
        session.course.fail(
            ProviderError(
                f"the control plane was started again during the run and has forgotten {lost} of its resources",
                hint="`watoto up` makes them again under the same names",
            )
        )


def _finding_step(finding: Finding) -> Step:
    was, changes = finding.was, finding.changes
    op = Op.DELETE if finding.now is None else Op.UPDATE if changes else Op.SAME
    notes = ("gone: `watoto up` creates it again",) if finding.now is None else ()
    return Step(op, was.urn, was.type, parent=was.parent, changes=changes, notes=notes)


def _doubted(step: Step, ledger: Ledger) -> Step:
    """Show as replaced what the run may have to replace, depending on what it meets first."""
    notes = (PROTECTED,) if ledger.new[step.urn].protect else ()
    return step if step.op is Op.CREATE else replace(step, op=Op.REPLACE, may_replace=True, notes=notes)


def _in_order(steps: Sequence[Step], ledger: Ledger) -> list[Step]:
    """Order steps so that each comes after those it depends on, the same way in every run."""
    level: dict[str, int] = {}
    for urn, state in ledger.new.items():  # in the order they were reached, so what one needs is there already
        level[urn] = 1 + max((level.get(needed, 0) for needed in state.needs()), default=0)
    return sorted(steps, key=lambda step: (level.get(step.urn, 0), step.urn))


def _output_changes(ledger: Ledger, steps: Sequence[Step]) -> tuple[Change, ...]:
    """Say how the stack's outputs differ. Where nothing is done, one that is not known yet cannot change."""

    def outputs(states: Mapping[str, ResourceState]) -> Properties:
        return next((state.outputs for state in states.values() if state.type == STACK_TYPE), {})

    changes = diff.compare(outputs(ledger.before), outputs(ledger.new))
    idle = all(step.op in QUIET_OPS for step in steps)
    return tuple(change for change in changes if not (idle and change.after == UNKNOWN_MARK))
