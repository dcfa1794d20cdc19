"""What the tables say of a type beside how it is called: held against AWS's own models and a real moto server."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.model import StructureShape
from pulumi import _types

from tests.providers.aws.cases_iam import CASES as IAM
from tests.providers.aws.cases_rds import INSTANCE
from tests.providers.aws.every_case import CASES as ALL_CASES
from tests.providers.aws.test_tables import every_entry, methods, package_class
from tests.providers.world import Made, World, client
from watoto_infra.providers.aws.fields import ChangeEffect, Kind
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.aws.shape import fill
from watoto_infra.providers.aws.table import Resource

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
BROKER = "aws:mq/broker:Broker"


def members(service: str, shape: str) -> dict[str, Any]:
    """Give the members of one of the shapes of a service's own model."""
    found = botocore.session.get_session().get_service_model(service).shape_for(shape)
    assert isinstance(found, StructureShape)
    return dict(found.members)


def waiting(entry: Resource) -> set[str]:
    """Give the names under which the service reports the properties whose change waits for the window."""
    waits = [item for name, item in entry.inputs.items() if entry.effect(name, 1, 2) is ChangeEffect.IN_WINDOW]
    return {item.read_path.rpartition(".")[2] for item in waits}


def test_rds_reports_as_pending_just_what_waits_for_its_window() -> None:
    entry = RESOURCES[INSTANCE]
    in_place = [item for item in entry.inputs.values() if not item.replaces]
    reported = {item.read_path.rpartition(".")[2] for item in in_place}
    at_once = {"MasterUserPassword"}  # "asynchronously applied as soon as possible" (RDS API, ModifyDBInstance)
    assert waiting(entry) == (reported & members("rds", "PendingModifiedValues").keys()) - at_once


def test_amazon_mq_reports_as_pending_just_what_waits_for_a_reboot() -> None:
    entry = RESOURCES[BROKER]
    report = members("mq", "DescribeBrokerResponse")
    pending = {name for name in report if f"Pending{name}" in report}
    pending |= {name for name in ("Logs", "Configurations") if "Pending" in report[name].members}
    served = {item.read_path.partition(".")[0] for item in entry.inputs.values() if not item.replaces}
    waits = {item.read_path.partition(".")[0] for name, item in entry.inputs.items() if entry.effect(name, 1, 2)}
    assert {name for name in waits if name in served} == pending & served


def test_elasticache_reports_what_waits_at_the_clusters_of_a_group() -> None:
    by_its_documentation = {"CacheParameterGroupName"}  # ElastiCache API, ModifyReplicationGroup
    assert waiting(RESOURCES[GROUP]) - by_its_documentation <= members("elasticache", "PendingModifiedValues").keys()


@every_entry
def test_what_waits_can_be_had_at_once(entry: Resource) -> None:
    assert not waiting(entry) or "applyImmediately" in entry.inputs


@every_entry
def test_a_change_that_replaces_is_never_said_to_be_done_in_place(entry: Resource) -> None:
    for name, item in entry.inputs.items():
        assert (entry.effect(name, 1, 2) is ChangeEffect.BY_REPLACEMENT) == (item.replaces or item.set_once), name
        assert not (item.replaces and item.on_change), name


@pytest.mark.parametrize(
    ("type_", "name", "old", "new", "effect"),
    [
        (INSTANCE, "engineVersion", "15.8", "15.13", ChangeEffect.IN_WINDOW),
        (INSTANCE, "engineVersion", "15.13", "15.8", ChangeEffect.REFUSED),
        (INSTANCE, "engineVersion", "15.8", "15", ChangeEffect.REFUSED),
        (INSTANCE, "engineVersion", "15.8", "16", ChangeEffect.IN_WINDOW),
        (INSTANCE, "engineVersion", None, "16", None),
        (INSTANCE, "allocatedStorage", 20, 40, ChangeEffect.IN_WINDOW),
        (INSTANCE, "allocatedStorage", 40, 20, ChangeEffect.REFUSED),
        (INSTANCE, "instanceClass", "db.m7g.large", "db.t4g.micro", ChangeEffect.IN_WINDOW),
        (INSTANCE, "vpcSecurityGroupIds", ["a"], ["b"], ChangeEffect.AT_ONCE),
        (INSTANCE, "password", "a", "b", ChangeEffect.AT_ONCE),
        (INSTANCE, "replicateSourceDb", "watoto-primary", None, ChangeEffect.AT_ONCE),
        (INSTANCE, "replicateSourceDb", None, "watoto-primary", ChangeEffect.REFUSED),
        (INSTANCE, "storageEncrypted", False, True, ChangeEffect.BY_REPLACEMENT),
        (GROUP, "engineVersion", "7.1", "7.0", ChangeEffect.REFUSED),
        (GROUP, "numCacheClusters", 2, 3, ChangeEffect.AT_ONCE),
        (GROUP, "snapshotWindow", "03:00-04:00", "04:00-05:00", None),
        (BROKER, "hostInstanceType", "mq.m5.large", "mq.m7g.large", ChangeEffect.IN_WINDOW),
        ("aws:eks/cluster:Cluster", "version", "1.33", "1.34", ChangeEffect.AT_ONCE),
        ("aws:eks/cluster:Cluster", "version", "1.34", "1.9", ChangeEffect.REFUSED),
        ("aws:kms/key:Key", "enableKeyRotation", False, True, ChangeEffect.AT_ONCE),
    ],
)
def test_aws_does_different_things_with_different_changes(
    type_: str, name: str, old: Any, new: Any, effect: ChangeEffect | None
) -> None:
    assert RESOURCES[type_].effect(name, old, new) is effect


@every_entry
def test_the_emulator_forgets_only_changes_that_the_table_makes(entry: Resource) -> None:
    assert entry.emulator_forgets <= {name for update in entry.updates for name in update.fields}


@every_entry
def test_a_deletion_that_can_be_taken_back_says_how_and_until_when(entry: Resource) -> None:
    window = entry.recovery_window
    if window is None:
        return
    assert entry.inputs[window.days].kind is Kind.INT
    assert entry.inputs[window.days].behaviour
    assert set(window.blocks) <= set(entry.inputs)
    assert {call.op for call in window.undo} <= methods(entry.service)
    assert entry.delete.left_behind, "the user is told what stays"


@every_entry
def test_what_may_hang_on_a_thing_is_declared_by_a_type_that_exists(entry: Resource) -> None:
    for kind in entry.dependents:
        assert kind.property == "id" or kind.property in _types.resource_types(package_class(kind.type))
        if kind.type in RESOURCES:
            names = {item.name for item in RESOURCES[kind.type].all_fields} | {"id"}
            assert kind.property in names, kind


@pytest.mark.local
def test_what_was_hung_on_a_role_by_hand_is_listed(world: World) -> None:
    case = next(case for case in IAM if case.type == "aws:iam/role:Role")
    role = world.make(case.type, case.inputs(world))
    iam = client(world, "iam")
    iam.attach_role_policy(RoleName=role.id, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role.id, PolicyName="by-hand", PolicyDocument=document)
    assert world.dependents(role) == {
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ["arn:aws:iam::aws:policy/AdministratorAccess"],
        "aws:iam/rolePolicy:RolePolicy": ["by-hand"],
        "aws:iam/instanceProfile:InstanceProfile": [],
    }


@pytest.mark.local
@pytest.mark.parametrize(
    "entry", [entry for entry in RESOURCES.values() if entry.recovery_window], ids=lambda e: e.type
)
def test_what_is_pending_deletion_is_gone_with_the_command_that_takes_it_back_and_then_there_again(
    world: World, entry: Resource
) -> None:
    assert entry.recovery_window is not None
    case = next(case for case in ALL_CASES if case.type == entry.type)
    made = world.make(entry.type, {**case.inputs(world), entry.recovery_window.days: 14})
    world.delete(made)
    seen = world.read(made)
    assert seen.resource_id is None
    assert seen.rescue.startswith("its deletion is not final yet: `aws ")
    assert made.id in seen.rescue
    for call in entry.recovery_window.undo:
        getattr(client(world, entry.service), call.op)(**fill(call.args, {"id": made.id}))
    again = world.read(made)
    assert again.resource_id == made.id
    assert not world.diff(Made(made.urn, made.id, made.inputs, again.properties), made.inputs).changes


@pytest.mark.local
def test_what_is_gone_for_good_names_no_rescue(world: World) -> None:
    case = next(case for case in ALL_CASES if case.type == "aws:ec2/eip:Eip")
    made = world.make(case.type, case.inputs(world))
    world.delete(made)
    assert world.read(made).rescue == ""
