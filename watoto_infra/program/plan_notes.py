"""What the reader of a plan must know and no step says by itself: what becomes of users' rows when shards are added."""

from __future__ import annotations

from watoto_infra.values.contracts import Op, Plan
from watoto_infra.values.outputs import DatabaseRole

ROWS_MOVE = "its share of the users' rows moves here, and the LMS stops meanwhile"
ROWS_STAY = "no app server that starts is ready until `flask shards place` has moved its share of the users' rows here"


def rows_of_new_shards(plan: Plan, *, moves_rows: bool) -> dict[str, str]:
    """Give a sentence for each shard that joins databases with users, by the URN of its primary.

    ``moves_rows`` says whether the target moves the rows itself. Shards are known by the stack's declared outputs.
    """
    primaries = {
        database["urn"]: database["shard"]
        for database in plan.outputs.get("databases", ())
        if database["role"] == DatabaseRole.PRIMARY
    }
    created = {step.urn: primaries[step.urn] for step in plan.steps if step.op is Op.CREATE and step.urn in primaries}
    if 0 in created.values():
        return {}  # a stack whose main database is new has no users
    return dict.fromkeys(created, ROWS_MOVE if moves_rows else ROWS_STAY)
