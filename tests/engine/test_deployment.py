"""What a deployment decides for either engine: which allowances it takes, and which command goes on from a failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import ThingStack, thing, urn_of
from watoto_infra.deployment import CloudTarget, Deployment
from watoto_infra.errors import ChangesFound, Interrupted, ProviderError, UsageError
from watoto_infra.values.contracts import Allowances, Plan

GRAPH: list[dict[str, Any]] = [thing("a", props={"data": True, "fixed": "x"})]


@pytest.fixture
def stack(tmp_path: Path) -> ThingStack:
    return ThingStack(tmp_path, in_memory=True, direct=True)


def deployment(stack: ThingStack, graph: list[dict[str, Any]], target: str = "local") -> Deployment:
    return Deployment(stack.engine, CloudTarget(target), stack.program(graph))


def nobody(_: Plan) -> bool:
    pytest.fail("somebody was asked")


def yes(_: Plan) -> bool:
    return True


@pytest.mark.parametrize(
    "allow",
    [
        Allowances(replace=frozenset({urn_of("b")})),
        Allowances(replace=frozenset({"mem:index:Thin"})),
        Allowances(data_loss=frozenset({"mem:index:Thing"})),
        Allowances(data_loss=frozenset({urn_of("a"), urn_of("b")})),
    ],
)
def test_an_allowance_that_names_nothing_is_refused_before_anybody_is_asked(stack: ThingStack, allow: Allowances):
    stack.up(GRAPH)
    with pytest.raises(UsageError, match="no resource has this name: --allow"):
        deployment(stack, []).up(stack.watcher, nobody, allow=allow)
    assert stack.cloud.by_name().keys() == {"a"}


def test_an_allowance_that_names_a_resource_or_its_type_is_taken(stack: ThingStack):
    stack.up(GRAPH)
    for number, name in enumerate((urn_of("a"), "mem:index:Thing")):
        edited = [thing("a", props={"data": True, "fixed": str(number)})]
        deployment(stack, edited).up(stack.watcher, yes, allow=Allowances(replace=frozenset({name})))


def test_the_hint_names_the_command_that_failed_and_its_stack(stack: ThingStack):
    up = deployment(stack, GRAPH)
    stack.faults.failing = {("create", "a")}
    with pytest.raises(ProviderError) as failed:
        up.up(stack.watcher, yes)
    assert "`watoto up --target local --stack test`" in str(failed.value.hint)
    stack.faults.failing = set()
    up.up(stack.watcher, yes)
    stack.faults.failing = {("delete", "a")}
    with pytest.raises(ProviderError) as failed:
        up.destroy(stack.watcher, yes, allow=Allowances(delete_data=True))
    assert "`watoto destroy --target local --stack test`" in str(failed.value.hint)
    with pytest.raises(ChangesFound) as found:
        deployment(stack, []).preview(stack.watcher, expect_no_changes=True)
    assert "`watoto preview --target local --stack test --diff`" in str(found.value.hint)


def test_an_interrupted_destroy_is_gone_on_with_by_destroy(stack: ThingStack):
    stack.up([thing("a"), thing("b", refs={"of": "a.serial"})])
    stack.watcher.on_start = lambda step: stack.interrupt()
    with pytest.raises(Interrupted) as interrupted:
        deployment(stack, []).destroy(stack.watcher, yes)
    assert "watoto destroy" in str(interrupted.value.hint)


def test_a_targets_own_stack_needs_no_name(stack: ThingStack):
    own = replace(stack.program(GRAPH), stack="aws")
    assert Deployment(stack.engine, CloudTarget("aws"), own).command("up") == "watoto up --target aws"
