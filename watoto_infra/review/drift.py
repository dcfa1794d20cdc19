"""Drift for people and for programs, and what of it to leave out: rules in terms of URNs and property paths.

A file holds one rule a line, a URN pattern and a property-path pattern, with ``*`` for any text; ``#`` begins a
comment. ``*::watoto-backend-asg desiredCapacity`` leaves out what the autoscaler changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from watoto_infra.errors import UsageError
from watoto_infra.review.plan_json import plan_as_json
from watoto_infra.values.contracts import QUIET_OPS, Op, Plan, Step
from watoto_infra.values.documents import DriftDocument, RunDocument

PARTS = 2


@dataclass(frozen=True)
class IgnoreRule:
    """Matches a property of a resource."""

    urn: re.Pattern[str]
    path: re.Pattern[str]


def read_rules(file: Path) -> tuple[IgnoreRule, ...]:
    """Read rules; raises ``UsageError`` naming file and line for one that has not two parts."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{file} cannot be read: {problem}", hint="name a text file of ignore rules") from problem
    rules = []
    for number, line in enumerate(lines, 1):
        parts = line.partition("#")[0].split()
        if not parts:
            continue
        if len(parts) != PARTS:
            raise UsageError(
                f"{file}, line {number}: {line.strip()!r} is not a rule",
                hint="write a URN pattern and a property pattern, such as `*::watoto-backend-asg desiredCapacity`",
            )
        rules.append(IgnoreRule(_pattern(parts[0]), _pattern(parts[1])))
    return tuple(rules)


def without_ignored(plan: Plan, rules: tuple[IgnoreRule, ...]) -> Plan:
    """Give the plan without the changes that a rule matches; a step left with none counts as unchanged."""
    return replace(plan, steps=tuple(_filtered(step, rules) for step in plan.steps))


def drift_as_json(plan: Plan, runs: Sequence[RunDocument]) -> DriftDocument:
    """Give what differs, and when the state was last brought to its declaration and last read."""
    return {**plan_as_json(plan), "last_applied": last_applied(runs), "last_read": last_read(runs)}


def last_applied(runs: Sequence[RunDocument]) -> str | None:
    """Say when the state was last brought to what the program declares (ISO 8601); None: never."""
    return _last(runs, {"up"}, {"done"})


def last_read(runs: Sequence[RunDocument]) -> str | None:
    """Say when the resources were last read into the state, as every `up` does before it acts (ISO 8601)."""
    return _last(runs, {"up", "refresh"}, {"done", "failed", "interrupted"})


def differing(plan: Plan) -> list[Step]:
    """Give the steps of what is not as it was declared: changed, gone, or with something hung on it."""
    return [step for step in plan.steps if step.op not in QUIET_OPS]


def _last(runs: Sequence[RunDocument], kinds: Collection[str], results: Collection[str]) -> str | None:
    matching = [run["when"] for run in runs if run["kind"] in kinds and run["result"] in results]
    return matching[-1] if matching else None


def _filtered(step: Step, rules: tuple[IgnoreRule, ...]) -> Step:
    matching = [rule for rule in rules if rule.urn.fullmatch(step.urn)]
    if not matching or not step.changes:
        return step
    kept = tuple(c for c in step.changes if not any(rule.path.fullmatch(c.path) for rule in matching))
    return replace(step, changes=kept, op=step.op if kept else Op.SAME)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")))
