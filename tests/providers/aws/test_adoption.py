"""What belongs to somebody else is never taken over, and what is ours is had back."""

from __future__ import annotations

import asyncio

import pytest
from pulumi.provider.experimental.property_value import PropertyValue

from tests.providers.aws.every_case import CASES
from tests.providers.world import Case, Made, World, client
from watoto_infra.providers import base
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.aws.table import Resource
from watoto_infra.providers.values import to_plain_map

pytestmark = pytest.mark.local

NAMED = [
    case
    for case in CASES
    if RESOURCES[case.type].auto_name and RESOURCES[case.type].tags and not (case.simulated or case.always_there)
]

MILDER = {
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:mq/broker:Broker",
    "aws:mq/configuration:Configuration",
    "aws:rds/subnetGroup:SubnetGroup",
    "aws:sns/topic:Topic",
}
"""Types of which the emulator takes a second one of the same name, or one in the place of the first."""
REPLICA = "replicateSourceDb"


def tagged(stack: str) -> PropertyValue:
    return PropertyValue({"Stack": PropertyValue(stack)})


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.type)
def test_a_thing_of_the_same_name_without_our_token_and_tags_is_not_taken_over(world: World, case: Case) -> None:
    entry, inputs, urn = RESOURCES[case.type], dict(case.inputs(world)), world.urn(case.type)
    assert entry.auto_name is not None
    inputs.setdefault(entry.auto_name.field, f"watoto-taken-{world.number()}"[: entry.auto_name.limit])
    ours = {**world.checked(urn, inputs), "tags": tagged("ours")}
    asyncio.run(world.provider.create(base.CreateRequest(urn, {**ours, "tags": tagged("theirs")})))
    if case.type not in MILDER and REPLICA not in ours:
        with pytest.raises(base.NothingDoneError):
            world.create(urn, ours)
    assert world.adopt(Made(urn, "", ours, {}), "0" * 32) is None


def test_an_alias_that_stands_for_another_key_is_not_taken_over(world: World) -> None:
    keys = [world.make("aws:kms/key:Key").id for _ in range(2)]
    made = world.make("aws:kms/alias:Alias", {"name": f"alias/watoto-{world.number()}", "targetKeyId": keys[0]})
    ours = world.changed(made, {"targetKeyId": keys[1]})
    assert world.adopt(Made(made.urn, "", ours, {}), "0" * 32) is None
    assert world.adopt(made, "0" * 32) is not None


RECOVERABLE = [entry for entry in RESOURCES.values() if entry.recovery_window and entry.recovery_window.blocks]


@pytest.mark.parametrize("entry", RECOVERABLE, ids=lambda entry: entry.type)
def test_a_name_that_is_pending_deletion_is_had_back_with_what_is_asked_for_now(world: World, entry: Resource) -> None:
    assert entry.recovery_window is not None
    name = f"watoto-back-{world.number()}"
    inputs = {entry.recovery_window.blocks[0]: name, "tags": {"Stack": "ours", "Name": "x"}, "description": "first"}
    first = world.make(entry.type, inputs)
    world.delete(first)
    urn = world.urn(entry.type)
    ours = world.checked(urn, {**inputs, "tags": {"Stack": "ours"}, "description": "second"})
    assert world.adopt(Made(urn, "", ours, {}), "0" * 32) is None, "what is gone is not taken for made"

    previewed = asyncio.run(world.provider.create(base.CreateRequest(urn, ours, preview=True)))
    assert previewed.note == f"{first.id} is pending deletion: it is taken back"
    again = world.create(urn, ours)
    assert again.id == first.id
    assert to_plain_map(world.read(again).inputs) == to_plain_map(ours)
    assert not world.diff(again, ours).changes
    assert world.adopt(again) is not None, "a create that was killed after it had it back is found"


@pytest.mark.parametrize("entry", RECOVERABLE, ids=lambda entry: entry.type)
def test_a_name_that_somebody_else_has_pending_deletion_is_refused_with_the_command(
    world: World, entry: Resource
) -> None:
    assert entry.recovery_window is not None
    inputs = {entry.recovery_window.blocks[0]: f"watoto-back-{world.number()}", "tags": {"Stack": "theirs"}}
    theirs = world.make(entry.type, inputs)
    world.delete(theirs)
    with pytest.raises(base.NothingDoneError, match="restore-secret") as refused:
        world.make(entry.type, {**inputs, "tags": {"Stack": "ours"}})
    assert theirs.id in str(refused.value)
    assert world.read(theirs).resource_id is None


def test_a_second_database_of_a_name_leaves_a_final_snapshot_of_its_own(world: World) -> None:
    case = next(case for case in CASES if case.type == "aws:rds/instance:Instance")
    name = f"watoto-final-{world.number()}"
    inputs = {**case.inputs(world), "identifier": name, "skipFinalSnapshot": False, "deletionProtection": False}
    left = set()
    for _ in range(2):
        made = world.make(case.type, {**inputs, "finalSnapshotIdentifier": f"{name}-final"})
        left.add(world.delete(made).left_behind)
    kept = client(world, "rds").describe_db_snapshots()["DBSnapshots"]
    snapshots = {one["DBSnapshotIdentifier"] for one in kept if one["DBSnapshotIdentifier"].startswith(name)}
    assert len(snapshots) == 2
    assert left == {f"{name} (final snapshot {one})" for one in snapshots}
