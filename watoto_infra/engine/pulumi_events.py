"""Turns the official engine's events into the steps, outcomes and errors that every engine gives.

Its events are those of Pulumi's ``apitype.EngineEvent``; secrets arrive masked, and are masked again here where only
one side of a difference is known to be secret (a provider's ``Read`` may forget it).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.automation.events import EngineEvent, OpType, PropertyDiff, StepEventMetadata, StepEventStateMetadata

from watoto_infra.engine.embedded import paths
from watoto_infra.engine.embedded.guard import PROTECTED, RETAINED
from watoto_infra.engine.embedded.state.signatures import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_SENTINEL
from watoto_infra.engine.embedded.urns import STACK_TYPE, is_default_provider
from watoto_infra.values.contracts import (
    REPLACEMENT_HALVES,
    SECRET_MARK,
    UNKNOWN_MARK,
    Change,
    ChangeKind,
    DataBearing,
    Json,
    Op,
    Progress,
    Step,
    StepOutcome,
)

SEVERITIES = {"info", "warning", "error"}
"""What is passed on; ``debug`` is the SDK's chatter, ``info#err`` what the program wrote to its stderr."""

OPS = {
    OpType.SAME: Op.SAME,
    OpType.CREATE: Op.CREATE,
    OpType.UPDATE: Op.UPDATE,
    OpType.DELETE: Op.DELETE,
    OpType.REPLACE: Op.REPLACE,
    OpType.CREATE_REPLACEMENT: Op.CREATE_REPLACEMENT,
    OpType.DELETE_REPLACED: Op.DELETE_REPLACED,
    OpType.READ: Op.READ,
    OpType.READ_REPLACEMENT: Op.READ,
    OpType.DISCARD: Op.DELETE,
    OpType.DISCARD_REPLACED: Op.DELETE_REPLACED,
    OpType.REMOVE_PENDING_REPLACE: Op.DELETE_REPLACED,
    OpType.IMPORT: Op.READ,
    OpType.IMPORT_REPLACEMENT: Op.READ,
}


class RunLog:
    """Collects what is to be shown of one run from its events.

    ``steps``: what a preview would do, each replacement as one step. ``outcomes``: what a run did, each replacement as
    its two halves. ``refreshed``: each resource that was read again. ``errors``: each error's URN, if any, and text.
    """

    def __init__(self, progress: Progress, data_bearing: DataBearing) -> None:
        self.steps: list[Step] = []
        self.outcomes: list[StepOutcome] = []
        self.refreshed: list[Step] = []
        self.errors: list[tuple[str | None, str]] = []
        self.output_changes: tuple[Change, ...] = ()
        self.outputs: Mapping[str, Json] = {}
        self._progress = progress
        self._data_bearing = data_bearing
        self._begun: dict[str, tuple[OpType, float]] = {}
        self._ended: set[tuple[str, OpType]] = set()
        self._components: dict[str, Step] = {}
        self._before_refresh: dict[str, Mapping[str, Any]] = {}

    def __call__(self, event: EngineEvent) -> None:
        """Take one event; the SDK calls this from a thread of its own, one event at a time."""
        if event.diagnostic_event is not None:
            said = event.diagnostic_event
            self._say(said.severity, said.message, said.urn or None)
        elif event.resource_pre_event is not None:
            self._begin(event.resource_pre_event.metadata, planning=bool(event.resource_pre_event.planning))
        elif event.res_outputs_event is not None:
            self._end(event.res_outputs_event.metadata, planning=bool(event.res_outputs_event.planning))
        elif event.res_op_failed_event is not None:
            self._fail(event.res_op_failed_event.metadata)

    def close(self) -> None:
        """Report components that registered no outputs as done: only outputs would have ended them."""
        while self._components:
            _, step = self._components.popitem()
            self._finish(StepOutcome(step, 0.0))

    # --- events ---------------------------------------------------------------------------------------------------

    def _say(self, severity: str, message: str, urn: str | None) -> None:
        text = " ".join(message.split())
        if severity == "error":
            self.errors.append((urn, message))
        elif severity in SEVERITIES and text:
            self._progress.message(severity, text, urn)

    def _begin(self, metadata: StepEventMetadata, *, planning: bool) -> None:
        if is_default_provider(metadata.urn):
            return
        self._begun[metadata.urn] = (metadata.op, time.perf_counter())
        if metadata.op is OpType.REFRESH:
            if metadata.old is not None:
                self._before_refresh[metadata.urn] = metadata.old.inputs or {}
            return
        step = self._step(metadata)
        if planning:
            if step.op not in REPLACEMENT_HALVES:
                self.steps.append(step)
                self._progress.planned(step)
            return
        if step.op not in {Op.SAME, Op.REPLACE}:
            self._progress.started(step)
        if metadata.new is not None and not metadata.new.custom:
            self._components[metadata.urn] = step

    def _end(self, metadata: StepEventMetadata, *, planning: bool) -> None:
        if is_default_provider(metadata.urn):
            return
        begun, since = self._begun.get(metadata.urn, (metadata.op, time.perf_counter()))
        if begun is OpType.REFRESH:
            self.refreshed.append(self._refreshed(metadata))
            return
        if metadata.type == STACK_TYPE:
            self.output_changes = _output_changes(metadata)
            self.outputs = _outputs(metadata.new)
        ended = (metadata.urn, metadata.op)
        if planning or metadata.op is OpType.REPLACE or ended in self._ended:
            return
        self._ended.add(ended)  # a component ends a second time when its outputs are known
        self._components.pop(metadata.urn, None)
        self._finish(StepOutcome(self._step(metadata), time.perf_counter() - since))

    def _fail(self, metadata: StepEventMetadata) -> None:
        _, since = self._begun.get(metadata.urn, (metadata.op, time.perf_counter()))
        words = [" ".join(text.split()) for urn, text in self.errors if urn == metadata.urn]
        error = f"{metadata.urn}: {words[0] if words else f'{metadata.op.value} failed'}"
        self._finish(StepOutcome(self._step(metadata), time.perf_counter() - since, error))

    def _finish(self, outcome: StepOutcome) -> None:
        self.outcomes.append(outcome)
        self._progress.finished(outcome)

    # --- steps ----------------------------------------------------------------------------------------------------

    def _step(self, metadata: StepEventMetadata) -> Step:
        state = metadata.old or metadata.new
        return Step(
            OPS[metadata.op],
            metadata.urn,
            metadata.type,
            parent=(state.parent or None) if state else None,
            changes=_changes(metadata),
            data_bearing=bool(state and state.custom) and self._bears_data(metadata),
            notes=_notes(metadata),
        )

    def _bears_data(self, metadata: StepEventMetadata) -> bool:
        """Judge by what is declared, was declared, and was there before this run read anything; never by that read."""
        declared = [state.inputs or {} for state in (metadata.new, metadata.old) if state is not None]
        before = self._before_refresh.get(metadata.urn)
        known = [*declared, *([before] if before is not None else [])]
        return any(self._data_bearing(metadata.type, masked(inputs)) for inputs in known)

    def _refreshed(self, metadata: StepEventMetadata) -> Step:
        gone = metadata.op is OpType.DELETE
        changes = () if gone else _changes(metadata)
        op = Op.DELETE if gone else Op.UPDATE if changes else Op.SAME
        notes = ("gone: `watoto up` creates it again",) if gone else ()
        parent = (metadata.old.parent or None) if metadata.old else None
        return Step(op, metadata.urn, metadata.type, parent=parent, changes=changes, notes=notes)


def masked(value: Any) -> Json:
    """Give a value of an event with secrets and unknowns replaced by their marks."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return SECRET_MARK
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [masked(item) for item in value]
    return UNKNOWN_MARK if value == UNKNOWN_SENTINEL else value


def _notes(metadata: StepEventMetadata) -> tuple[str, ...]:
    old = metadata.old
    notes = [PROTECTED] if OPS[metadata.op] in {Op.DELETE, Op.REPLACE} and old and old.protect else []
    if metadata.op is OpType.DISCARD or (OPS[metadata.op] is Op.DELETE and old and old.retain_on_delete):
        notes.append(RETAINED)
    return tuple(notes)


def _changes(metadata: StepEventMetadata) -> tuple[Change, ...]:
    """Give the differences: by the provider's detailed diff, else by the names of the properties that differ."""
    old, new = metadata.old, metadata.new
    if old is None or new is None or OPS.get(metadata.op) in {Op.SAME, Op.DELETE, Op.DELETE_REPLACED}:
        return ()
    if metadata.detailed_diff:
        changes = [_detailed(path, diff, old, new) for path, diff in sorted(metadata.detailed_diff.items())]
    else:
        changes = [_by_name(name, old, new, replaces=name in (metadata.keys or ())) for name in metadata.diffs or ()]
    return tuple(changes)


def _detailed(path: str, diff: PropertyDiff, old: StepEventStateMetadata, new: StepEventStateMetadata) -> Change:
    before = _lookup(old.inputs if diff.input_diff else old.outputs, path)
    return _change(path, ChangeKind(diff.diff_kind.value), before, _lookup(new.inputs, path))


def _by_name(name: str, old: StepEventStateMetadata, new: StepEventStateMetadata, *, replaces: bool) -> Change:
    before, after = _lookup(old.inputs, name), _lookup(new.inputs, name)
    kind = "add" if before is None else "delete" if after is None else "update"
    return _change(name, ChangeKind(f"{kind}-replace" if replaces else kind), before, after)


def _change(path: str, kind: ChangeKind, before: Json, after: Json) -> Change:
    if SECRET_MARK in (before, after):
        before, after = (None if value is None else SECRET_MARK for value in (before, after))
    return Change(path, kind, before, after)


def _lookup(properties: Mapping[str, Any] | None, path: str) -> Json:
    """Find a value by its property path; None where the path leads nowhere."""
    value = masked(properties or {})
    for key in paths.parse(path):
        if value == SECRET_MARK:
            return SECRET_MARK
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _outputs(state: StepEventStateMetadata | None) -> dict[str, Json]:
    return dict(masked(state.outputs or {})) if state else {}


def _output_changes(metadata: StepEventMetadata) -> tuple[Change, ...]:
    before, after = _outputs(metadata.old), _outputs(metadata.new)
    changes = []
    for name in sorted({*before, *after}):
        if name not in before:
            changes.append(_change(name, ChangeKind.ADD, None, after[name]))
        elif name not in after:
            changes.append(_change(name, ChangeKind.DELETE, before[name], None))
        elif before[name] != after[name]:
            changes.append(_change(name, ChangeKind.UPDATE, before[name], after[name]))
    return tuple(changes)
