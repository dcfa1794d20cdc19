"""One run of a program against one stack: the registrations, as the monitor hands them over, each done when it comes.

The life of a run: the program (in its own process) registers a resource → the planner decides what that means → the
guard looks whether the plan showed it → the operation is done and recorded → the program gets the outputs, and goes on
to what depends on them. So dependencies order themselves, and what does not depend on each other runs in parallel.
When the program has ended, what it did not ask for is deleted (``deletion.py``).

A preview is the same run with providers that only foretell. After a failure, or Ctrl-C, what runs is finished and
recorded; every later registration is answered with "skipped", so the program soon ends by itself.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, replace

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.clearing import Clearing
from watoto_infra.engine.embedded.course import Course
from watoto_infra.engine.embedded.goal import Goal
from watoto_infra.engine.embedded.guard import PROTECTED
from watoto_infra.engine.embedded.ledger import Ledger
from watoto_infra.engine.embedded.monitor import Answer
from watoto_infra.engine.embedded.operations import Operations
from watoto_infra.engine.embedded.planner import Decision, Planner
from watoto_infra.engine.embedded.provider_pool import ProviderPool, answer
from watoto_infra.engine.embedded.state.model import PROVIDER_TYPE_PREFIX, Properties, ResourceState
from watoto_infra.engine.embedded.state.values import UNKNOWN_SENTINEL, plain_properties
from watoto_infra.engine.embedded.targets import Targets
from watoto_infra.engine.embedded.urns import default_provider_urn, make_urn, name_of, package_of
from watoto_infra.errors import ProgramError, UnsupportedFeature, UsageError
from watoto_infra.providers.base import DiffRequest, DiffResponse, InvokeRequest
from watoto_infra.values.contracts import DataBearing, Op, Program, Step


@dataclass(frozen=True)
class Workshop:
    """What a run works with."""

    program: Program
    ledger: Ledger
    pool: ProviderPool
    operations: Operations
    planner: Planner
    course: Course
    targets: Targets
    data_bearing: DataBearing
    dry_run: bool


class Run:
    """Serves one program's registrations (``monitor.Registrar``). Its methods are called from many threads."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._ledger = workshop.ledger
        self._course = workshop.course
        self._default_lock = threading.Lock()
        self._former: dict[str, tuple[str, ...]] = {}
        self._clearing = Clearing(workshop.ledger, workshop.operations, workshop.course, dry_run=workshop.dry_run)
        self._left_out: set[str] = set()

    # --- what the monitor calls -----------------------------------------------------------------------------------

    def register(self, goal: Goal) -> Answer:
        """Bring one resource to what the program asks for, and give its outputs."""
        urn = self._take(goal)
        if self._course.stopped:
            return Answer(urn, skipped=True)
        old = self._former_state(urn, goal)
        if goal.type.startswith(PROVIDER_TYPE_PREFIX):
            return _answer(self._provide(urn, goal, old))
        provider = None
        if goal.custom:
            if not self._shop.targets.include(urn):
                return self._leave(urn, old)
            self._refuse_left_out(urn, goal)
            goal = replace(goal, provider=goal.provider or self._default_provider(urn, goal.type, goal.version))
            provider = self._shop.pool.get(goal.provider, urn)
        deleted = old is not None and self._clearing.was_cleared(old.urn, goal.needs())
        return self._perform(self._shop.planner.decide(goal, urn, old, provider, deleted=deleted))

    def read(self, goal: Goal) -> Answer:
        """Read a resource that the program does not manage (``Resource.get``)."""
        urn = self._take(goal)
        if self._course.stopped or goal.read_id in {None, "", UNKNOWN_SENTINEL}:
            return Answer(urn, skipped=True)
        reference = goal.provider or self._default_provider(urn, goal.type, goal.version)
        asked = ResourceState(
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
        found = self._shop.operations.read(asked)
        if found is None:
            raise UsageError(f"{urn}: there is no {goal.type} with id {goal.read_id}", hint=f"see {goal.place}")
        self._ledger.reach(replace(found, inputs=goal.inputs), was=self._ledger.old.get(urn))
        self._done(Step(Op.READ, urn, goal.type, parent=goal.parent))
        return _answer(found)

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        """Take what a component, or the stack itself, gives out."""
        state = self._ledger.new.get(urn)
        if state is None or self._course.stopped:
            return
        if not self._shop.dry_run:  # what hangs on a resource that --only leaves out stays as it was
            outputs = {
                key: state.outputs.get(key, value) if diff.has_unknowns(value) else value
                for key, value in outputs.items()
                if key in state.outputs or not diff.has_unknowns(value)
            }
        self._ledger.complete(replace(state, outputs=outputs))

    def invoke(
        self, token: str, arguments: Properties, provider: str | None, version: str
    ) -> tuple[Properties, tuple[tuple[str, str], ...]]:
        """Call a provider's function."""
        reference = provider or self._default_provider(token, token, version)
        serving = self._shop.pool.get(reference, token)
        response = answer(serving.invoke(InvokeRequest(token, dict(arguments))), operation="invoke", urn=token)
        failures = tuple((failure.property, failure.reason) for failure in response.failures)
        return response.return_value or {}, failures

    def fail(self, error: Exception) -> None:
        """Note why the run cannot go on; nothing new starts from here."""
        self._course.fail(error)

    @property
    def doubtful(self) -> set[str]:
        """URNs of which a preview cannot tell whether they are replaced, so it shows that they are (``Clearing``)."""
        return self._clearing.doubtful

    # --- after the program ----------------------------------------------------------------------------------------

    def surplus(self) -> list[ResourceState]:
        """What the program did not ask for, and old halves of replacements: to be deleted."""
        targets = self._shop.targets
        gone = [state for state in self._ledger.old.values() if targets.include(state.urn)]
        if not targets.everything:
            deleted = {state.urn for state in gone}
            kept = [state for urn, state in self._ledger.old.items() if urn not in deleted]
            needed = {urn for state in (*kept, *self._ledger.new.values()) for urn in state.needs()}
            gone = [state for state in gone if state.urn not in needed]
        return [*gone, *self._ledger.condemned]

    # --- one registration -----------------------------------------------------------------------------------------

    def _take(self, goal: Goal) -> str:
        program = self._shop.program
        urn = make_urn(program.stack, program.project, goal.parent, goal.type, goal.name)
        if not self._clearing.claim(urn):
            where = f" (again at {goal.place})" if goal.place else ""
            raise ProgramError(f"two resources have the URN {urn}{where}", hint="give one of them another name")
        return urn

    def _former_state(self, urn: str, goal: Goal) -> ResourceState | None:
        aliases = self._shop.planner.alias_urns(goal, self._former)
        if aliases:
            self._former[urn] = aliases
        return next((self._ledger.old[name] for name in (urn, *aliases) if name in self._ledger.old), None)

    def _perform(self, decision: Decision) -> Answer:
        step = self._step(decision)
        self._course.permit(step)
        if decision.op is Op.SAME:
            state = self._shop.operations.perform(decision)
            self._done(step)
            return _answer(state)
        if decision.delete_first and decision.old is not None:
            if not self._clearing.make_way(decision.old, self._compare, self._shop.data_bearing):
                return Answer(decision.urn, skipped=True)
            decision = replace(decision, old=self._ledger.before[decision.old.urn])
        if self._shop.dry_run:
            state = self._shop.operations.perform(decision)
            self._course.note(step)
            return _answer(state)
        if decision.op is Op.REPLACE:
            step = replace(step, op=Op.CREATE_REPLACEMENT)
        done = self._course.operate(step, lambda: self._shop.operations.perform(decision))
        return _answer(done) if done is not None else Answer(decision.urn, skipped=True)

    def _step(self, decision: Decision) -> Step:
        state, old = decision.state, decision.old
        inputs = old.inputs if old is not None else state.inputs
        return Step(
            decision.op,
            state.urn,
            state.type,
            changes=decision.changes,
            may_replace=decision.may_replace,
            data_bearing=state.custom and self._shop.data_bearing(state.type, plain_properties(inputs)),
            notes=(PROTECTED,) if state.protect and decision.op is Op.REPLACE else (),
            parent=state.parent,
        )

    def _compare(self, state: ResourceState, inputs: Properties) -> DiffResponse:
        """Ask a provider what other inputs would mean for a resource in the state."""
        provider = self._shop.pool.get(state.provider, state.urn)
        ignored = list(state.ignore_changes)
        request = DiffRequest(state.urn, state.id or "", dict(state.outputs), dict(inputs), ignored)
        return answer(provider.diff(request), operation="diff", urn=state.urn)

    def _done(self, step: Step) -> None:
        """Note a step that needed no operation."""
        if self._shop.dry_run:
            self._course.note(step)
        else:
            self._course.unchanged(step)

    # --- --only ---------------------------------------------------------------------------------------------------

    def _leave(self, urn: str, old: ResourceState | None) -> Answer:
        """Leave a resource as it is because ``--only`` does not name it."""
        if old is None or old.urn != urn or old.pending_replacement:
            self._left_out.add(urn)
            return Answer(urn, skipped=True)
        self._ledger.reach(old, was=old)
        self._done(Step(Op.SAME, urn, old.type, parent=old.parent))
        return _answer(old)

    def _refuse_left_out(self, urn: str, goal: Goal) -> None:
        missing = sorted(self._left_out.intersection(goal.needs()))
        if missing:
            raise UsageError(
                f"{urn} needs {', '.join(missing)}, which does not exist and which --only leaves out",
                hint="name it with --only too",
            )

    # --- provider resources ---------------------------------------------------------------------------------------

    def _default_provider(self, user: str, type_: str, version: str) -> str:
        """Give the reference of the provider made for resources that name none; Pulumi does not report it either."""
        program, package = self._shop.program, package_of(type_)
        urn = default_provider_urn(program.stack, program.project, package, version)
        with self._default_lock:
            state = self._ledger.new.get(urn)
            if state is None:
                inputs = {"version": PropertyValue(version)} if version else {}
                for key, value in program.config.items():
                    if key.startswith(f"{package}:"):
                        secret = key in program.secret_keys
                        inputs[key.removeprefix(f"{package}:")] = PropertyValue(value, is_secret=secret)
                goal = Goal(type=f"{PROVIDER_TYPE_PREFIX}{package}", name=name_of(urn), custom=True, inputs=inputs)
                state = self._provide(urn, goal, self._ledger.old.get(urn), user=user)
            return f"{urn}::{state.id}"

    def _provide(self, urn: str, goal: Goal, old: ResourceState | None, *, user: str = "") -> ResourceState:
        """Check and configure a provider; nothing real stands behind its resource. One made for a ``user`` is quiet."""
        provider = self._shop.pool.make(package_of(goal.type), user or urn)
        decision = self._shop.planner.decide(goal, urn, old, provider)
        step = self._step(decision)
        if not user:
            self._course.permit(step)
        new_id = UNKNOWN_SENTINEL if self._shop.dry_run else str(uuid.uuid4())
        state = replace(decision.state, id=old.id if old is not None else new_id, outputs=decision.state.inputs)
        known = {name: value for name, value in state.inputs.items() if not diff.has_unknowns(value)}
        if state.inputs.keys() - known.keys() - set(provider.known_later if self._shop.dry_run else ()):
            raise UnsupportedFeature(
                f"{urn} is configured with something that is only known after an operation",
                hint="give the provider values that are known beforehand",
            )
        self._shop.pool.configure(urn, goal.type, known, provider)
        self._ledger.reach(state, was=old)
        if not user:
            self._done(step)
        return state


def _answer(state: ResourceState) -> Answer:
    known = state.id if state.id != UNKNOWN_SENTINEL else None
    return Answer(state.urn, known, state.outputs if state.custom else {})
