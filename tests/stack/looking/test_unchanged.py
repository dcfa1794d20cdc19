"""A stack that nobody changed has nothing to change, however it is looked at."""

from __future__ import annotations

import json

import pytest

from tests.stack.driver import Driver

pytestmark = pytest.mark.local


def test_a_stack_that_is_up_has_nothing_to_change_however_often_one_looks(phase2: Driver):
    for _ in range(2):
        phase2.ok("preview", "--stage", "phase2", "--expect-no-changes")
    phase2.ok("preview", "--stage", "phase2", "--refresh", "--expect-no-changes")


def test_up_on_an_unchanged_stack_says_so_and_does_nothing(phase2: Driver):
    done = phase2.run("up", "--stage", "phase2", "--yes", "--json")
    assert done.returncode == 0
    assert set(json.loads(done.stdout)["summary"]) <= {"same", "read", "refresh"}


def test_a_preview_that_adds_shards_to_a_stack_with_users_says_at_each_that_their_rows_move(phase2: Driver):
    noted = {step["urn"].rpartition("::")[2]: step["notes"] for step in phase2.plan("phase3")["steps"] if step["notes"]}

    said = ["its share of the users' rows moves here, and the LMS stops meanwhile"]
    assert {name: notes for name, notes in noted.items() if notes == said} == {
        "watoto-shard-1": said,
        "watoto-shard-2": said,
    }


def test_nobody_changed_anything_so_there_is_no_drift(phase2: Driver):
    phase2.ok("drift")


def test_the_state_holds_just_what_a_plan_shows(phase2: Driver):
    shown = {step["urn"] for step in phase2.plan("phase2")["steps"]}
    held = {resource["urn"] for resource in phase2.json("state", "export")["deployment"]["resources"]}
    assert {urn for urn in held if "pulumi:providers:" not in urn} == shown
