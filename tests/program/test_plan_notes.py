"""What a plan says about users' rows, by what the program declares and not by how its parts are called."""

from __future__ import annotations

from typing import Any

import pytest

from tests.program.declared import run
from watoto_infra.program.plan_notes import ROWS_MOVE, ROWS_STAY, rows_of_new_shards
from watoto_infra.values.contracts import UNKNOWN_MARK, Op, Plan, Step


def database(urn: str, shard: int, role: str = "primary") -> dict[str, Any]:
    return {"urn": urn, "shard": shard, "role": role, "address": UNKNOWN_MARK}


def plan(*databases: dict[str, Any], **ops: Op) -> Plan:
    steps = tuple(Step(op, urn, "t") for urn, op in ops.items())
    return Plan("local", "phase3", steps, outputs={"databases": list(databases)})


MAIN, REPLICA = database("main", 0), database("replica", 0, "replica")
FIRST, ITS_REPLICA, SECOND = database("first", 1), database("copy", 1, "replica"), database("second", 2)


@pytest.mark.parametrize(("moves_rows", "said"), [(True, ROWS_MOVE), (False, ROWS_STAY)])
def test_each_primary_of_a_new_shard_tells_what_becomes_of_the_rows(moves_rows: bool, said: str) -> None:
    made = dict.fromkeys(("first", "copy", "second", "replica", "other"), Op.CREATE)
    declared = plan(MAIN, REPLICA, FIRST, ITS_REPLICA, SECOND, main=Op.SAME, **made)
    assert rows_of_new_shards(declared, moves_rows=moves_rows) == {"first": said, "second": said}


def test_a_shard_that_is_there_already_is_passed_over() -> None:
    declared = plan(MAIN, FIRST, SECOND, main=Op.UPDATE, first=Op.SAME, second=Op.CREATE)
    assert rows_of_new_shards(declared, moves_rows=True) == {"second": ROWS_MOVE}


def test_a_new_stack_has_no_users() -> None:
    declared = plan(MAIN, FIRST, main=Op.CREATE, first=Op.CREATE)
    assert rows_of_new_shards(declared, moves_rows=True) == {}


def test_a_plan_without_a_program_has_no_notes() -> None:
    assert rows_of_new_shards(Plan("local", "phase3", (Step(Op.DELETE, "main", "t"),)), moves_rows=True) == {}


@pytest.mark.parametrize("stage", ["phase2", "phase3"])
def test_the_program_exports_what_the_notes_are_made_from(stage: str) -> None:
    declared = run(stage)
    exported = declared.outputs["databases"]
    made = {one.urn: Op.CREATE for one in declared.resources}
    main = next(one["urn"] for one in exported if one["shard"] == 0 and one["role"] == "primary")
    there = plan(*exported, **(made | {main: Op.SAME}))
    shards = {one["shard"] for one in exported} - {0}
    assert len(rows_of_new_shards(there, moves_rows=True)) == len(shards)
