"""Plans and results as the documents that ``--json`` prints."""

from __future__ import annotations

from watoto_infra.values.contracts import Change, Plan, Result, Step
from watoto_infra.values.documents import SCHEMA_VERSION, ChangeDocument, PlanDocument, ResultDocument, StepDocument


def plan_as_json(plan: Plan) -> PlanDocument:
    """Give the plan as a document; secret values never stand in it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stack": plan.stack,
        "stage": plan.stage,
        "steps": [_step(step) for step in plan.steps],
        "outputs": [_change(change) for change in plan.output_changes],
        "summary": plan.summary,
        "policy": [],
        "digest": plan.digest,
    }


def result_as_json(result: Result) -> ResultDocument:
    """Give what a run did as a document."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stack": result.plan.stack,
        "stage": result.plan.stage,
        "operations": [
            {
                **_step(outcome.step),
                "seconds": round(outcome.seconds, 3),
                "error": outcome.error,
                "simulated": outcome.simulated,
            }
            for outcome in result.outcomes
        ],
        "summary": result.summary,
        "seconds": round(result.seconds, 3),
        "outputs": dict(result.outputs),
        "simulated": list(result.simulated),
        "left_behind": list(result.left_behind),
        "interrupted": result.interrupted,
        "digest": result.plan.digest,
    }


def _step(step: Step) -> StepDocument:
    return {
        "op": step.op.value,
        "urn": step.urn,
        "type": step.type,
        "parent": step.parent,
        "changes": [_change(change) for change in step.changes],
        "may_replace": step.may_replace,
        "data_bearing": step.data_bearing,
        "notes": list(step.notes),
    }


def _change(change: Change) -> ChangeDocument:
    return {"path": change.path, "kind": change.kind.value, "before": change.before, "after": change.after}
