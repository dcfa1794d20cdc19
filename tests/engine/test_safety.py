"""Data, failures, interruptions, emptied control planes: what must not go wrong when something does."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from tests.engine.harness import ThingStack, done, shown, thing, urn_of
from watoto_infra.engine.embedded.deletion import deletion_step
from watoto_infra.engine.embedded.guard import refuse_forbidden
from watoto_infra.errors import DataAtRisk, InvalidInputs, NoSuchStack, ProviderError, StackLocked
from watoto_infra.values.contracts import Allowances, Op


def data_thing(name: str, **props):
    return thing(name, props={"data": True, **props})


def ops(plan):
    return {step.name: step.op.value for step in plan.steps}


# --- data -------------------------------------------------------------------------------------------------------------


def test_replacing_data_needs_leave_by_urn_or_type_and_stops_before_any_change(quick_stack: ThingStack):
    quick_stack.up([data_thing("db", fixed="x"), thing("web", props={"value": "1"})])
    log = quick_stack.cloud.log
    graph = [data_thing("db", fixed="y"), thing("web", props={"value": "2"})]
    with pytest.raises(DataAtRisk, match=urn_of("db")) as caught:
        quick_stack.up(graph)
    assert f"--allow-replace {urn_of('db')}" in str(caught.value.hint)
    assert quick_stack.cloud.log == log
    assert not quick_stack.up(graph, allow=Allowances(replace=frozenset({urn_of("db")}))).failures
    again = [data_thing("db", fixed="z"), graph[1]]
    assert not quick_stack.up(again, allow=Allowances(replace=frozenset({"mem:index:Thing"}))).failures


def test_deleting_data_needs_leave_by_urn_and_names_each(quick_stack: ThingStack):
    quick_stack.up([data_thing("db"), data_thing("media")])
    with pytest.raises(DataAtRisk) as caught:
        quick_stack.up([])
    assert "2 resources" in caught.value.message
    for name in ("db", "media"):
        assert f"--allow-data-loss {urn_of(name)}" in str(caught.value.hint)
    with pytest.raises(DataAtRisk, match=urn_of("media")):
        quick_stack.up([], allow=Allowances(data_loss=frozenset({urn_of("db")})))
    quick_stack.up([], allow=Allowances(data_loss=frozenset({urn_of("db"), urn_of("media")})))
    assert quick_stack.cloud.things == {}


def test_a_flag_that_is_named_can_be_pasted_into_a_shell(quick_stack: ThingStack):
    quick_stack.up([thing("group", kind="component"), data_thing("db") | {"parent": "group"}])
    with pytest.raises(DataAtRisk) as caught:
        quick_stack.up([])
    urn = "urn:pulumi:test::watoto::test:index:Group$mem:index:Thing::db"
    assert shlex.split(str(caught.value.hint))[-2:] == ["--allow-data-loss", urn]


def test_destroying_data_needs_leave_for_all_of_it(quick_stack: ThingStack):
    quick_stack.up([data_thing("db"), thing("web")])
    with pytest.raises(DataAtRisk, match=urn_of("db")) as caught:
        quick_stack.destroy()
    assert caught.value.hint == "take a backup, then allow it with --delete-data"
    assert len(quick_stack.cloud.things) == 2
    quick_stack.destroy(allow=Allowances(delete_data=True))
    assert quick_stack.cloud.things == {}


def test_updating_data_in_place_needs_no_leave(quick_stack: ThingStack):
    quick_stack.up([data_thing("db", value="1")])
    assert done(quick_stack.up([data_thing("db", value="2")])) == [("update", "db")]


def test_data_replaced_along_with_something_else_is_at_risk_too(quick_stack: ThingStack):
    def graph(fixed: str):
        return [
            thing("net", props={"name": "n", "fixed": fixed}),
            thing("db", props={"data": True}, refs={"fixed": "net.serial"}),
        ]

    quick_stack.up(graph("x"))
    with pytest.raises(DataAtRisk, match=urn_of("db")):
        quick_stack.up(graph("y"))


# --- failures and interruptions ------------------------------------------------------------------------------------


def test_a_failure_stops_its_dependents_and_is_named_in_the_services_own_words(quick_stack: ThingStack):
    quick_stack.faults.failing = {("create", "a")}
    result = quick_stack.up([thing("a"), thing("b", refs={"of": "a.serial"})])
    assert [failure.step.name for failure in result.failures] == ["a"]
    assert "the service said no" in str(result.failures[0].error)
    assert quick_stack.cloud.things == {}
    quick_stack.faults.failing = set()
    assert done(quick_stack.up([thing("a"), thing("b", refs={"of": "a.serial"})])) == [("create", "a"), ("create", "b")]


def test_after_a_failure_nothing_is_deleted(quick_stack: ThingStack):
    quick_stack.up([thing("old")])
    quick_stack.faults.failing = {("create", "new")}
    quick_stack.up([thing("new")])
    assert set(quick_stack.cloud.by_name()) == {"old"}


def test_a_failed_deletion_keeps_what_it_needs_and_lets_the_rest_go(quick_stack: ThingStack):
    quick_stack.up([thing("a"), thing("b", refs={"of": "a.serial"}), thing("c")])
    quick_stack.faults.failing = {("delete", "b")}
    result = quick_stack.destroy()
    assert [failure.step.name for failure in result.failures] == ["b"]
    assert set(quick_stack.cloud.by_name()) == {"a", "b"}
    quick_stack.faults.failing = set()
    assert not quick_stack.destroy().failures
    assert quick_stack.cloud.things == {}


def test_a_half_made_thing_is_kept_and_completed_by_the_next_run(quick_stack: ThingStack):
    quick_stack.faults.incomplete = {"a"}
    result = quick_stack.up([thing("a", props={"value": "1"})])
    assert result.failures
    assert len(quick_stack.cloud.things) == 1
    quick_stack.faults.incomplete = set()
    assert not quick_stack.up([thing("a", props={"value": "1"})]).failures
    assert len(quick_stack.cloud.things) == 1
    assert not quick_stack.preview([thing("a", props={"value": "1"})]).has_changes


def test_an_interrupted_run_finishes_what_runs_and_starts_nothing_new(quick_stack: ThingStack):
    graph = [thing("a"), thing("b", refs={"of": "a.serial"}), thing("c", refs={"of": "b.serial"})]
    plan = quick_stack.preview(graph)
    quick_stack.watcher.on_start = lambda step: quick_stack.interrupt() if step.name == "a" else None
    result = quick_stack.engine.up(quick_stack.program(graph), quick_stack.watcher, expect=plan)
    assert result.interrupted
    assert set(quick_stack.cloud.by_name()) == {"a"}
    assert quick_stack.store.history()[-1]["result"] == "interrupted"
    quick_stack.watcher.on_start = None
    assert done(quick_stack.up(graph)) == [("create", "b"), ("create", "c")]


def test_what_an_emulator_does_not_implement_is_marked_in_result_and_state(quick_stack: ThingStack):
    quick_stack.faults.simulated = {"a"}
    assert quick_stack.up([thing("a"), thing("b")]).simulated == (urn_of("a"),)
    assert quick_stack.up([thing("a"), thing("b")]).simulated == (urn_of("a"),)
    assert [state.name for state in quick_stack.store.load().resources if state.simulated] == ["a"]


def test_two_runs_at_once_are_refused_by_the_second(quick_stack: ThingStack):
    graph = [thing("a")]
    plan = quick_stack.preview(graph)
    refusals = []

    def second_run(step):
        with pytest.raises(StackLocked) as caught:
            quick_stack.new_engine().up(quick_stack.program(graph), quick_stack.watcher, expect=plan)
        refusals.append(caught.value.message)

    quick_stack.watcher.on_start = second_run
    quick_stack.engine.up(quick_stack.program(graph), quick_stack.watcher, expect=plan)
    assert refusals
    assert "up" in refusals[0]


# --- control planes that were emptied ------------------------------------------------------------------------------


def test_an_emptied_control_plane_is_filled_again_under_the_same_names(quick_stack: ThingStack):
    graph = [thing("a"), thing("b", refs={"of": "a.serial"})]
    quick_stack.up(graph)
    labels = {name: entry["inputs"]["label"] for name, entry in quick_stack.cloud.by_name().items()}
    quick_stack.lose({"a", "b"})
    assert shown(quick_stack.preview(graph, refresh=True)) == {"a": "create", "b": "create"}
    quick_stack.up(graph, refresh=True)
    assert {name: entry["inputs"]["label"] for name, entry in quick_stack.cloud.by_name().items()} == labels


def test_data_that_is_gone_is_made_again_without_asking(quick_stack: ThingStack):
    quick_stack.up([data_thing("db")])
    quick_stack.lose({"db"})
    assert done(quick_stack.up([data_thing("db")], refresh=True)) == [("create", "db")]


def test_a_preview_without_a_refresh_asks_the_control_plane_about_nothing(quick_stack: ThingStack):
    graph = [thing(f"t{index}") for index in range(5)]
    quick_stack.up(graph)
    quick_stack.faults.reads = 0
    quick_stack.preview(graph)
    assert quick_stack.faults.reads == 0


def test_destroy_comes_to_its_end_where_everything_is_gone_already(quick_stack: ThingStack):
    quick_stack.up([thing("a"), thing("b", refs={"of": "a.serial"})])
    quick_stack.lose({"a", "b"})
    assert not quick_stack.destroy().failures
    assert quick_stack.store.load().resources == ()


def test_a_control_plane_that_keeps_things_must_answer_before_anything_is_destroyed(quick_stack: ThingStack):
    quick_stack.up([thing("a")])
    quick_stack.faults.down = True
    assert quick_stack.destroy().failures
    assert [state.name for state in quick_stack.store.load().resources if state.custom][-1] == "a"


def test_commands_on_a_stack_that_does_not_exist_say_so(quick_stack: ThingStack):
    for call in (
        lambda: quick_stack.engine.refresh(quick_stack.watcher, dry_run=True),
        quick_stack.engine.preview_destroy,
        lambda: quick_stack.engine.outputs(show_secrets=False),
        quick_stack.engine.export_state,
    ):
        with pytest.raises(NoSuchStack, match=r"test|no state"):
            call()


def test_a_preview_writes_nothing(quick_stack: ThingStack):
    quick_stack.preview([thing("a")])
    assert not quick_stack.store.folder.exists()


def test_a_control_plane_that_does_not_answer_ends_a_preview_with_its_words(quick_stack: ThingStack):
    quick_stack.up([thing("a")])
    quick_stack.faults.down = True
    with pytest.raises(ProviderError, match="connection refused"):
        quick_stack.preview([thing("a")], refresh=True)


def test_destroy_does_not_delete_what_its_preview_did_not_show(quick_stack: ThingStack):
    quick_stack.up([thing("a")])
    plan = quick_stack.engine.preview_destroy()
    quick_stack.up([thing("a"), thing("b")])
    with pytest.raises(Exception, match=urn_of("b")):
        quick_stack.engine.destroy(quick_stack.watcher, expect=plan)
    assert set(quick_stack.cloud.by_name()) == {"a", "b"}
    assert {step.op for step in plan.steps} == {Op.DELETE}


def test_only_takes_what_is_needed_and_not_there_and_leaves_the_rest(quick_stack: ThingStack):
    graph = [thing("a"), thing("b", props={"value": "1"}, refs={"of": "a.serial"})]
    quick_stack.up(graph)
    quick_stack.lose({"a"})
    changed = [graph[0], thing("b", props={"value": "2"}, refs={"of": "a.serial"})]
    new = [*changed, thing("needed"), thing("c", refs={"of": "needed.serial"}), thing("other")]
    plan = quick_stack.preview(new, refresh=True, only=[urn_of("b"), urn_of("c")])
    assert {name: op for name, op in shown(plan).items() if op != "same"} == {
        "a": "create",
        "b": "update",
        "needed": "create",
        "c": "create",
    }
    assert not quick_stack.up(new, refresh=True, only=[urn_of("b"), urn_of("c")]).failures
    assert quick_stack.cloud.by_name().keys() == {"a", "b", "needed", "c"}


def test_only_replaces_the_dependants_of_what_is_deleted_before_it_is_replaced(quick_stack: ThingStack):
    def graph(fixed: str):
        return [
            thing("net", props={"name": "n", "fixed": fixed}),
            thing("db", refs={"fixed": "net.serial"}),
            thing("other", props={"value": fixed}),
        ]

    quick_stack.up(graph("x"))
    plan = quick_stack.preview(graph("y"), only=[urn_of("net")])
    assert shown(plan) == {"net": "replace", "db": "replace", "other": "same"}
    assert not quick_stack.up(graph("y"), only=[urn_of("net")]).failures
    assert quick_stack.preview(graph("y")).summary["update"] == 1


@pytest.mark.parametrize("option", ["ignore_changes", "replace_on_changes"])
def test_an_option_that_is_no_property_path_is_refused_by_name(quick_stack: ThingStack, option: str):
    for _ in range(2):
        with pytest.raises(InvalidInputs, match=rf"{urn_of('a')}: {option}: 'tags\[' is no property path"):
            quick_stack.up([thing("a", opts={option: ["tags["]})])
        quick_stack.up([thing("a")])


def test_a_path_to_ignore_that_leads_nowhere_is_told(quick_stack: ThingStack):
    graph = [thing("a", props={"tags": {"x": "1"}}, opts={"ignore_changes": ["tags.x", "tags.y", "l[*].z"]})]
    quick_stack.up(graph)
    quick_stack.watcher.messages.clear()
    quick_stack.preview(graph)
    said = {text for severity, text, urn in quick_stack.watcher.messages if severity == "warning"}
    assert said == {f"ignore_changes names {path}, which leads nowhere" for path in ("tags.y", "l[*].z")}


def test_a_resource_that_is_only_read_is_not_data_at_risk(quick_stack: ThingStack):
    quick_stack.up([thing("a")])
    snapshot = quick_stack.store.load()
    read = next(state for state in snapshot.resources if state.name == "a")
    step = deletion_step(replace(read, external=True), lambda type_, inputs: True)
    refuse_forbidden([step], Allowances())
