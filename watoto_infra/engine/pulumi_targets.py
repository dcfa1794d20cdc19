"""What ``--only`` means to the official engine, whose own targets match no such patterns and take nothing needed.

So the targets are worked out from the plan of a whole preview, as Pulumi saves it (``apitype.DeploymentPlanV1``): each
resource with its goal state and the steps that it needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from watoto_infra.engine.embedded.only_filter import OnlyFilter
from watoto_infra.values.contracts import Json


def targets(whole: Mapping[str, Json], held: Collection[str], only: Collection[str]) -> list[str]:
    """Give the URNs that ``only`` names, by URN or pattern, and those that they need and that are yet to be made.

    ``held`` are the URNs in the state. Raises ``UsageError`` naming a pattern that matches nothing.
    """
    planned: Mapping[str, Json] = whole.get("plan", whole).get("resourcePlans") or {}
    chosen = OnlyFilter(only)
    found = {urn for urn in {*planned, *held} if chosen.includes(urn)}
    chosen.check_all_matched()
    waiting = list(found)
    while waiting:
        for urn in _needs(planned.get(waiting.pop()) or {}):
            if urn not in found and "create" in (planned.get(urn) or {}).get("steps", ()):
                found.add(urn)
                waiting.append(urn)
    return sorted(found)


def _needs(resource: Mapping[str, Json]) -> Iterator[str]:
    goal = resource.get("goal") or {}
    if goal.get("parent"):
        yield goal["parent"]
    if goal.get("provider"):
        yield goal["provider"].rpartition("::")[0]
    yield from goal.get("dependencies") or ()
    for urns in (goal.get("propertyDependencies") or {}).values():
        yield from urns or ()
