"""Random programs, random edits, random failures and kills: the provider ends holding exactly the program."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.harness import THING, ThingStack
from tests.examples import examples
from watoto_infra.errors import PlanViolated
from watoto_infra.values.contracts import Allowances, Plan, Result, StepOutcome

Graph = list[dict[str, Any]]

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]
GROUPED = {"cat", "dog"}
"""Always under the component: another parent is another URN, and a fixed physical name cannot move to another one."""

FREE = Allowances(delete_data=True)
EXAMPLES = settings(max_examples=examples(quick=25), suppress_health_check=list(HealthCheck))


@st.composite
def graphs(draw: st.DrawFn, physical: str = "pq") -> Graph:
    """A program: some of the names, each referring to earlier ones; some under a component.

    ``physical`` are the endings of fixed physical names: a name that the old half of an unfinished replacement still
    holds cannot be given again at once, by Pulumi either.
    """
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]
    entries: Graph = [{"name": "group", "kind": "component", "props": {"size": draw(st.integers(1, 2))}}]
    for index, name in enumerate(names):
        entry: dict[str, Any] = {"name": name, "props": {"value": draw(st.sampled_from(["1", "2"]))}}
        if draw(st.booleans()):
            entry["props"]["fixed"] = draw(st.sampled_from(["x", "y"]))
        if draw(st.integers(0, 3)) == 0:
            entry["props"]["name"] = f"{name}-{draw(st.sampled_from(physical))}"
        for key in draw(st.lists(st.sampled_from(["of", "fixed"]), unique=True, max_size=2)) if index else []:
            entry.setdefault("refs", {})[key] = f"{draw(st.sampled_from(names[:index]))}.serial"
            entry["props"].pop(key, None)
        if index and draw(st.integers(0, 3)) == 0:
            entry["depends_on"] = [draw(st.sampled_from(names[:index]))]
        if name in GROUPED:
            entry["parent"] = "group"
        if "name" not in entry["props"] and draw(st.integers(0, 3)) == 0:
            entry["opts"] = {"delete_before_replace": draw(st.booleans())}
        entries.append(entry)
    return entries


@pytest.fixture(scope="module")
def folder_factory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="watoto-graphs-") as name:
        yield Path(name)


def fresh_stack(folder: Path) -> ThingStack:
    mine = Path(tempfile.mkdtemp(dir=folder))
    return ThingStack(mine, in_memory=True, direct=True)


def expected(stack: ThingStack, graph: Graph) -> dict[str, dict[str, Any]]:
    """What the provider must hold: inputs by name, with references resolved to what really exists."""
    ids = {thing["resource"]: identifier for identifier, thing in stack.cloud.things.items()}
    return {
        entry["name"]: entry.get("props", {})
        | {key: ids.get(reference.partition(".")[0]) for key, reference in entry.get("refs", {}).items()}
        for entry in graph
        if entry.get("kind") != "component"
    }


def assert_holds_exactly(stack: ThingStack, graph: Graph) -> None:
    held = {
        name: {key: value for key, value in thing["inputs"].items() if key != "label"}
        for name, thing in stack.cloud.by_name().items()
    }
    assert held == expected(stack, graph)
    snapshot = stack.store.load()
    assert not snapshot.pending
    assert not [state for state in snapshot.resources if state.delete or state.pending_replacement]
    assert {state.name for state in snapshot.resources if state.type == THING} == held.keys()


def assert_did_only_what_was_shown(plan: Plan, outcomes: Iterable[StepOutcome]) -> None:
    allowed = {(step.urn, step.op.value) for step in plan.steps}
    for outcome in outcomes:
        op = outcome.step.op.value
        fits = {op, "replace"} if op in {"create-replacement", "delete-replaced", "update", "create"} else {op}
        fits |= {"create", "update", "replace"} if op == "same" else set()
        fits |= {"delete"} if op == "delete-replaced" else set()
        assert any((outcome.step.urn, fit) in allowed for fit in fits), f"{op} of {outcome.step.urn} was not shown"


def assert_exact(plan: Plan, result: Result) -> None:
    """A preview in which nothing was unknown shows what the run does, neither less nor more."""
    may_replace = any(step.may_replace for step in plan.steps)
    if not may_replace and not any(change.after == "[unknown]" for step in plan.steps for change in step.changes):
        planned = Counter({op: count for op, count in plan.summary.items() if op != "delete-replaced"})
        made = Counter(result.summary)
        assert {op: n for op, n in planned.items() if op != "same"} == {op: n for op, n in made.items() if op != "same"}


def apply(stack: ThingStack, graph: Graph) -> Result:
    plan = stack.preview(graph)
    result = stack.engine.up(stack.program(graph), stack.watcher, expect=plan, allow=FREE)
    assert_did_only_what_was_shown(plan, result.outcomes)
    if not result.failures:
        assert_exact(plan, result)
    return result


@EXAMPLES
@given(first=graphs(), second=graphs())
def test_after_any_edit_the_provider_holds_exactly_the_program(folder_factory, first, second):
    stack = fresh_stack(folder_factory)
    for graph in (first, second, first):
        result = apply(stack, graph)
        assert not result.failures
        assert_holds_exactly(stack, graph)
        assert not stack.preview(graph).has_changes
    assert not stack.destroy(allow=FREE).failures
    assert stack.cloud.things == {}
    assert stack.store.load().resources == ()


@EXAMPLES
@given(
    first=graphs(),
    second=graphs(),
    failing=st.sets(st.tuples(st.sampled_from(["create", "update", "delete"]), st.sampled_from(NAMES)), max_size=3),
)
def test_after_any_failures_the_next_run_completes_the_program(folder_factory, first, second, failing):
    stack = fresh_stack(folder_factory)
    apply(stack, first)
    stack.faults.failing = failing
    apply(stack, second)
    stack.faults.failing = set()
    assert not apply(stack, second).failures
    assert_holds_exactly(stack, second)
    assert not stack.preview(second).has_changes


@EXAMPLES
@given(
    first=graphs(),
    second=graphs(),
    third=graphs(physical="rs"),
    kill=st.tuples(
        st.sampled_from(["create", "update", "delete"]), st.sampled_from(NAMES), st.sampled_from(["before", "after"])
    ),
)
def test_after_a_kill_at_any_operation_nothing_is_lost_or_made_twice(folder_factory, first, second, third, kill):
    stack = fresh_stack(folder_factory)
    apply(stack, first)
    killed = stack.kill_at(*kill)
    plan = stack.preview(second)
    stack.engine.up(stack.program(second), stack.watcher, expect=plan, allow=FREE)
    stack = killed()
    assert not apply(stack, third).failures
    assert_holds_exactly(stack, third)
    assert not stack.preview(third).has_changes


@EXAMPLES
@given(graph=graphs(), kill=st.tuples(st.just("delete"), st.sampled_from(NAMES), st.sampled_from(["before", "after"])))
def test_a_killed_destroy_is_completed_by_the_next_one(folder_factory, graph, kill):
    stack = fresh_stack(folder_factory)
    apply(stack, graph)
    killed = stack.kill_at(*kill)
    stack.destroy(allow=FREE)
    stack = killed()
    assert not stack.destroy(allow=FREE).failures
    assert stack.cloud.things == {}


@EXAMPLES
@given(graph=graphs(), gone=st.sets(st.sampled_from(NAMES)), everything=st.booleans())
def test_an_emptied_control_plane_is_filled_again_under_the_same_names(folder_factory, graph, gone, everything):
    stack = fresh_stack(folder_factory)
    apply(stack, graph)
    labels = {name: thing["inputs"]["label"] for name, thing in stack.cloud.by_name().items()}
    stack.lose(set(NAMES) if everything else gone)
    result = stack.up(graph, refresh=True, allow=FREE)
    assert not result.failures
    assert_holds_exactly(stack, graph)
    not_replaced = {
        outcome.step.name for outcome in result.outcomes if outcome.step.op.value in {"same", "update", "create"}
    }
    for name, thing in stack.cloud.by_name().items():
        assert name not in not_replaced or thing["inputs"]["label"] == labels[name]


@EXAMPLES
@given(first=graphs(), second=graphs(), third=graphs())
def test_a_run_that_meets_another_program_than_the_previewed_one_does_nothing_that_was_not_shown(
    folder_factory, first, second, third
):
    stack = fresh_stack(folder_factory)
    apply(stack, first)
    plan = stack.preview(second)
    stack.watcher.ended.clear()
    with suppress(PlanViolated):
        stack.engine.up(stack.program(third), stack.watcher, expect=plan, allow=FREE)
    assert_did_only_what_was_shown(plan, stack.watcher.ended)
    assert not apply(stack, third).failures
    assert_holds_exactly(stack, third)
