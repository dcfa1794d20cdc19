"""Drift is named until it is mended, and only what is ours is taken over."""

from __future__ import annotations

import pytest

from tests.engine.harness import ThingStack, done, shown, thing, urn_of
from watoto_infra.engine.embedded.state_check import ADOPTED
from watoto_infra.errors import DataAtRisk, PlanViolated
from watoto_infra.values.contracts import SECRET_MARK, Op


def ops(plan):
    return {step.name: step.op.value for step in plan.steps}


def test_drift_names_what_was_changed_by_hand_and_up_mends_it(quick_stack: ThingStack):
    graph = [thing("a", props={"value": "1"}), thing("b")]
    quick_stack.up(graph)
    with quick_stack.cloud.changing() as content:
        next(entry for entry in content["things"].values() if entry["resource"] == "a")["inputs"]["value"] = "by hand"
    state = quick_stack.store.state_path.read_bytes()
    plan = quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan
    assert ops(plan) == {"a": "update", "b": "same"}
    [change] = next(step for step in plan.steps if step.name == "a").changes
    assert (change.path, change.before, change.after) == ("value", "1", "by hand")
    assert quick_stack.store.state_path.read_bytes() == state
    assert shown(quick_stack.preview(graph)) == {"a": "same", "b": "same"}
    assert shown(quick_stack.preview(graph, refresh=True)) == {"a": "update", "b": "same"}
    assert done(quick_stack.up(graph, refresh=True)) == [("update", "a")]
    assert not quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan.has_changes


def test_drift_names_what_was_changed_by_hand_until_it_is_mended_however_often_it_was_read(quick_stack: ThingStack):
    graph = [thing("a", props={"value": "1"}), thing("b")]
    quick_stack.up(graph)
    quick_stack.change("a", value="by hand")
    plan = quick_stack.preview(graph, refresh=True)

    def refreshed():
        quick_stack.engine.refresh(quick_stack.watcher, dry_run=False)

    def failed():
        quick_stack.faults.failing = {("update", "a")}
        assert quick_stack.up(graph, refresh=True).failures
        quick_stack.faults.failing = set()

    def refused():
        others = quick_stack.program([thing("c"), thing("a", props={"value": "1"}, refs={"of": "c.serial"})])
        with pytest.raises(PlanViolated):
            quick_stack.engine.up(others, quick_stack.watcher, expect=plan)

    def interrupted():
        quick_stack.watcher.on_start = lambda step: quick_stack.interrupt()
        changed = [*graph, thing("c"), thing("d", refs={"of": "c.serial"})]
        quick_stack.faults.failing = {("update", "a")}
        quick_stack.up(changed, refresh=True)
        quick_stack.watcher.on_start = None
        quick_stack.faults.failing = set()

    for read in (refreshed, failed, refused, interrupted):
        read()
        drift = quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan
        [change] = next(step for step in drift.steps if step.name == "a").changes
        assert (change.path, change.before, change.after) == ("value", "1", "by hand"), read
        [change] = next(step for step in quick_stack.preview(graph).steps if step.name == "a").changes
        assert (change.before, change.after) == ("by hand", "1"), read
    assert quick_stack.store.load() == quick_stack.new_engine()._store.load()
    assert ("update", "a") in done(quick_stack.up(graph, refresh=True))
    assert ops(quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan) == {"a": "same", "b": "same"}


def test_a_property_that_is_to_be_ignored_stays_as_somebody_set_it(quick_stack: ThingStack):
    graph = [thing("a", props={"value": "1", "other": "1"}, opts={"ignore_changes": ["value"]})]
    quick_stack.up(graph)
    quick_stack.change("a", value="by hand")
    quick_stack.engine.refresh(quick_stack.watcher, dry_run=False)
    assert not quick_stack.preview(graph).has_changes
    graph[0]["props"]["other"] = "2"
    quick_stack.up(graph)
    assert quick_stack.cloud.by_name()["a"]["inputs"]["value"] == "by hand"


def test_what_was_read_of_a_secret_is_kept_encrypted(stack: ThingStack):
    graph = [thing("a", props={"value": "1", "word": "xyzzy"}, secrets=["word"])]
    stack.up(graph)
    stack.change("a", word="plugh", value="by hand")
    stack.engine.refresh(stack.watcher, dry_run=False)
    assert "plugh" not in stack.store.state_path.read_text()
    drift = stack.engine.refresh(stack.watcher, dry_run=True).plan
    assert {(c.path, c.before, c.after) for step in drift.steps for c in step.changes} == {
        ("value", "1", "by hand"),
        ("word", SECRET_MARK, SECRET_MARK),
    }


def test_drift_names_what_was_deleted_by_hand_and_up_makes_it_again(quick_stack: ThingStack):
    quick_stack.up([thing("a"), thing("b")])
    quick_stack.lose({"a"})
    plan = quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan
    assert ops(plan) == {"a": "delete", "b": "same"}
    assert done(quick_stack.up([thing("a"), thing("b")], refresh=True)) == [("create", "a")]


def test_what_was_seen_as_gone_and_is_there_again_is_taken_back_and_nothing_is_replaced(quick_stack: ThingStack):
    graph = [thing("key"), thing("db", props={"data": True}, refs={"fixed": "key.serial"})]
    quick_stack.up(graph)
    kept = quick_stack.cloud.things
    quick_stack.lose({"key"})
    for _ in range(2):
        quick_stack.engine.refresh(quick_stack.watcher, dry_run=False)
        assert ops(quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan)["key"] == "delete"
    with pytest.raises(DataAtRisk):
        quick_stack.up(graph, refresh=True)
    with quick_stack.cloud.changing() as content:
        content["things"] = kept
    assert not quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan.has_changes
    assert not done(quick_stack.up(graph, refresh=True))
    assert quick_stack.cloud.things == kept


def test_what_was_seen_as_gone_and_is_there_again_is_destroyed_with_the_rest(quick_stack: ThingStack):
    quick_stack.up([thing("key"), thing("other")])
    kept = quick_stack.cloud.things
    quick_stack.lose({"key"})
    quick_stack.engine.refresh(quick_stack.watcher, dry_run=False)
    with quick_stack.cloud.changing() as content:
        content["things"] = kept
    quick_stack.destroy()
    assert not quick_stack.cloud.things


def test_what_can_still_be_had_back_says_how_in_drift_and_in_the_plan(quick_stack: ThingStack):
    quick_stack.up([thing("key"), thing("other")])
    quick_stack.lose({"key", "other"})
    quick_stack.faults.rescues = {"key": "`cloud restore key` takes it back"}
    for plan in (
        quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan,
        quick_stack.preview([thing("key"), thing("other")], refresh=True),
    ):
        assert [step.name for step in plan.steps if "`cloud restore key` takes it back" in step.notes] == ["key"]


def test_what_somebody_hung_on_a_resource_is_drift_of_its_owner_until_it_is_gone(quick_stack: ThingStack):
    graph = [thing("role"), thing("policy", refs={"hangs_on": "role.serial"}), thing("other")]
    quick_stack.up(graph)
    assert not quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan.has_changes
    things = quick_stack.cloud.things
    role = next(identifier for identifier, entry in things.items() if entry["resource"] == "role")
    with quick_stack.cloud.changing() as content:
        content["things"]["id-99"] = {"resource": "by hand", "inputs": {"hangs_on": role}, "token": ""}
    for _ in range(2):
        drift = quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan
        [step] = [step for step in drift.steps if step.op is not Op.SAME]
        assert (step.name, [change.path for change in step.changes]) == ("role", ["Thing[id-99]"])
        quick_stack.watcher.messages.clear()
        assert not done(quick_stack.up(graph, refresh=True))
        assert [urn for _, text, urn in quick_stack.watcher.messages if "Thing[id-99]" in text] == [urn_of("role")]
    with quick_stack.cloud.changing() as content:
        del content["things"]["id-99"]
    assert not quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan.has_changes


def test_elements_of_a_list_that_have_names_are_told_by_them_whatever_their_order(quick_stack: ThingStack):
    def settings(**values: str):
        return [{"name": name, "value": value} for name, value in values.items()]

    graph = [thing("a", props={"parameters": settings(work_mem="4", shared="8", gone="1")})]
    quick_stack.up(graph)
    quick_stack.change("a", parameters=settings(shared="8", new="2", work_mem="5"))
    drift = quick_stack.engine.refresh(quick_stack.watcher, dry_run=True).plan
    assert [(c.path, c.before, c.after) for step in drift.steps for c in step.changes] == [
        ("parameters[gone]", {"name": "gone", "value": "1"}, None),
        ("parameters[new]", None, {"name": "new", "value": "2"}),
        ("parameters[work_mem].value", "4", "5"),
    ]
    quick_stack.up(graph, refresh=True)
    graph[0]["props"]["parameters"][0]["value"] = "6"
    [step] = [step for step in quick_stack.preview(graph).steps if step.changes]
    assert [(c.path, c.before, c.after) for c in step.changes] == [("parameters[work_mem].value", "4", "6")]


def test_refresh_takes_what_is_there_into_the_state(quick_stack: ThingStack):
    graph = [thing("a", props={"value": "1"})]
    quick_stack.up(graph)
    with quick_stack.cloud.changing() as content:
        next(iter(content["things"].values()))["inputs"]["value"] = "2"
    quick_stack.engine.refresh(quick_stack.watcher, dry_run=False)
    assert not quick_stack.preview([thing("a", props={"value": "2"})]).has_changes
    assert shown(quick_stack.preview(graph)) == {"a": "update"}


def test_drift_between_preview_and_up_that_needs_more_than_was_shown_is_not_acted_on(quick_stack: ThingStack):
    graph = [thing("a", props={"value": "1"})]
    quick_stack.up(graph)
    plan = quick_stack.preview(graph, refresh=True)
    with quick_stack.cloud.changing() as content:
        next(iter(content["things"].values()))["inputs"]["value"] = "by hand"
    with pytest.raises(Exception, match="did not show"):
        quick_stack.engine.up(quick_stack.program(graph), quick_stack.watcher, expect=plan)
    assert quick_stack.cloud.by_name()["a"]["inputs"]["value"] == "by hand"


def test_a_creation_the_service_did_but_did_not_answer_is_adopted(quick_stack: ThingStack):
    quick_stack.faults.lost_answers = {"a"}
    assert quick_stack.up([thing("a")]).failures
    quick_stack.faults.lost_answers = set()
    result = quick_stack.up([thing("a")])
    assert not result.failures
    assert len(quick_stack.cloud.things) == 1
    assert quick_stack.store.load().pending == ()


def test_what_is_taken_over_is_said_by_the_plan(quick_stack: ThingStack):
    quick_stack.faults.lost_answers = {"a"}
    quick_stack.up([thing("a", props={"value": "1"})])
    said = ("info", f"{urn_of('a')}: {ADOPTED}", urn_of("a"))
    for value, op in (("2", "update"), ("1", "same")):
        quick_stack.watcher.messages.clear()
        plan = quick_stack.preview([thing("a", props={"value": value})])
        assert shown(plan) == {"a": op}
        assert [step.name for step in plan.steps if ADOPTED in step.notes] == ["a"]
        assert (said in quick_stack.watcher.messages) == (op == "same")
    quick_stack.up([thing("a", props={"value": "1"})])
    assert not any(step.notes for step in quick_stack.preview([thing("a", props={"value": "1"})]).steps)


def test_a_creation_that_was_refused_is_over_and_takes_over_nothing(quick_stack: ThingStack):
    quick_stack.up([thing("theirs", props={"name": "taken"})])
    theirs = quick_stack.cloud.things
    graph = [thing("theirs", props={"name": "taken"}), thing("ours", props={"name": "taken"})]
    for _ in range(2):
        assert "is taken" in str(quick_stack.up(graph).failures[0].error)
        assert quick_stack.store.load().pending == ()
        assert quick_stack.cloud.things == theirs
    graph[1]["props"]["name"] = "free"
    assert done(quick_stack.up(graph)) == [("create", "ours")]
