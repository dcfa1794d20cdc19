"""The values that pass between rooms: frozen dataclasses and small protocols.

Nothing here imports pulumi, does I/O or knows how a value is printed. A value that reaches a contract is ready to be
shown: secrets have been replaced by ``SECRET_MARK``, values known only after an operation by ``UNKNOWN_MARK``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

SECRET_MARK = "[secret]"  # noqa: S105 - what stands in place of one
UNKNOWN_MARK = "[unknown]"

Json = Any
"""A value ``json.dumps`` accepts: None, bool, int, float, str, list or dict with string keys."""


class Op(StrEnum):
    """What is done to one resource; named as Pulumi names its operations."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    READ = "read"
    REFRESH = "refresh"


QUIET_OPS = frozenset({Op.SAME, Op.READ, Op.REFRESH})
"""Operations that leave the real thing as it is."""

REPLACEMENT_HALVES = frozenset({Op.CREATE_REPLACEMENT, Op.DELETE_REPLACED})
"""The two halves of a replacement: executed and recorded, but counted once, as ``replace``."""


class ChangeKind(StrEnum):
    """How a property differs, and whether the difference forces a replacement; Pulumi's ``diffKind`` names."""

    ADD = "add"
    ADD_REPLACE = "add-replace"
    DELETE = "delete"
    DELETE_REPLACE = "delete-replace"
    UPDATE = "update"
    UPDATE_REPLACE = "update-replace"

    @property
    def replaces(self) -> bool:
        return self.value.endswith("-replace")


@dataclass(frozen=True)
class Change:
    """One property's difference. ``path`` is a property path such as ``tags.Name`` or ``ingress[0].fromPort``."""

    path: str
    kind: ChangeKind
    before: Json
    after: Json


@dataclass(frozen=True)
class Step:
    """One resource's part of a plan.

    ``may_replace`` is set when an input was unknown at preview, so that only the run itself can tell whether the
    difference forces a replacement: such a step is shown as a replacement. ``notes`` are sentences for the user
    (``protected``, ``simulated``, ...). ``parent`` is the URN of the component it belongs to, for a tree.
    """

    op: Op
    urn: str
    type: str
    parent: str | None = None
    changes: tuple[Change, ...] = ()
    may_replace: bool = False
    data_bearing: bool = False
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True)
class Plan:
    """What a run would do: every resource once, in the order in which the run would reach it.

    ``refreshed``: everything was read first, so the run reads it again before it starts. ``outputs`` is what the
    program exports, with ``UNKNOWN_MARK`` for what is known only after the run; empty where no program ran.
    """

    stack: str
    stage: str
    steps: tuple[Step, ...]
    output_changes: tuple[Change, ...] = ()
    refreshed: bool = False
    outputs: Mapping[str, Json] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, int]:
        """Number of steps per operation; each replacement counts once."""
        counted = Counter(step.op.value for step in self.steps if step.op not in REPLACEMENT_HALVES)
        return dict(sorted(counted.items()))

    @property
    def has_changes(self) -> bool:
        return bool(self.output_changes) or any(step.op not in QUIET_OPS for step in self.steps)

    @property
    def digest(self) -> str:
        """Stands for the plan in ``--expect-digest``: SHA-256 over operations, URNs and changed paths, not values."""
        lines = sorted(
            [step.op.value, step.urn, step.type, sorted([change.path, change.kind.value] for change in step.changes)]
            for step in self.steps
            if step.op not in QUIET_OPS
        )
        outputs = sorted([change.path, change.kind.value] for change in self.output_changes)
        text = json.dumps([self.stack, self.stage, lines, outputs], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class StepOutcome:
    """How one executed step ended. ``seconds`` is wall time; ``error`` one line, None when it succeeded."""

    step: Step
    seconds: float
    error: str | None = None
    simulated: bool = False


@dataclass(frozen=True)
class Result:
    """What a run did. ``simulated`` names URNs whose last operation the local control plane does not implement."""

    plan: Plan
    outcomes: tuple[StepOutcome, ...]
    seconds: float
    outputs: Mapping[str, Json] = field(default_factory=dict)
    simulated: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def failures(self) -> tuple[StepOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)

    @property
    def summary(self) -> dict[str, int]:
        """Number of steps done per operation; each replacement counts once (by its ``create-replacement``)."""
        done = Counter(outcome.step.op.value for outcome in self.outcomes if outcome.error is None)
        replaced = done.pop(Op.CREATE_REPLACEMENT.value, 0)
        done.pop(Op.DELETE_REPLACED.value, None)
        if replaced:
            done[Op.REPLACE.value] += replaced
        return dict(sorted(done.items()))


@dataclass(frozen=True)
class Program:
    """The Pulumi program to run: a module name and its configuration (``namespace:key`` to text).

    ``preload`` names a module that imports what the program will import, and declares nothing: an engine that runs the
    program twice may import that once.
    """

    module: str
    project: str
    stack: str
    stage: str
    config: Mapping[str, str] = field(default_factory=dict)
    secret_keys: Collection[str] = ()
    preload: str | None = None


@dataclass(frozen=True)
class Allowances:
    """What the user allowed by flag. ``replace`` holds URNs or type tokens, ``data_loss`` URNs."""

    replace: frozenset[str] = frozenset()
    data_loss: frozenset[str] = frozenset()
    delete_data: bool = False


class Progress(Protocol):
    """Is told what a run does, from any thread."""

    def planned(self, step: Step) -> None: ...

    def started(self, step: Step) -> None: ...

    def finished(self, outcome: StepOutcome) -> None: ...

    def message(self, severity: str, text: str, urn: str | None) -> None: ...


class Engine(Protocol):
    """Previews and performs runs of a program on one stack; the embedded and the official engine both do it.

    Every operation that ended is recorded durably before the next one can build on it, so a run that is killed or fails
    is completed by running it again. Every method that changes the state holds the stack's lock and raises
    ``StackLocked`` while another process has it. Every method raises ``StateError`` for a state that cannot be read or
    written, and ``WrongPassphrase`` where it needs the state's secrets and cannot open them.
    """

    def preview(
        self, program: Program, progress: Progress, *, refresh: bool = False, only: Collection[str] = ()
    ) -> Plan:
        """Say what ``up`` would do; state and resources stay as they are.

        With ``refresh`` every resource is read first, so that drift shows as a change. ``only`` names the resources
        that may be touched, by URN or pattern; empty: all. Raises ``ProgramError`` where the program fails and
        ``ProviderError`` where a provider does.
        """
        ...

    def up(
        self,
        program: Program,
        progress: Progress,
        *,
        expect: Plan,
        allow: Allowances = Allowances(),
        only: Collection[str] = (),
    ) -> Result:
        """Perform the program; running it again without an edit changes nothing.

        Raises ``ProtectedResource`` or ``DataAtRisk`` before anything is done, ``PlanViolated`` rather than do what
        ``expect`` does not show. A failed operation does not raise: it is in the result, like an interruption, and the
        next run takes it up again.
        """
        ...

    def refresh(self, progress: Progress, *, dry_run: bool) -> Result:
        """Read every resource again. The result's plan holds what differs; state is written unless ``dry_run``.

        No resource changes. Raises ``NoSuchStack``, and ``ProviderError`` where a resource cannot be read.
        """
        ...

    def destroy(self, progress: Progress, *, expect: Plan, allow: Allowances = Allowances()) -> Result:
        """Delete everything in the state; a stack that holds nothing stays as it is.

        Each deletion is durable when it ends, so a destroy that was killed goes on where it was. Raises, before
        anything is deleted, ``NoSuchStack``, ``ProtectedResource``, ``DataAtRisk``, and ``PlanViolated`` where
        ``expect`` does not show a deletion. A failed deletion is in the result.
        """
        ...

    def preview_destroy(self) -> Plan:
        """Say what ``destroy`` would delete, in its order; nothing is written. Raises ``NoSuchStack``."""
        ...

    def holds_resources(self) -> bool:
        """Tell whether the state stands for anything real, or may. The embedded engine needs no passphrase for it."""
        ...

    def outputs(self, *, show_secrets: bool) -> Mapping[str, Json]:
        """Give what the program exported at its last run, secrets masked unless ``show_secrets``.

        Empty before the first run that finished. Raises ``NoSuchStack``.
        """
        ...

    def export_state(self) -> Json:
        """Give the state as Pulumi's deployment of version 3, its secrets encrypted with the stack's passphrase.

        It includes what a killed run recorded. Raises ``NoSuchStack``.
        """
        ...

    def import_state(self, deployment: Json) -> None:
        """Replace the state by a deployment, making the stack where there is none; no resource changes.

        The new state is durable when this returns; importing again gives the same state. Raises ``StateError`` for a
        deployment that is damaged, of another version or another stack's; then the old state is as it was.
        """
        ...


DataBearing = Callable[[str, Mapping[str, Json]], bool]
"""Tells from a type token and plain inputs whether a resource holds data that cannot be made again."""
