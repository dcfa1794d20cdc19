"""A plan as plain text: a tree under each component, with what changes, as a terminal or a log shows it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator

from watoto_infra.values.contracts import QUIET_OPS, REPLACEMENT_HALVES, Change, ChangeKind, Op, Plan, Result, Step
from watoto_infra.values.documents import RunDocument

SIGNS = {
    Op.SAME: " ",
    Op.CREATE: "+",
    Op.UPDATE: "~",
    Op.DELETE: "-",
    Op.REPLACE: "±",
    Op.CREATE_REPLACEMENT: "+",
    Op.DELETE_REPLACED: "-",
    Op.READ: ">",
    Op.REFRESH: ">",
}
PAST = {
    Op.CREATE.value: "created",
    Op.UPDATE.value: "updated",
    Op.DELETE.value: "deleted",
    Op.REPLACE.value: "replaced",
    Op.SAME.value: "unchanged",
    Op.READ.value: "read",
    Op.REFRESH.value: "read again",
}
WIDEST_VALUE = 72


def plan_lines(plan: Plan, *, diff: bool) -> Iterator[str]:
    """Give the plan line by line; with ``diff`` every changed property with its values before and after."""
    if not plan.has_changes:
        yield f"Stack {plan.stack} at stage {plan.stage}: no changes."
        return
    yield f"Stack {plan.stack} at stage {plan.stage} would change:"
    yield from _tree(plan, diff=diff)
    if plan.output_changes:
        yield "  outputs"
        for change in plan.output_changes:
            yield f"    {change_line(change)}"
    yield summary_line(plan.summary)


def summary_line(summary: dict[str, int], *, done: bool = False) -> str:
    """Give counts in one line, such as ``12 to create, 1 to replace, 40 unchanged``."""
    words = {op: (PAST[op] if done or op in {op.value for op in QUIET_OPS} else f"to {op}") for op in summary}
    order = [Op.CREATE, Op.UPDATE, Op.REPLACE, Op.DELETE, Op.READ, Op.REFRESH, Op.SAME]
    parts = [f"{summary[op.value]} {words[op.value]}" for op in order if summary.get(op.value)]
    return ", ".join(parts) or "nothing"


def result_lines(result: Result, is_manifest: Callable[[str], bool]) -> Iterator[str]:
    """Give what a run did: counts and time, then what is simulated, what stays, and what failed.

    ``is_manifest`` tells the types whose objects no API server here takes: what its schema took is kept as a manifest.
    """
    if not result.plan.has_changes and not result.failures:
        yield f"Stack {result.plan.stack} is at {result.plan.stage} already: nothing was done."
        return
    yield f"{summary_line(result.summary, done=True)} in {result.seconds:.1f} s"
    manifests = {step.urn for step in result.plan.steps if is_manifest(step.type)}.intersection(result.simulated)
    if manifests:
        yield f"  {len(manifests)} Kubernetes objects: validated manifests; local servers stand for their pods"
    for urn in result.simulated:
        if urn not in manifests:
            yield f"  simulated (the local control plane does not implement it): {urn}"
    for urn in result.left_behind:
        yield f"  stays, as on AWS: {urn}"
    for outcome in result.failures:
        yield f"  failed: {outcome.step.urn}: {outcome.error}"


def run_line(run: RunDocument) -> str:
    """Give one run of the history in one line."""
    took = f" in {run['seconds']:.1f} s" if "seconds" in run else ""
    counts = f": {summary_line(run['summary'], done=True)}" if run.get("summary") else ""
    return f"{run['when']}  {run['kind']} {run['stage'] or ''}  {run['result']}{took}{counts}"


def change_line(change: Change) -> str:
    """Give one property's change in one line."""
    mark = " (forces replacement)" if change.kind.replaces else ""
    match change.kind:
        case ChangeKind.ADD | ChangeKind.ADD_REPLACE:
            return f"+ {change.path}: {_shown(change.after)}{mark}"
        case ChangeKind.DELETE | ChangeKind.DELETE_REPLACE:
            return f"- {change.path}: {_shown(change.before)}{mark}"
        case _:
            return f"~ {change.path}: {_shown(change.before)} => {_shown(change.after)}{mark}"


def _tree(plan: Plan, *, diff: bool) -> Iterator[str]:
    """Walk from the stack downwards, leaving out branches in which nothing changes."""
    shown = [step for step in plan.steps if step.op not in REPLACEMENT_HALVES]
    known = {step.urn for step in shown}
    children: dict[str | None, list[Step]] = defaultdict(list)
    for step in shown:
        children[step.parent if step.parent in known else None].append(step)
    changed = _branches_that_change(shown)
    stack = [(step, 1) for step in reversed(children[None])]
    while stack:
        step, depth = stack.pop()
        if step.urn not in changed:
            continue
        yield _step_line(step, depth)
        if diff:
            yield from (f"{'  ' * (depth + 2)}{change_line(change)}" for change in step.changes)
        stack.extend((child, depth + 1) for child in reversed(children[step.urn]))


def _branches_that_change(steps: list[Step]) -> set[str]:
    parents = {step.urn: step.parent for step in steps}
    changed: set[str] = set()
    for step in steps:
        urn: str | None = step.urn if step.op not in QUIET_OPS else None
        while urn is not None and urn not in changed:
            changed.add(urn)
            urn = parents.get(urn)
    return changed


def _step_line(step: Step, depth: int) -> str:
    notes = [*step.notes]
    if step.may_replace:
        notes.append("replaced only if a value not known yet differs")
    if step.data_bearing and step.op in {Op.REPLACE, Op.DELETE}:
        notes.append("holds data")
    tail = f"  ({'; '.join(notes)})" if notes else ""
    paths = "" if step.op in {Op.CREATE, Op.DELETE} or not step.changes else f"  [{_paths(step)}]"
    return f"{'  ' * depth}{SIGNS[step.op]} {step.op.value:<7} {step.name}  {step.type}{paths}{tail}"


def _paths(step: Step) -> str:
    names = sorted({change.path.split(".")[0].split("[")[0] for change in step.changes})
    return ", ".join(names)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= WIDEST_VALUE else f"{text[: WIDEST_VALUE - 1]}…"
