"""What each kind of difference does to the real things, in Pulumi's meaning."""

from __future__ import annotations

import pytest

from tests.engine.harness import THING, ThingStack, done, shown, thing, urn_of
from watoto_infra.errors import InvalidInputs, PlanViolated, ProtectedResource, UsageError
from watoto_infra.values.contracts import UNKNOWN_MARK, Allowances, Op


def kinds(plan, name):
    return {change.path: change.kind.value for step in plan.steps if step.name == name for change in step.changes}


def test_a_new_program_is_created_in_the_order_of_its_references(quick_stack: ThingStack):
    graph = [thing("a"), thing("b", refs={"of": "a.serial"}), thing("c", refs={"of": "b.serial"})]
    assert shown(quick_stack.preview(graph)) == {"a": "create", "b": "create", "c": "create"}
    assert done(quick_stack.up(graph)) == [("create", "a"), ("create", "b"), ("create", "c")]


def test_an_unchanged_program_does_nothing(quick_stack: ThingStack):
    graph = [thing("a", props={"value": "1"}), thing("b", refs={"of": "a.serial"})]
    quick_stack.up(graph)
    log = quick_stack.cloud.log
    plan = quick_stack.preview(graph)
    assert not plan.has_changes
    assert done(quick_stack.up(graph)) == []
    assert quick_stack.cloud.log == log


def test_a_changed_property_updates_in_place_and_shows_its_path(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"value": "1", "tags": {"x.y": "1", "z": "1"}})])
    graph = [thing("a", props={"value": "2", "tags": {"x.y": "2"}})]
    plan = quick_stack.preview(graph)
    assert kinds(plan, "a") == {"value": "update", 'tags["x.y"]': "update", "tags.z": "delete"}
    assert done(quick_stack.up(graph)) == [("update", "a")]


def test_a_forced_replacement_creates_the_new_thing_before_it_deletes_the_old_one(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"fixed": "x"}), thing("b", refs={"of": "a.serial"})])
    graph = [thing("a", props={"fixed": "y"}), thing("b", refs={"of": "a.serial"})]
    plan = quick_stack.preview(graph)
    assert shown(plan) == {"a": "replace", "b": "update"}
    assert kinds(plan, "a") == {"fixed": "update-replace"}
    assert done(quick_stack.up(graph)) == [("create-replacement", "a"), ("update", "b"), ("delete-replaced", "a")]


def test_a_replacement_has_another_automatic_name(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"fixed": "x"})])
    before = quick_stack.cloud.by_name()["a"]["inputs"]["label"]
    plan = quick_stack.preview([thing("a", props={"fixed": "y"})])
    quick_stack.up([thing("a", props={"fixed": "y"})])
    assert quick_stack.cloud.by_name()["a"]["inputs"]["label"] != before
    assert kinds(plan, "a") == {"fixed": "update-replace"}


def test_a_fixed_physical_name_is_freed_before_its_replacement_takes_it(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"name": "n", "fixed": "x"})])
    result = quick_stack.up([thing("a", props={"name": "n", "fixed": "y"})])
    assert done(result) == [("delete-replaced", "a"), ("create-replacement", "a")]


def test_what_cannot_stand_without_a_thing_deleted_first_is_replaced_with_it(quick_stack: ThingStack):
    def graph(fixed: str):
        return [
            thing("a", props={"name": "n", "fixed": fixed}),
            thing("b", refs={"fixed": "a.serial"}),
            thing("c", refs={"of": "a.serial"}),
        ]

    quick_stack.up(graph("x"))
    assert shown(quick_stack.preview(graph("y"))) == {"a": "replace", "b": "replace", "c": "update"}
    result = quick_stack.up(graph("y"))
    assert not result.failures
    order = done(result)
    assert order[:3] == [("delete-replaced", "b"), ("delete-replaced", "a"), ("create-replacement", "a")]
    assert set(order[3:]) == {("create-replacement", "b"), ("update", "c")}
    assert result.summary["replace"] == 2


def test_the_programs_own_wish_to_delete_first_is_followed(quick_stack: ThingStack):
    options = {"delete_before_replace": True}
    quick_stack.up([thing("a", props={"fixed": "x"}, opts=options)])
    result = quick_stack.up([thing("a", props={"fixed": "y"}, opts=options)])
    assert done(result) == [("delete-replaced", "a"), ("create-replacement", "a")]


def test_what_the_program_no_longer_declares_is_deleted_dependents_first(quick_stack: ThingStack):
    quick_stack.up([thing("a"), thing("b", refs={"of": "a.serial"}), thing("c", depends_on=["b"])])
    assert shown(quick_stack.preview([])) == {"c": "delete", "b": "delete", "a": "delete"}
    assert done(quick_stack.up([])) == [("delete", "c"), ("delete", "b"), ("delete", "a")]
    assert quick_stack.cloud.things == {}


def test_ignored_changes_are_left_as_they_are(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"value": "1", "tags": {"x": "1", "y": "1"}})])
    options = {"ignore_changes": ["value", "tags.x"]}
    graph = [thing("a", props={"value": "2", "tags": {"x": "2", "y": "2"}}, opts=options)]
    assert kinds(quick_stack.preview(graph), "a") == {"tags.y": "update"}
    quick_stack.up(graph)
    inputs = quick_stack.cloud.by_name()["a"]["inputs"]
    assert (inputs["value"], inputs["tags"]) == ("1", {"x": "1", "y": "2"})
    assert not quick_stack.preview(graph).has_changes


def test_a_property_named_in_replace_on_changes_forces_a_replacement(quick_stack: ThingStack):
    options = {"replace_on_changes": ["value"]}
    quick_stack.up([thing("a", props={"value": "1"}, opts=options)])
    graph = [thing("a", props={"value": "2"}, opts=options)]
    assert shown(quick_stack.preview(graph)) == {"a": "replace"}
    assert done(quick_stack.up(graph)) == [("create-replacement", "a"), ("delete-replaced", "a")]


def test_an_alias_carries_a_renamed_thing_over(quick_stack: ThingStack):
    quick_stack.up([thing("old", props={"value": "1"}), thing("b", refs={"of": "old.serial"})])
    graph = [thing("new", props={"value": "1"}, aliases=[{"name": "old"}]), thing("b", refs={"of": "new.serial"})]
    plan = quick_stack.preview(graph)
    assert not plan.has_changes
    log = quick_stack.cloud.log
    quick_stack.up(graph)
    assert quick_stack.cloud.log == log
    assert {state.name for state in quick_stack.store.load().resources if state.type == THING} == {"new", "b"}


def test_a_renamed_component_carries_its_children_over(quick_stack: ThingStack):
    def graph(name: str, **entry):
        return [thing(name, kind="component", **entry), thing(f"{name}-child", parent=name, props={"value": "1"})]

    quick_stack.up(graph("web"))
    renamed = graph("site", aliases=[{"name": "web"}])
    assert not quick_stack.preview(renamed).has_changes
    quick_stack.up(renamed)
    assert quick_stack.cloud.log == [("create", "web-child")]


def test_a_retained_thing_leaves_the_state_but_stays(quick_stack: ThingStack):
    quick_stack.up([thing("a", opts={"retain_on_delete": True})])
    quick_stack.up([])
    assert len(quick_stack.cloud.things) == 1
    assert urn_of("a") not in {state.urn for state in quick_stack.store.load().resources}


def test_what_goes_with_its_owner_is_not_deleted_on_its_own(quick_stack: ThingStack):
    quick_stack.up([thing("owner"), thing("part", deleted_with="owner")])
    quick_stack.up([])
    assert [entry for entry in quick_stack.cloud.log if entry[0] == "delete"] == [("delete", "owner")]


def test_a_protected_resource_is_refused_by_name_and_nothing_is_done(quick_stack: ThingStack):
    protected = {"protect": True}
    quick_stack.up([thing("a", props={"fixed": "x"}, opts=protected), thing("b")])
    log = quick_stack.cloud.log
    for graph in ([thing("a", props={"fixed": "y"}, opts=protected)], []):
        plan = quick_stack.preview(graph)
        assert "protected" in next(step for step in plan.steps if step.name == "a").notes
        with pytest.raises(ProtectedResource, match=urn_of("a")):
            quick_stack.engine.up(quick_stack.program(graph), quick_stack.watcher, expect=plan)
    with pytest.raises(ProtectedResource, match=urn_of("a")):
        quick_stack.destroy(allow=Allowances(delete_data=True))
    assert quick_stack.cloud.log == log


def test_protection_is_taken_off_by_the_program(quick_stack: ThingStack):
    quick_stack.up([thing("a", opts={"protect": True})])
    quick_stack.up([thing("a")])
    assert done(quick_stack.up([])) == [("delete", "a")]


def test_inputs_that_the_provider_refuses_stop_the_preview_with_its_reason(quick_stack: ThingStack):
    with pytest.raises(InvalidInputs, match="bad: is not allowed"):
        quick_stack.preview([thing("a", props={"bad": "1"})])


def test_only_named_resources_are_touched(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"value": "1"}), thing("b", props={"value": "1"}), thing("gone")])
    graph = [thing("a", props={"value": "2"}), thing("b", props={"value": "2"}), thing("new")]
    assert shown(quick_stack.preview(graph, only=[urn_of("a")])) == {"a": "update", "b": "same"}
    assert done(quick_stack.up(graph, only=[urn_of("a")])) == [("update", "a")]
    assert shown(quick_stack.preview(graph)) == {"a": "same", "b": "update", "new": "create", "gone": "delete"}


def test_only_that_names_nothing_is_a_usage_error(quick_stack: ThingStack):
    with pytest.raises(UsageError, match="urn:nothing"):
        quick_stack.preview([thing("a")], only=["urn:nothing"])


def test_only_keeps_what_a_resource_it_leaves_alone_still_needs(quick_stack: ThingStack):
    quick_stack.up([thing("a"), thing("b", refs={"of": "a.serial"})])
    plan = quick_stack.preview([], only=[urn_of("a")])
    assert shown(plan) == {}


def test_an_operation_the_preview_did_not_show_is_not_done(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"fixed": "x"})])
    plan = quick_stack.preview([thing("a", props={"fixed": "x", "value": "2"})])
    assert shown(plan) == {"a": "update"}
    changed = quick_stack.program([thing("a", props={"fixed": "y"})])
    with pytest.raises(PlanViolated, match=urn_of("a")):
        quick_stack.engine.up(changed, quick_stack.watcher, expect=plan)
    assert quick_stack.cloud.log == [("create", "a")]


def test_doing_less_than_the_preview_showed_is_fine(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"fixed": "x"})])
    plan = quick_stack.preview([thing("a", props={"fixed": "y"})])
    same = quick_stack.program([thing("a", props={"fixed": "x"})])
    result = quick_stack.engine.up(same, quick_stack.watcher, expect=plan)
    assert not result.failures
    assert quick_stack.cloud.log == [("create", "a")]


def test_a_preview_with_an_unknown_input_shows_the_worst_it_may_mean(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"fixed": "x"}), thing("b", refs={"fixed": "a.serial"})])
    plan = quick_stack.preview([thing("a", props={"fixed": "y"}), thing("b", refs={"fixed": "a.serial"})])
    step = next(step for step in plan.steps if step.name == "b")
    assert (step.op, step.may_replace) == (Op.REPLACE, True)
    assert step.changes[0].after == "[unknown]"


def test_the_plan_lists_every_resource_once_and_after_what_it_needs(quick_stack: ThingStack):
    graph = [thing("z"), thing("a", refs={"of": "z.serial"}), thing("m", refs={"of": "a.serial"})]
    names = [step.name for step in quick_stack.preview(graph).steps]
    assert names == ["watoto-test", "z", "a", "m"]
    assert (
        quick_stack.preview(graph).digest
        == quick_stack.new_engine().preview(quick_stack.program(graph), quick_stack.watcher).digest
    )


def test_changed_stack_outputs_are_shown(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"value": "1"}, exports={"out": "value"})])
    plan = quick_stack.preview([thing("a", props={"value": "2"}, exports={"out": "value"})])
    assert [(change.path, change.before, change.after) for change in plan.output_changes] == [("out", "1", "2")]
    assert plan.outputs == {"out": "2"}


def test_a_plan_holds_what_the_program_exports_as_far_as_it_is_known(quick_stack: ThingStack):
    plan = quick_stack.preview([thing("a", props={"value": "1"}, exports={"out": "value", "number": "serial"})])
    assert plan.outputs == {"out": "1", "number": UNKNOWN_MARK}


def test_outputs_of_what_only_leaves_out_stay_as_they_were(quick_stack: ThingStack):
    quick_stack.up([thing("a", props={"value": "1"}), thing("b", depends_on=["a"], exports={"b": "serial"})])
    more = [
        thing("a", props={"value": "2"}),
        thing("b", depends_on=["a"], exports={"b": "serial"}),
        thing("new", exports={"new": "serial"}),
    ]
    quick_stack.up(more, only=[urn_of("a")])
    assert quick_stack.engine.outputs(show_secrets=False) == {"b": "id-2"}
    quick_stack.up(more)
    assert quick_stack.engine.outputs(show_secrets=False) == {"b": "id-2", "new": "id-3"}


def test_an_unchanged_run_leaves_the_state_file_as_it_is(quick_stack: ThingStack):
    graph = [
        thing("group", kind="component", props={"size": 1}),
        thing("a", props={"value": "s"}, secrets=["value"], parent="group", exports={"a": "value"}),
    ]
    quick_stack.up(graph)
    before = quick_stack.store.state_path.read_bytes()
    quick_stack.up(graph)
    assert quick_stack.store.state_path.read_bytes() == before
    assert [run["result"] for run in quick_stack.store.history()] == ["done", "done"]
