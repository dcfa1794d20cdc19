"""The use cases of one stack: preview, up, refresh, drift, destroy. Each asks the engine and decides what is allowed.

A deployment knows neither how a plan is printed nor how the user is asked; both are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from watoto_infra.errors import ChangesFound, Interrupted, ProviderError, UsageError
from watoto_infra.values.contracts import (
    Allowances,
    Engine,
    Json,
    Plan,
    Program,
    Progress,
    Result,
)

Confirm = Callable[[Plan], bool]
"""Shows a plan and answers whether to go on."""

PlanNotes = Callable[[Plan], Mapping[str, str]]
"""Gives, by URN, what the reader of a plan must know and no step says by itself."""


class Target(Protocol):
    """Where a stack's resources live."""

    @property
    def name(self) -> str: ...

    def in_use(
        self, keep: Callable[[], bool], *, may_restart: bool, say: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        """Have the control plane answer meanwhile. It runs on afterwards if ``keep`` says so or others still use it.

        One that runs is restarted, for it is not what it should be or does not answer, only where that ``may_restart``.
        ``say`` is told when it is slow. Raises ``ServiceFailed`` when it does not answer.
        """
        ...

    def prepare(self, *, may_restart: bool, say: Callable[[str], None]) -> None:
        """Make the control plane answer, as ``in_use`` does; does nothing where it already does."""
        ...

    def dispose(self) -> None:
        """Remove what only the target itself needed, after everything declared is gone."""
        ...


@dataclass(frozen=True)
class CloudTarget:
    """A target whose control plane is somebody else's: it is always there, and nothing of it is ours to remove."""

    name: str
    moves_rows: ClassVar[bool] = False
    """Whether adding shards moves users' rows: here an operator does it, with the LMS's own commands."""

    def in_use(
        self, keep: Callable[[], bool], *, may_restart: bool, say: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def prepare(self, *, may_restart: bool, say: Callable[[str], None]) -> None: ...

    def dispose(self) -> None: ...


class DataPlane(Protocol):
    """The servers that stand for what is declared."""

    def ensure_possible(self) -> object:
        """Raise when they could never run here, before anything is done."""
        ...

    def converge(self, exported: Mapping[str, Json], say: Callable[[str], None]) -> object:
        """Make what runs equal to what the stack exports."""
        ...


@dataclass(frozen=True)
class Declined:
    """The user looked at the plan and said no; nothing was done."""

    plan: Plan


@dataclass(frozen=True)
class Deployment:
    """One stack on one target, driven by one engine."""

    engine: Engine
    target: Target
    program: Program
    data_plane: DataPlane | None = None
    """None where the target's own services are the servers, or only the control plane is wanted."""
    plan_notes: PlanNotes = lambda _: {}

    def preview(
        self, progress: Progress, *, refresh: bool = False, only: Collection[str] = (), expect_no_changes: bool = False
    ) -> Plan:
        """Say what ``up`` would do. Raises ``ChangesFound`` where none were expected (the plan rides on the error)."""
        with self._at_target(progress):
            plan = self.engine.preview(self.program, progress, refresh=refresh, only=only)
        plan = self._with_notes(plan)
        if expect_no_changes and plan.has_changes:
            raise UnexpectedChanges(plan, self.command("preview"))
        return plan

    def up(
        self,
        progress: Progress,
        confirm: Confirm,
        *,
        allow: Allowances = Allowances(),
        only: Collection[str] = (),
        expect_digest: str | None = None,
    ) -> Result | Declined:
        """Bring everything to what the program declares: read what is there, show the plan, ask, do it.

        Raises ``UsageError`` when the plan is not the one ``expect_digest`` names, and for an allowance that names
        nothing in it; ``ProviderError`` naming what failed, ``Interrupted`` after Ctrl-C, ``ServiceFailed`` when a
        server does not come up.
        """
        if self.data_plane is not None:
            self.data_plane.ensure_possible()
        with self._at_target(progress, may_restart=True):
            plan = self.engine.preview(self.program, progress, refresh=True, only=only)
            if expect_digest is not None and expect_digest != plan.digest:
                raise UsageError(
                    f"the plan is not the expected one: its digest is {plan.digest}, not {expect_digest}",
                    hint="look at `watoto preview` again: something changed since that digest was taken",
                )
            _refuse_unknown(allow, plan)
            if plan.has_changes and not confirm(self._with_notes(plan)):
                return Declined(plan)
            self.target.prepare(may_restart=True, say=_teller(progress))  # who was asked may have taken hours to answer
            done = self.engine.up(self.program, progress, expect=plan, allow=allow, only=only)
            result = finished(done, self.command("up"))
            self._converge(progress)
            return result

    def _with_notes(self, plan: Plan) -> Plan:
        notes = self.plan_notes(plan)
        steps = (
            replace(step, notes=(*step.notes, notes[step.urn])) if step.urn in notes else step for step in plan.steps
        )
        return replace(plan, steps=tuple(steps))

    def start(self, progress: Progress) -> None:
        """Bring a stopped stack back: its control plane, then its servers.

        Raises ``ServiceFailed`` when one does not come up.
        """
        with self._at_target(progress, may_restart=True):
            self._converge(progress)

    def _converge(self, progress: Progress) -> None:
        if self.data_plane is not None:
            exported = self.engine.outputs(show_secrets=False)
            self.data_plane.converge(exported, _teller(progress))

    def refresh(self, progress: Progress) -> Result:
        """Read every resource and take what is found into the state."""
        with self._at_target(progress):
            return finished(self.engine.refresh(progress, dry_run=False), self.command("refresh"))

    def drift(self, progress: Progress) -> Plan:
        """Say what differs between the state and what is really there; nothing is written."""
        with self._at_target(progress):
            return self.engine.refresh(progress, dry_run=True).plan

    def destroy(self, progress: Progress, confirm: Confirm, *, allow: Allowances = Allowances()) -> Result | Declined:
        """Delete everything, in reverse order; then what only the target needed."""
        with self._at_target(progress):
            plan = self.engine.preview_destroy()
            if plan.has_changes and not confirm(plan):
                return Declined(plan)
            result = finished(self.engine.destroy(progress, expect=plan, allow=allow), self.command("destroy"))
            self.target.dispose()
            return result

    def command(self, name: str) -> str:
        """Give a command as it is to be typed for this very stack."""
        target = f" --target {self.target.name}" if isinstance(self.target, CloudTarget) else ""
        stack = f" --stack {self.program.stack}" if self.program.stack != self.target.name else ""
        return f"watoto {name}{target}{stack}"

    def _at_target(self, progress: Progress, *, may_restart: bool = False) -> AbstractContextManager[None]:
        """Have the target answer; what only a look at a stack has started does not outlive that look."""
        return self.target.in_use(self.engine.holds_resources, may_restart=may_restart, say=_teller(progress))


def _teller(progress: Progress) -> Callable[[str], None]:
    """Give a function that says something of this machine beside the steps."""
    return lambda text: progress.message("local", text, None)


def _refuse_unknown(allow: Allowances, plan: Plan) -> None:
    """Raise ``UsageError`` naming what is allowed and no resource of the plan, which must be a mistake."""
    urns, types = {step.urn for step in plan.steps}, {step.type for step in plan.steps}
    unknown = {"--allow-replace": allow.replace - urns - types, "--allow-data-loss": allow.data_loss - urns}
    named = [f"{flag} {name}" for flag, names in unknown.items() for name in sorted(names)]
    if named:
        raise UsageError(f"no resource has this name: {', '.join(named)}", hint="`watoto preview` lists the URNs")


class UnexpectedChanges(ChangesFound):
    """``--expect-no-changes`` found some; carries the plan so that it can still be shown."""

    def __init__(self, plan: Plan, command: str) -> None:
        super().__init__(
            f"no changes were expected, but stack {plan.stack} would change",
            hint=f"`{command} --diff` shows every property",
        )
        self.plan = plan


class IncompleteRunError(ProviderError):
    """Some steps failed; carries the result, so that what was done is still reported.

    ``command`` is what goes on from there.
    """

    def __init__(self, result: Result, command: str) -> None:
        first = result.failures[0]
        more = f" (and {len(result.failures) - 1} more)" if len(result.failures) > 1 else ""
        super().__init__(
            f"{first.error}{more}",
            hint=f"what was done is recorded; mend the cause and run `{command}` again, it continues from there",
        )
        self.result = result


def finished(result: Result, command: str) -> Result:
    """Give a result that ran to its end; raises ``Interrupted`` or ``IncompleteRunError`` for any other.

    ``command`` is what goes on from there.
    """
    if result.interrupted:
        raise Interrupted(
            "interrupted: what was running has finished and is recorded, the rest was not begun",
            hint=f"run `{command}` to go on from there",
        )
    if result.failures:
        raise IncompleteRunError(result, command)
    return result
