"""What databases, caches, keys, secrets and the broker promise beyond what every type does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.aws.cases_cloudfront import distribution
from tests.providers.aws.cases_elasticache import GROUP, group
from tests.providers.aws.cases_kms import KEY
from tests.providers.aws.cases_mq import BROKER, broker
from tests.providers.aws.cases_rds import INSTANCE, PARAMETER_GROUP, PARAMETERS, primary, replica
from tests.providers.aws.cases_secretsmanager import SECRET, VERSION, secret
from tests.providers.world import Made, World, client
from watoto_infra.errors import ProviderError
from watoto_infra.providers.values import to_plain_map

pytestmark = pytest.mark.local


def instance(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client(world, "rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return found


def again(world: World, made: Made, **changes: Any) -> Made:
    return world.update(made, world.changed(made, changes))


def test_a_replica_is_one_of_its_primary_with_its_own_maintenance_and_nothing_it_did_not_ask_for(world: World) -> None:
    made = world.make(INSTANCE, replica(world))
    found = instance(world, made.id)
    source = instance(world, made["replicateSourceDb"])
    assert found["ReadReplicaSourceDBInstanceIdentifier"] == source["DBInstanceIdentifier"]
    assert source["ReadReplicaDBInstanceIdentifiers"] == [made.id]
    assert found["PreferredMaintenanceWindow"] == "mon:03:30-mon:04:30"
    assert source["MultiAZ"]
    assert not found["MultiAZ"]
    assert "MaxAllocatedStorage" not in found


def test_a_replica_that_loses_its_source_in_the_program_is_promoted(world: World) -> None:
    made = world.make(INSTANCE, replica(world))
    after = again(world, made, replicateSourceDb=None)
    assert after.simulated, "the emulator goes on reporting the source"
    assert after.plain.get("replicateSourceDb") is None
    assert not world.diff(after, after.inputs).changes


def test_a_primary_cannot_be_made_a_replica(world: World) -> None:
    made, other = world.make(INSTANCE, primary(world)), world.make(INSTANCE, primary(world))
    with pytest.raises(ProviderError, match="cannot be made a replica"):
        again(world, made, replicateSourceDb=other.id)


def test_storage_that_grew_is_no_difference_and_is_never_asked_to_shrink(world: World) -> None:
    made = world.make(INSTANCE, primary(world), allocatedStorage=20, maxAllocatedStorage=100)
    client(world, "rds").modify_db_instance(DBInstanceIdentifier=made.id, AllocatedStorage=60)
    seen = world.read(made)
    grown = Made(made.urn, made.id, seen.inputs, seen.properties)
    assert not world.diff(grown, made.inputs).changes
    assert to_plain_map(seen.inputs) == to_plain_map(made.inputs)
    after = world.update(grown, world.changed(made, {"maxAllocatedStorage": 50}))
    assert instance(world, made.id)["AllocatedStorage"] == 60
    assert not world.diff(after, after.inputs).changes
    assert to_plain_map(world.read(after).inputs) == to_plain_map(after.inputs)


def test_more_storage_is_an_update_in_place(world: World) -> None:
    made = world.make(INSTANCE, primary(world))
    after = again(world, made, allocatedStorage=50)
    assert instance(world, made.id)["AllocatedStorage"] == 50
    assert not world.diff(after, after.inputs).changes


def test_a_deleted_database_leaves_its_final_snapshot_and_says_so(world: World) -> None:
    made = world.make(
        INSTANCE, primary(world), skipFinalSnapshot=False, finalSnapshotIdentifier=f"last-{world.number()}"
    )
    name = made["finalSnapshotIdentifier"]
    assert name in (world.delete(made).left_behind or "")
    snapshots = client(world, "rds").describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
    assert [one["DBInstanceIdentifier"] for one in snapshots] == [made.id]


def test_a_database_whose_final_snapshot_has_no_name_is_not_deleted(world: World) -> None:
    made = world.make(INSTANCE, primary(world), skipFinalSnapshot=False)
    with pytest.raises(ProviderError, match="finalSnapshotIdentifier"):
        world.delete(made)
    assert instance(world, made.id)["DBInstanceStatus"] == "available"


def test_a_database_under_deletion_protection_is_not_deleted(world: World) -> None:
    made = world.make(INSTANCE, primary(world), deletionProtection=True)
    with pytest.raises(ProviderError, match="deletion protection"):
        world.delete(made)
    assert world.delete(again(world, made, deletionProtection=False)).left_behind is None


def test_a_parameter_that_the_emulator_cannot_take_back_is_marked_simulated(world: World) -> None:
    made = world.make(PARAMETER_GROUP, family="postgres15", parameters=PARAMETERS)
    fewer = again(world, made, parameters=PARAMETERS[:1])
    assert fewer.simulated
    assert not world.diff(fewer, fewer.inputs).changes


def test_a_deleted_key_stays_as_long_as_asked_for_and_says_so(world: World) -> None:
    made = world.make(KEY, deletionWindowInDays=9)
    assert "pending deletion for 9 days" in (world.delete(made).left_behind or "")
    found = client(world, "kms").describe_key(KeyId=made.id)["KeyMetadata"]
    assert found["KeyState"] == "PendingDeletion"


@pytest.mark.parametrize(("days", "said"), [(0, None), (30, "30 days")])
def test_a_deleted_secret_can_be_had_back_as_long_as_asked_for(world: World, days: int, said: str | None) -> None:
    made = world.make(SECRET, name=f"watoto/test/{world.number()}", recoveryWindowInDays=days)
    left = world.delete(made).left_behind
    assert left is None if said is None else said in (left or "")
    listed = client(world, "secretsmanager").list_secrets(IncludePlannedDeletion=True, MaxResults=100)["SecretList"]
    assert (made["name"] in {one["Name"] for one in listed}) == bool(days)


def test_a_new_value_of_a_secret_is_the_current_one_before_the_old_one_goes(world: World) -> None:
    old = world.make(VERSION, secretId=secret(world), secretString="first")
    changed = world.changed(old, {"secretString": "second"})
    assert world.diff(old, changed).delete_before_replace is False
    new = world.create(old.urn, changed)
    world.delete(old)
    service = client(world, "secretsmanager")
    assert service.get_secret_value(SecretId=new["secretId"])["SecretString"] == "second"
    stages = service.describe_secret(SecretId=new["secretId"])["VersionIdsToStages"]
    assert stages[new["versionId"]] == ["AWSCURRENT"]
    assert not stages.get(old["versionId"])


@pytest.mark.parametrize(
    ("type_", "inputs", "name"),
    [
        (INSTANCE, primary, "password"),
        (GROUP, group, "authToken"),
        (BROKER, broker, "users"),
        (VERSION, lambda world: {"secretId": secret(world), "secretString": "made up"}, "secretString"),
    ],
    ids=["password", "authToken", "users", "secretString"],
)
def test_a_secret_stays_secret_even_if_the_program_gave_it_in_clear(
    world: World, type_: str, inputs: Any, name: str
) -> None:
    made = world.make(type_, inputs(world))
    assert made.outputs[name].is_secret
    response = world.read(made)
    assert response.properties[name].is_secret
    assert response.inputs[name].is_secret


def test_a_cache_group_named_like_a_deleted_one_is_made_anew(world: World) -> None:
    made = world.make(GROUP, group(world))
    world.delete(made)
    assert world.read(made).resource_id is None
    new = world.create(made.urn, made.inputs)
    assert not new.simulated
    assert new.id == made.id
    assert new["primaryEndpointAddress"] != made["primaryEndpointAddress"]


def test_a_cache_group_has_the_nodes_that_were_asked_for(world: World) -> None:
    plain = world.make(GROUP, group(world), numCacheClusters=3)
    sharded = world.make(GROUP, group(world), numNodeGroups=2, replicasPerNodeGroup=1)
    assert (plain["numCacheClusters"], plain["replicasPerNodeGroup"], len(plain["memberClusters"])) == (3, 2, 3)
    assert (sharded["numNodeGroups"], sharded["replicasPerNodeGroup"], sharded["clusterEnabled"]) == (2, 1, True)
    assert sharded["configurationEndpointAddress"].startswith("clustercfg.")


def test_a_distribution_that_is_to_be_retained_is_disabled_and_left(world: World) -> None:
    made = world.make("aws:cloudfront/distribution:Distribution", distribution(world), retainOnDelete=True)
    assert "retained" in (world.delete(made).left_behind or "")
    config = client(world, "cloudfront").get_distribution_config(Id=made.id)["DistributionConfig"]
    assert config["Enabled"] is False


def test_a_value_that_was_put_into_a_secret_by_hand_is_found_and_ours_is_made_the_current_one_again(
    world: World,
) -> None:
    held = world.make(SECRET, {"name": f"watoto-{world.number()}"})
    ours = world.make(VERSION, {"secretId": held.id, "secretString": "ours"})
    service = client(world, "secretsmanager")
    for value in ("by hand", "by hand again"):
        service.put_secret_value(SecretId=held.id, SecretString=value)
        seen = world.read(ours)
        drifted = Made(ours.urn, ours.id, seen.inputs, seen.properties)
        assert world.diff(drifted, ours.inputs).diffs == ["versionStages"]
        mended = world.update(drifted, ours.inputs)
        assert service.get_secret_value(SecretId=held.id)["SecretString"] == "ours"
        assert not world.diff(mended, ours.inputs).changes
        assert to_plain_map(world.read(mended).inputs) == to_plain_map(ours.inputs)
