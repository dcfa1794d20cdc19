"""A plan as Markdown for a pull request: counts first, then what deletes, replaces, updates and creates."""

from __future__ import annotations

from collections.abc import Iterator

from watoto_infra.review.text import change_line, summary_line
from watoto_infra.values.contracts import Op, Plan, Step

ORDER = (Op.DELETE, Op.REPLACE, Op.UPDATE, Op.CREATE)


def plan_markdown(plan: Plan) -> str:
    """Give the plan as Markdown; values cannot break out of their code spans."""
    lines = [f"### watoto preview: `{plan.stack}` at stage `{plan.stage}`", "", f"**{summary_line(plan.summary)}**", ""]
    if not plan.has_changes:
        lines.append("No changes.")
    for op in ORDER:
        lines.extend(_section(op, [step for step in plan.steps if step.op is op]))
    if plan.output_changes:
        lines += ["#### outputs", "", *(f"- {_code(change_line(change))}" for change in plan.output_changes), ""]
    lines += [f"<sub>digest `{plan.digest}`</sub>"]
    return "\n".join(lines)


def _section(op: Op, steps: list[Step]) -> Iterator[str]:
    if not steps:
        return
    yield f"#### {op.value} ({len(steps)})"
    yield ""
    for step in steps:
        notes = "".join(f" — {note}" for note in (*step.notes, *(["holds data"] if step.data_bearing else [])))
        yield f"- `{step.name}` `{step.type}`{notes}"
        if op is not Op.CREATE:
            yield from (f"  - {_code(change_line(change))}" for change in step.changes)
    yield ""


def _code(text: str) -> str:
    """Fence text in more backticks than it holds, so that no value ends its own code span."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"
