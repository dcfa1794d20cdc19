"""Every resource type keeps the same promises on a real moto server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.providers.aws.every_case import CASES
from tests.providers.world import Case, Made, World
from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.aws.clients import READING
from watoto_infra.providers.aws.compare import same
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.values import to_plain_map, to_property_map

pytestmark = pytest.mark.local


def label(case: Case) -> str:
    return case.type.removeprefix("aws:")


def per_property(kind: str, cases: list[Case]) -> list[Any]:
    return [
        pytest.param(case, name, value, id=f"{label(case)}-{name}")
        for case in cases
        for name, value in getattr(case, kind).items()
    ]


def is_seen_by_the_service(case: Case, name: str) -> bool:
    """Tell whether a change can be read back: what only state knows of leaves nothing to see."""
    field = RESOURCES[case.type].inputs.get(name)
    kept_in_state = field is not None and (field.behaviour or field.not_reported)
    return not (case.simulated or kept_in_state or name in case.simulated_updates)


REAL = [case for case in CASES if not case.simulated]
every_type = pytest.mark.parametrize("case", CASES, ids=label)
every_real_type = pytest.mark.parametrize("case", REAL, ids=label)


def made(world: World, case: Case) -> Made:
    return world.make(case.type, case.inputs(world))


def kept(world: World, case: Case) -> Made:
    """Give one thing of the case that is made once; a test that changes it changes it back."""
    return world.shared(f"thing {id(case)}", lambda one: made(one, case))


def young(world: World, case: Case) -> Made:
    """Give one thing of the case that nothing was done to since it was made: for a look, and then for its end."""
    return world.shared(f"young {id(case)}", lambda one: made(one, case))


def told(diff: base.DiffResponse) -> dict[str, str]:
    return {path: item.kind.name for path, item in diff.detailed_diff.items()}


def assert_holds(case: Case, outputs: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    known = RESOURCES[case.type].inputs
    for name, value in wanted.items():
        if name in {"tags", "__defaults"}:
            continue
        assert same(known[name], outputs.get(name), value), (name, outputs.get(name), value)
    if wanted.get("tags") and RESOURCES[case.type].tags:
        assert outputs["tags"] == wanted["tags"]
        assert outputs["tagsAll"] == wanted["tags"]


def test_every_type_of_the_tables_is_under_this_contract() -> None:
    assert {case.type for case in CASES} == set(RESOURCES)


@every_type
def test_what_was_created_reads_back_as_it_was_asked_for(world: World, case: Case) -> None:
    thing = kept(world, case)
    response = world.read(thing)
    assert response.resource_id == thing.id
    assert_holds(case, to_plain_map(response.properties), to_plain_map(thing.inputs))
    assert to_plain_map(response.inputs) == to_plain_map(thing.inputs)
    assert to_plain_map(response.properties) == thing.plain


@every_type
def test_what_the_emulator_does_not_implement_is_marked_and_nothing_else_is(world: World, case: Case) -> None:
    thing = kept(world, case)
    assert thing.simulated == case.simulated


@every_type
def test_an_unchanged_thing_shows_no_difference_to_its_own_inputs(world: World, case: Case) -> None:
    thing = kept(world, case)
    assert told(world.diff(thing, thing.inputs)) == {}
    response = world.read(thing)
    again = Made(thing.urn, thing.id, response.inputs, response.properties)
    assert told(world.diff(again, thing.inputs)) == {}


@pytest.mark.parametrize(("case", "name", "value"), per_property("updates", CASES))
def test_a_property_changes_in_place_and_when_that_was_done_by_hand_it_is_named_and_mended(
    world: World, case: Case, name: str, value: Any
) -> None:
    thing = kept(world, case)
    value = value(world) if callable(value) else value
    inputs = world.changed(thing, {name: value})
    diff = world.diff(thing, inputs)
    assert diff.changes
    assert diff.diffs == [name]
    assert diff.replaces == []
    after = world.update(thing, inputs)
    assert_holds(case, after.plain, to_plain_map(inputs))
    assert told(world.diff(after, inputs)) == {}
    response = world.read(after)
    assert response.resource_id == thing.id
    assert to_plain_map(response.inputs) == to_plain_map(inputs)
    assert after.simulated == (case.simulated or name in case.simulated_updates)
    restored = mend(world, thing, name) if is_seen_by_the_service(case, name) else world.update(after, thing.inputs)
    world.keep(thing, restored)


def mend(world: World, thing: Made, name: str) -> Made:
    """Find the change with the state from before it, as one that somebody made by hand, and undo it."""
    seen = world.read(thing)
    drifted = Made(thing.urn, thing.id, seen.inputs, seen.properties)
    assert world.diff(drifted, thing.inputs).diffs == [name]
    mended = world.update(drifted, thing.inputs)
    assert told(world.diff(mended, thing.inputs)) == {}
    assert to_plain_map(world.read(mended).inputs) == to_plain_map(thing.inputs)
    return mended


@pytest.mark.parametrize(("case", "name", "value"), per_property("replaces", CASES))
def test_a_change_that_needs_a_new_thing_is_known_as_one(world: World, case: Case, name: str, value: Any) -> None:
    thing = kept(world, case)
    value = value(world) if callable(value) else value
    diff = world.diff(thing, world.changed(thing, {name: value}))
    assert name in diff.replaces
    assert any(kind.endswith("_REPLACE") for kind in told(diff).values())


@pytest.mark.parametrize("case", [case for case in REAL if RESOURCES[case.type].dependents], ids=label)
def test_what_hangs_on_a_thing_can_be_listed(world: World, case: Case) -> None:
    thing = young(world, case)
    for kind, names in world.dependents(thing).items():
        assert isinstance(names, list), kind


@every_real_type
def test_a_create_that_was_killed_before_it_was_recorded_is_found(world: World, case: Case) -> None:
    thing = young(world, case)
    found = world.adopt(thing)
    assert found is not None
    assert found.resource_id == thing.id
    assert to_plain_map(found.properties) == thing.plain
    assert to_plain_map(found.inputs) == to_plain_map(thing.inputs)


class Killed(BaseException):
    """Ends a create as a kill would: nothing catches it, nothing is cleaned up."""


@contextmanager
def killed_after_the_first_call(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill what is done inside once the service has answered the first call that changes something."""
    call = world.provider._clients.call

    def call_and_die(service: str, region: str | None, operation: str, **arguments: Any) -> dict[str, Any]:
        answer = call(service, region, operation, **arguments)
        if not operation.startswith(READING):
            raise Killed
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(world.provider._clients, "call", call_and_die)
        try:
            yield
        except Killed:
            return
    pytest.fail("nothing was changed, so nothing was killed")


@every_real_type
def test_a_create_that_was_killed_after_its_first_call_is_found_and_finished(
    world: World, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    urn, token = world.urn(case.type), uuid.uuid4().hex
    inputs = world.checked(urn, case.inputs(world))
    with killed_after_the_first_call(world, monkeypatch):
        world.create(urn, inputs, token)
    found = world.adopt(Made(urn, "", inputs, {}), token)
    assert found is not None
    thing = Made(urn, found.resource_id, inputs, found.properties)
    diff = world.diff(thing, inputs)
    assert diff.replaces == []
    if diff.changes:
        thing = world.update(thing, inputs)
    assert_holds(case, thing.plain, to_plain_map(inputs))
    assert told(world.diff(thing, inputs)) == {}


@pytest.mark.parametrize("case", [case for case in REAL if not case.always_there], ids=label)
def test_a_create_that_never_reached_the_service_is_not_found(world: World, case: Case) -> None:
    urn = world.urn(case.type)
    never = Made(urn, "", world.checked(urn, case.inputs(world)), {})
    assert world.adopt(never, uuid.uuid4().hex) is None


@pytest.mark.parametrize("case", [case for case in REAL if case.deletable], ids=label)
def test_a_deleted_thing_is_gone_and_deleting_it_again_is_no_error(world: World, case: Case) -> None:
    thing = young(world, case)
    world.forget(thing)
    world.delete(thing)
    assert world.read(thing).resource_id is None
    world.delete(thing)


@pytest.mark.parametrize("case", [case for case in REAL if case.deletable], ids=label)
def test_a_delete_that_was_killed_after_its_first_call_is_finished(
    world: World, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = kept(world, case)
    world.forget(thing)
    with killed_after_the_first_call(world, monkeypatch):
        world.delete(thing)
    seen = world.read(thing)
    if seen.resource_id is not None:
        world.delete(Made(thing.urn, thing.id, seen.inputs, seen.properties))
        assert world.read(thing).resource_id is None


@every_type
def test_a_property_that_is_not_mapped_is_refused_by_name(world: World, case: Case) -> None:
    urn = world.urn(case.type)
    inputs = {"notAProperty": "x"}
    with pytest.raises(UnsupportedFeature, match="notAProperty"):
        asyncio.run(world.provider.check(base.CheckRequest(urn, {}, to_property_map(inputs), b"")))
