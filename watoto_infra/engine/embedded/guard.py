"""What a run may do: nothing that its plan did not show, nothing to data or protected resources that is not allowed.

Pulumi holds a run to a saved plan in the same way (``--plan``).
"""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from watoto_infra.errors import DataAtRisk, PlanViolated, ProtectedResource
from watoto_infra.values.contracts import Allowances, Op, Plan, Step

PROTECTED = "protected"
"""The note on a step whose resource the program, or for a deletion the state, protects."""

RETAINED = "kept: it only leaves the state"
"""The note on a deletion that deletes nothing real: of a resource to be retained, or that was only read."""

_MAY_BECOME = {
    Op.SAME: {Op.SAME},
    Op.READ: {Op.READ},
    Op.CREATE: {Op.CREATE, Op.SAME},
    Op.UPDATE: {Op.UPDATE, Op.SAME},
    Op.REPLACE: {Op.REPLACE, Op.CREATE, Op.UPDATE, Op.SAME, Op.DELETE_REPLACED},
    Op.DELETE: {Op.DELETE, Op.DELETE_REPLACED},
    Op.DELETE_REPLACED: {Op.DELETE_REPLACED},
}
"""What a planned operation allows the run to do: itself, or less."""


class PlanGuard:
    """Holds a run to its plan."""

    def __init__(self, plan: Plan) -> None:
        self._allowed: dict[str, set[Op]] = {}
        for step in plan.steps:
            self._allowed.setdefault(step.urn, set()).update(_MAY_BECOME[step.op])

    def permit(self, step: Step) -> None:
        """Raise ``PlanViolated`` for an operation that the plan did not show."""
        allowed = self._allowed.get(step.urn, {Op.SAME})
        if step.op not in allowed and step.op is not Op.READ:
            raise PlanViolated(
                f"{step.urn} would need {step.op.value}, which the preview did not show; it was not done",
                hint="something changed since the preview: run `watoto up` again and look at the new plan",
            )


def refuse_forbidden(steps: Iterable[Step], allow: Allowances, *, destroying: bool = False) -> None:
    """Refuse a plan that deletes or replaces protected resources, or data that ``allow`` does not name.

    Raises ``ProtectedResource`` or ``DataAtRisk``, naming every URN and, for the latter, the flag that allows it (when
    everything is destroyed, the one flag for all of them). To be called before anything is done.
    """
    removing = [
        step for step in steps if step.op in {Op.REPLACE, Op.DELETE, Op.DELETE_REPLACED} and RETAINED not in step.notes
    ]
    protected = [step.urn for step in removing if PROTECTED in step.notes]
    if protected:
        raise ProtectedResource(
            f"protected, so neither replaced nor deleted: {', '.join(protected)}",
            hint="take `protect` off in the program (setting `protection`), run `watoto up`, then try again",
        )
    missing = {step.urn: flag for step in removing if step.data_bearing and (flag := _missing_flag(step, allow))}
    if missing:
        flags = ["--delete-data"] if destroying else missing.values()
        raise DataAtRisk(
            f"{len(missing)} resource{'s' if len(missing) > 1 else ''} holding data would be lost; nothing was done: "
            + ", ".join(missing),
            hint="take a backup, then allow it with " + " ".join(flags),
        )


def _missing_flag(step: Step, allow: Allowances) -> str | None:
    if allow.delete_data:
        return None
    if step.op is Op.DELETE:
        return None if step.urn in allow.data_loss else f"--allow-data-loss {quote(step.urn)}"
    return None if {step.urn, step.type} & allow.replace else f"--allow-replace {quote(step.urn)}"
