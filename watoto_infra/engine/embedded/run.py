"""One run of a program against one stack: each registration is done when the monitor hands it over.

The life of a run: the program (in its own process) registers a resource's goal state → the step generator compares it
with the old state → the guard checks that the plan showed the step → the operation is done and recorded → the program
gets the outputs, and registers the resources that depend on them. So dependencies order themselves, and resources that
do not depend on each other run in parallel. When the program has ended, the resources that it did not register are
deleted (``deletion.py``).

A preview is the same run with providers that only predict. After a failure, or Ctrl-C, the operations under way are
finished and recorded; every later registration is answered with "skipped", so the program soon ends by itself.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from dataclasses import replace

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.delete_before_replace import DeleteBeforeReplace
from watoto_infra.engine.embedded.goal import Goal
from watoto_infra.engine.embedded.guard import PROTECTED
from watoto_infra.engine.embedded.monitor import RegisterResult
from watoto_infra.engine.embedded.only_filter import OnlyFilter
from watoto_infra.engine.embedded.operations import Operations
from watoto_infra.engine.embedded.provider_pool import ProviderPool, call_provider
from watoto_infra.engine.embedded.run_control import RunControl
from watoto_infra.engine.embedded.run_snapshot import RunSnapshot
from watoto_infra.engine.embedded.state.model import Properties, ResourceState
from watoto_infra.engine.embedded.state.signatures import UNKNOWN_SENTINEL
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.engine.embedded.step_generator import PlannedStep, StepGenerator, paths_to_nowhere
from watoto_infra.engine.embedded.urns import PROVIDER_TYPE_PREFIX, default_provider_urn, make_urn, name_of, package_of
from watoto_infra.errors import ProgramError, UnsupportedFeature, UsageError
from watoto_infra.providers.base import DiffRequest, DiffResponse, InvokeRequest
from watoto_infra.values.contracts import DataBearing, Op, Program, Step


class Run:
    """Serves one program's registrations (``monitor.Registrar``). Its methods are called from many threads.

    Whatever a method raises is an error for people; the monitor passes it to ``fail``.
    """

    def __init__(
        self,
        program: Program,
        *,
        snapshot: RunSnapshot,
        pool: ProviderPool,
        operations: Operations,
        generator: StepGenerator,
        control: RunControl,
        only: OnlyFilter,
        data_bearing: DataBearing,
        dry_run: bool,
    ) -> None:
        self._program = program
        self._snapshot = snapshot
        self._pool = pool
        self._operations = operations
        self._generator = generator
        self._control = control
        self._only = only
        self._data_bearing = data_bearing
        self._dry_run = dry_run
        self._delete_before_replace = DeleteBeforeReplace(snapshot, operations, control, dry_run=dry_run)
        self._default_provider_lock = threading.Lock()
        self._former_urns: dict[str, tuple[str, ...]] = {}
        self._skipped: set[str] = set()
        self._left_out: dict[str, tuple[Step, frozenset[str]]] = {}

    # --- what the monitor calls -----------------------------------------------------------------------------------

    def register(self, goal: Goal) -> RegisterResult:
        """Bring one resource to its goal state, and give its outputs.

        Raises ``ProgramError`` for a URN that is registered twice, ``PlanViolated`` for a step that the plan did not
        show, ``UsageError`` where ``--only`` skipped a resource that this one needs, and what the provider raises.
        """
        urn = self._begin_registration(goal)
        if self._control.stopped:
            return RegisterResult(urn, skipped=True)
        old = self._old_state(urn, goal)
        if goal.type.startswith(PROVIDER_TYPE_PREFIX):
            return _result(self._register_provider(urn, goal, old))
        provider = None
        if goal.custom:
            if not (self._only.includes(urn) or self._delete_before_replace.has_deleted(old)):
                if not self._dry_run or not _is_missing(urn, old):
                    return self._skip(urn, old)
                return self._leave_out(urn, goal, old)
            self._take_in(goal.needs())
            self._refuse_if_dependency_skipped(urn, goal)
            goal = replace(goal, provider=goal.provider or self._default_provider(urn, goal.type, goal.version))
            provider = self._pool.get(goal.provider, urn)
        deleted = old is not None and self._delete_before_replace.was_deleted(old.urn, goal.needs())
        return self._perform(self._generator.generate(goal, urn, old, provider, deleted=deleted))

    def read(self, goal: Goal) -> RegisterResult:
        """Read a resource that the program does not manage (``Resource.get``).

        Raises ``UsageError`` where there is none of that id, and what the provider raises.
        """
        urn = self._begin_registration(goal)
        if self._control.stopped or goal.read_id in {None, "", UNKNOWN_SENTINEL}:
            return RegisterResult(urn, skipped=True)
        reference = goal.provider or self._default_provider(urn, goal.type, goal.version)
        external = ResourceState(
            urn=urn,
            type=goal.type,
            custom=True,
            id=goal.read_id,
            inputs=goal.inputs,
            parent=goal.parent,
            external=True,
            dependencies=goal.dependencies,
            provider=reference,
            additional_secret_outputs=goal.additional_secret_outputs,
        )
        state = self._operations.read(external)
        if state is None:
            raise UsageError(
                f"{urn}: there is no {goal.type} with id {goal.read_id}", hint=f"see {goal.source_position}"
            )
        self._snapshot.put_new(
            replace(state, inputs=goal.inputs, read_inputs=None), old=self._snapshot.unregistered.get(urn)
        )
        self._report_done(Step(Op.READ, urn, goal.type, parent=goal.parent))
        return _result(state)

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        """Take the outputs of a component, or of the stack itself."""
        state = self._snapshot.news.get(urn)
        if state is None or self._control.stopped:
            return
        if not self._dry_run:  # an output of a resource that --only skips stays as it was
            outputs = {
                key: state.outputs.get(key, value) if diff.has_unknowns(value) else value
                for key, value in outputs.items()
                if key in state.outputs or not diff.has_unknowns(value)
            }
        self._snapshot.set_outputs(replace(state, outputs=outputs))

    def invoke(
        self, token: str, arguments: Properties, provider: str | None, version: str
    ) -> tuple[Properties, tuple[tuple[str, str], ...]]:
        """Call a provider's function. Raises what the provider raises."""
        reference = provider or self._default_provider(token, token, version)
        serving = self._pool.get(reference, token)
        response = call_provider(serving.invoke(InvokeRequest(token, dict(arguments))), operation="invoke", urn=token)
        failures = tuple((failure.property, failure.reason) for failure in response.failures)
        return response.return_value or {}, failures

    def fail(self, error: Exception) -> None:
        """Note why the run cannot go on; nothing new starts from here."""
        self._control.fail(error)

    @property
    def maybe_replaced(self) -> set[str]:
        """URNs of which a preview cannot tell whether they are replaced, so it shows that they are."""
        return self._delete_before_replace.maybe_replaced

    # --- after the program ----------------------------------------------------------------------------------------

    def deletes(self) -> list[ResourceState]:
        """Give the resources to delete: those that the program did not register, and pending deletes."""
        unregistered = self._snapshot.unregistered
        deletes = {urn: state for urn, state in unregistered.items() if self._only.includes(urn)}
        if not self._only.includes_all:
            remaining = [state for urn, state in unregistered.items() if urn not in deletes]
            needed = {urn for state in (*remaining, *self._snapshot.news.values()) for urn in state.needs()}
            deletes = {urn: state for urn, state in deletes.items() if urn not in needed}
        return [*deletes.values(), *self._snapshot.to_delete]

    # --- one registration -----------------------------------------------------------------------------------------

    def _begin_registration(self, goal: Goal) -> str:
        urn = make_urn(self._program.stack, self._program.project, goal.parent, goal.type, goal.name)
        if not self._delete_before_replace.begin_registration(urn):
            where = f" (again at {goal.source_position})" if goal.source_position else ""
            raise ProgramError(f"two resources have the URN {urn}{where}", hint="give one of them another name")
        return urn

    def _old_state(self, urn: str, goal: Goal) -> ResourceState | None:
        aliases = self._generator.alias_urns(goal, self._former_urns)
        if aliases:
            self._former_urns[urn] = aliases
        unregistered = self._snapshot.unregistered
        return next((unregistered[name] for name in (urn, *aliases) if name in unregistered), None)

    def _perform(self, planned: PlannedStep) -> RegisterResult:
        step = self._step(planned)
        self._control.permit(step)
        if self._dry_run:
            for path in paths_to_nowhere(planned):
                self._control.say("warning", f"ignore_changes names {path}, which leads nowhere", planned.urn)
        if planned.op is Op.SAME:
            state = self._operations.perform(planned)
            self._report_done(step)
            return _result(state)
        if planned.delete_before_replace and planned.old is not None:
            if not self._delete_before_replace.delete_with_dependents(planned.old, self._diff, self._data_bearing):
                return RegisterResult(planned.urn, skipped=True)
            planned = replace(planned, old=self._snapshot.olds[planned.old.urn])
        if self._dry_run:
            state = self._operations.perform(planned)
            self._control.plan(self._step(planned))  # its provider may have said more
            return _result(state)
        if planned.op is Op.REPLACE:
            step = replace(step, op=Op.CREATE_REPLACEMENT)
        new = self._control.operate(step, lambda: self._operations.perform(planned))
        return _result(new) if new is not None else RegisterResult(planned.urn, skipped=True)

    def _step(self, planned: PlannedStep) -> Step:
        """Give a step as the plan shows it."""
        new, old = planned.new, planned.old
        declared = [new.inputs, *([old.inputs] if old is not None else [])]
        return Step(
            planned.op,
            new.urn,
            new.type,
            changes=diff.shown_by_name(planned.changes, old.present_inputs if old is not None else {}, new.inputs),
            may_replace=planned.may_replace,
            data_bearing=new.custom
            and any(self._data_bearing(new.type, plain_properties(inputs)) for inputs in declared),
            notes=(
                *((PROTECTED,) if new.protect and planned.op is Op.REPLACE else ()),
                *self._snapshot.findings.get(old.urn if old is not None else new.urn, ()),
            ),
            parent=new.parent,
        )

    def _diff(self, state: ResourceState, inputs: Properties) -> DiffResponse:
        """Ask a provider what other inputs would mean for a resource in the state."""
        provider = self._pool.get(state.provider, state.urn)
        ignored = list(state.ignore_changes)
        request = DiffRequest(state.urn, state.id or "", dict(state.outputs), dict(inputs), ignored)
        return call_provider(provider.diff(request), operation="diff", urn=state.urn)

    def _report_done(self, step: Step) -> None:
        """Report a step that needed no operation."""
        if self._dry_run:
            self._control.plan(step)
        else:
            self._control.unchanged(step)

    # --- --only ---------------------------------------------------------------------------------------------------

    def _skip(self, urn: str, old: ResourceState | None) -> RegisterResult:
        """Leave a resource as it is because ``--only`` does not name it."""
        if old is None or _is_missing(urn, old):
            self._skipped.add(urn)
            return RegisterResult(urn, skipped=True)
        self._snapshot.put_new(old, old=old)
        self._report_done(Step(Op.SAME, urn, old.type, parent=old.parent))
        return _result(old)

    def _leave_out(self, urn: str, goal: Goal, old: ResourceState | None) -> RegisterResult:
        """Plan a resource that does not exist and that ``--only`` does not name, in case one that it names needs it."""
        goal = replace(goal, provider=goal.provider or self._default_provider(urn, goal.type, goal.version))
        planned = self._generator.generate(goal, urn, old, self._pool.get(goal.provider, urn))
        state = self._operations.perform(planned)
        self._left_out[urn] = (self._step(planned), frozenset(goal.needs()))
        return _result(state)

    def _take_in(self, needs: Iterable[str]) -> None:
        """Add what a resource needs to the plan, and what that needs, where it was left out."""
        waiting = list(needs)
        while waiting:
            step, further = self._left_out.pop(waiting.pop(), (None, frozenset()))
            if step is not None:
                self._control.plan(step)
                waiting += further

    def _refuse_if_dependency_skipped(self, urn: str, goal: Goal) -> None:
        missing = sorted(self._skipped.intersection(goal.needs()))
        if missing:
            raise UsageError(
                f"{urn} needs {', '.join(missing)}, which does not exist and which --only leaves out",
                hint="name it with --only too",
            )

    # --- provider resources ---------------------------------------------------------------------------------------

    def _default_provider(self, user: str, type_: str, version: str) -> str:
        """Give the reference of the default provider, made for resources that name none; Pulumi hides it as well."""
        program, package = self._program, package_of(type_)
        urn = default_provider_urn(program.stack, program.project, package, version)
        with self._default_provider_lock:
            state = self._snapshot.news.get(urn)
            if state is None:
                inputs = {"version": PropertyValue(version)} if version else {}
                for key, value in program.config.items():
                    if key.startswith(f"{package}:"):
                        secret = key in program.secret_keys
                        inputs[key.removeprefix(f"{package}:")] = PropertyValue(value, is_secret=secret)
                goal = Goal(type=f"{PROVIDER_TYPE_PREFIX}{package}", name=name_of(urn), custom=True, inputs=inputs)
                state = self._register_provider(urn, goal, self._snapshot.unregistered.get(urn), user=user)
            return f"{urn}::{state.id}"

    def _register_provider(self, urn: str, goal: Goal, old: ResourceState | None, *, user: str = "") -> ResourceState:
        """Check and configure a provider. A default provider, made for its first ``user``, is not reported."""
        provider = self._pool.make(package_of(goal.type), user or urn)
        planned = self._generator.generate(goal, urn, old, provider)
        step = self._step(planned)
        if not user:
            self._control.permit(step)
        new_id = UNKNOWN_SENTINEL if self._dry_run else str(uuid.uuid4())
        state = replace(planned.new, id=old.id if old is not None else new_id, outputs=planned.new.inputs)
        known = {name: value for name, value in state.inputs.items() if not diff.has_unknowns(value)}
        if state.inputs.keys() - known.keys() - set(provider.known_later if self._dry_run else ()):
            raise UnsupportedFeature(
                f"{urn} is configured with something that is only known after an operation",
                hint="give the provider values that are known beforehand",
            )
        self._pool.configure(urn, goal.type, known, provider)
        self._snapshot.put_new(state, old=old)
        if not user:
            self._report_done(step)
        return state


def _is_missing(urn: str, old: ResourceState | None) -> bool:
    """Tell whether a resource does not exist under its URN, or is gone."""
    return old is None or old.urn != urn or old.pending_replacement


def _result(state: ResourceState) -> RegisterResult:
    known_id = state.id if state.id != UNKNOWN_SENTINEL else None
    return RegisterResult(state.urn, known_id, state.outputs if state.custom else {})
