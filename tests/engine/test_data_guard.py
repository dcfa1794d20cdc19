"""The data guard cannot be switched off from outside: neither by hand, nor by a read, nor by moving the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import (
    EngineEvent,
    OpType,
    ResourcePreEvent,
    ResOutputsEvent,
    StepEventMetadata,
    StepEventStateMetadata,
)

from tests.engine.harness import ThingStack, Watcher, thing, urn_of
from watoto_infra.engine.embedded.guard import refuse_forbidden
from watoto_infra.engine.pulumi_events import RunLog
from watoto_infra.errors import DataAtRisk
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.resource_types import is_data_bearing
from watoto_infra.settings.data_bearing import DATA_TAG
from watoto_infra.values.contracts import Allowances, Step

TYPES = sorted(entry.type for entry in RESOURCES.values() if entry.bears_data)
DECLARED: dict[str, Any] = {"fixed": "1", "value": "1", "tags": {DATA_TAG: "critical", "Name": "db"}}
BY_HAND: dict[str, dict[str, Any]] = {
    "tag removed": {"tags": {"Name": "db"}},
    "all tags removed": {"tags": {}},
    "tag changed": {"tags": {DATA_TAG: "none", "Name": "db"}},
    "attribute changed": {"replicateSourceDb": "another", "value": "2"},
    "tag and attribute changed": {"tags": {"Name": "db"}, "fixed": "2"},
}
EDITS: dict[str, list[dict[str, Any]]] = {"replaces": [{**DECLARED, "fixed": "3"}], "deletes": []}

every_type = pytest.mark.parametrize("type_", TYPES)
every_change = pytest.mark.parametrize("by_hand", BY_HAND.values(), ids=list(BY_HAND))


def graph(type_: str, declared: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [thing("db", type=type_, props=props) for props in declared]


# --- the embedded engine --------------------------------------------------------------------------------------------


@pytest.fixture
def stack(tmp_path: Path) -> ThingStack:
    return ThingStack(tmp_path, in_memory=True, direct=True, data_bearing=is_data_bearing)


def read(stack: ThingStack) -> None:
    stack.engine.refresh(stack.watcher, dry_run=False)


def moved(stack: ThingStack) -> None:
    read(stack)
    stack.engine.import_state(stack.engine.export_state())


def failed(stack: ThingStack) -> None:
    """Let a run read everything and then fail."""
    stack.faults.failing = {("create", "other")}
    type_ = next(state.type for state in stack.store.load().resources if state.name == "db")
    stack.up([thing("other"), *graph(type_, [DECLARED])], refresh=True)
    stack.faults.failing = set()


@every_type
@every_change
@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
@pytest.mark.parametrize("then", [lambda stack: None, read, moved], ids=["untouched", "refreshed", "imported"])
def test_an_edit_that_loses_data_is_refused_by_name_whatever_was_done_by_hand(
    stack: ThingStack, type_: str, by_hand: dict[str, Any], edit: list[dict[str, Any]], then: Any
) -> None:
    stack.up(graph(type_, [DECLARED]))
    with stack.cloud.changing() as content:
        next(iter(content["things"].values()))["inputs"].update(by_hand)
    then(stack)
    before = stack.cloud.log
    for refresh in (True, False):
        with pytest.raises(DataAtRisk, match=urn_of("db", type_)):
            stack.up(graph(type_, edit), refresh=refresh)
    with pytest.raises(DataAtRisk, match=urn_of("db", type_)):
        stack.destroy()
    assert stack.cloud.log == before


@every_type
def test_a_run_that_read_everything_and_failed_leaves_the_guard_as_it_was(stack: ThingStack, type_: str) -> None:
    stack.up(graph(type_, [DECLARED]))
    with stack.cloud.changing() as content:
        next(iter(content["things"].values()))["inputs"].update(BY_HAND["tag removed"])
    failed(stack)
    with pytest.raises(DataAtRisk, match=urn_of("db", type_)):
        stack.up([], refresh=True)


@every_type
def test_a_tag_that_only_the_new_declaration_has_counts(stack: ThingStack, type_: str) -> None:
    stack.up(graph(type_, [{**DECLARED, "tags": {}}]))
    with pytest.raises(DataAtRisk, match=urn_of("db", type_)):
        stack.up(graph(type_, EDITS["replaces"]))


@every_type
def test_a_declaration_that_was_applied_and_says_that_there_is_no_data_needs_no_leave(
    stack: ThingStack, type_: str
) -> None:
    stack.up(graph(type_, [DECLARED]))
    plain = {**DECLARED, "tags": {"Name": "db"}}
    stack.up(graph(type_, [plain]))
    assert not stack.up(graph(type_, [{**plain, "fixed": "3"}])).failures


# --- the official engine --------------------------------------------------------------------------------------------


def official_steps(type_: str, before: dict[str, Any], now: dict[str, Any], goal: dict[str, Any] | None) -> list[Step]:
    """Give the steps of a preview that reads the resource first, by the events that the official CLI gives."""

    def state(inputs: dict[str, Any]) -> StepEventStateMetadata:
        return StepEventStateMetadata(
            urn=urn_of("db", type_),
            type=type_,
            id="id-1",
            parent="",
            provider="p::1",
            custom=True,
            inputs=inputs,
            outputs=inputs,
        )

    def metadata(op: OpType, old: dict[str, Any], new: dict[str, Any] | None) -> StepEventMetadata:
        return StepEventMetadata(
            op=op,
            urn=urn_of("db", type_),
            type=type_,
            provider="p::1",
            old=state(old),
            new=None if new is None else state(new),
        )

    log = RunLog(Watcher(), is_data_bearing)
    step = metadata(OpType.DELETE if goal is None else OpType.REPLACE, now, goal)
    reading = metadata(OpType.REFRESH, before, before)
    for number, event in enumerate(
        (
            {"resource_pre_event": ResourcePreEvent(metadata=reading, planning=True)},
            {"res_outputs_event": ResOutputsEvent(metadata=metadata(OpType.REFRESH, before, now), planning=True)},
            {"resource_pre_event": ResourcePreEvent(metadata=step, planning=True)},
        )
    ):
        log(EngineEvent(sequence=number, timestamp=number, **event))  # type: ignore[arg-type]
    return log.steps


@every_type
@every_change
@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
def test_the_official_engine_judges_by_what_was_there_before_it_read(
    type_: str, by_hand: dict[str, Any], edit: list[dict[str, Any]]
) -> None:
    steps = official_steps(type_, DECLARED, DECLARED | by_hand, edit[0] if edit else None)
    with pytest.raises(DataAtRisk, match=urn_of("db", type_)):
        refuse_forbidden(steps, Allowances())


@every_type
@every_change
def test_the_official_engine_judges_by_the_declaration_where_an_earlier_run_read_the_change(
    type_: str, by_hand: dict[str, Any]
) -> None:
    now = DECLARED | by_hand
    with pytest.raises(DataAtRisk, match=urn_of("db", type_)):
        refuse_forbidden(official_steps(type_, now, now, EDITS["replaces"][0]), Allowances())
