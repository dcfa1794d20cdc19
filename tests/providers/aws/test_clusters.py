"""What Kubernetes clusters promise beyond what every type does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.aws.cases_ec2 import GROUP, INGRESS, group, new_subnet, new_vpc, subnets, vpc
from tests.providers.aws.cases_eks import (
    ADDON,
    CLUSTER,
    KEY,
    LOG_TYPES,
    POD_IDENTITY,
    auto_mode,
    cluster,
    network,
    role,
    small_cluster,
)
from tests.providers.world import Made, World, client
from watoto_infra.errors import ProviderError
from watoto_infra.providers import base
from watoto_infra.providers.values import UNKNOWN, to_plain_map, to_property_map

pytestmark = pytest.mark.local


def groups(world: World, **filters: str) -> list[dict[str, Any]]:
    wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    found: list[dict[str, Any]] = client(world, "ec2").describe_security_groups(Filters=wanted)["SecurityGroups"]
    return found


def described(world: World, made: Made) -> dict[str, Any]:
    found: dict[str, Any] = client(world, "eks").describe_cluster(name=made.id)["cluster"]
    return found


def again(world: World, made: Made, **changes: Any) -> Made:
    return world.update(made, world.changed(made, changes))


def faults(world: World, inputs: dict[str, Any]) -> dict[str, str]:
    request = base.CheckRequest(world.urn(CLUSTER), {}, to_property_map(inputs), b"")
    return {one.property: one.reason for one in asyncio.run(world.provider.check(request)).failures or []}


@pytest.fixture
def calls(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Give the calls made so far, each with its arguments."""
    seen: list[tuple[str, dict[str, Any]]] = []
    call = world.provider._clients.call

    def noted(service: str, region: str | None, operation: str, **arguments: Any) -> dict[str, Any]:
        seen.append((operation, arguments))
        return call(service, region, operation, **arguments)

    monkeypatch.setattr(world.provider._clients, "call", noted)
    return seen


def settings_of(calls: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Give what each call changed of a cluster's settings."""
    return [
        {key: value for key, value in arguments.items() if key != "name"}
        for operation, arguments in calls
        if operation == "update_cluster_config"
    ]


def test_a_cluster_comes_with_a_security_group_of_its_own_and_takes_it_along(world: World) -> None:
    made = world.make(CLUSTER, small_cluster(world))
    [found] = groups(world, group_id=made["vpcConfig"]["clusterSecurityGroupId"])
    assert found["VpcId"] == made["vpcConfig"]["vpcId"] == vpc(world)
    assert found["GroupName"].startswith(f"eks-cluster-sg-{made.id}-")
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert tags["aws:eks:cluster-name"] == made.id
    assert tags[f"kubernetes.io/cluster/{made.id}"] == "owned"
    [within] = found["IpPermissions"]
    assert [pair["GroupId"] for pair in within["UserIdGroupPairs"]] == [found["GroupId"]]
    assert not within["IpRanges"]
    world.delete(made)
    assert groups(world, group_name=found["GroupName"]) == []


def test_rules_of_other_groups_refer_to_a_clusters_group(world: World) -> None:
    nodes = world.make(CLUSTER, small_cluster(world))["vpcConfig"]["clusterSecurityGroupId"]
    database = world.make(GROUP, vpcId=vpc(world), description="database")
    rule = world.make(
        INGRESS,
        securityGroupId=database.id,
        referencedSecurityGroupId=nodes,
        ipProtocol="tcp",
        fromPort=5432,
        toPort=5432,
    )
    assert world.read(rule).resource_id == rule.id
    [found] = groups(world, group_id=database.id)
    assert [pair["GroupId"] for pair in found["IpPermissions"][0]["UserIdGroupPairs"]] == [nodes]


def test_a_cluster_whose_group_was_deleted_by_hand_is_deleted_all_the_same(world: World) -> None:
    made = world.make(CLUSTER, small_cluster(world))
    client(world, "ec2").delete_security_group(GroupId=made["vpcConfig"]["clusterSecurityGroupId"])
    world.delete(made)
    assert world.read(made).resource_id is None


def test_a_cluster_under_deletion_protection_is_not_deleted_before_that_is_turned_off(world: World) -> None:
    made = world.make(CLUSTER, small_cluster(world), deletionProtection=True)
    with pytest.raises(ProviderError, match="deletion protection"):
        world.delete(made)
    assert described(world, made)["status"] == "ACTIVE"
    world.delete(again(world, made, deletionProtection=False))
    assert world.read(made).resource_id is None
    world.delete(made)  # what is gone needs no protection


def test_a_cluster_in_subnets_that_do_not_exist_or_not_in_one_network_is_refused(world: World) -> None:
    before = len(groups(world))
    with pytest.raises(ProviderError, match="subnet-0123456789abcdef0"):
        world.make(CLUSTER, small_cluster(world), vpcConfig={"subnetIds": ["subnet-0123456789abcdef0"]})
    elsewhere = world.make("aws:ec2/subnet:Subnet", vpcId=new_vpc(world), cidrBlock="10.20.0.0/24").id
    with pytest.raises(ProviderError, match="one VPC"):
        world.make(CLUSTER, small_cluster(world), vpcConfig={"subnetIds": [*subnets(world), elsewhere]})
    assert len(groups(world)) == before + 1, "the other network's default group alone"


def test_a_name_that_is_taken_is_refused_and_leaves_no_group_behind(world: World) -> None:
    made = world.make(CLUSTER, small_cluster(world))
    with pytest.raises(ProviderError, match="already exists"):
        world.make(CLUSTER, small_cluster(world), name=made.id)
    assert len(groups(world, **{"tag:aws:eks:cluster_name": made.id})) == 1


def test_what_a_change_does_not_name_stays_as_it_is(world: World) -> None:
    made = world.make(CLUSTER, cluster(world))
    before = described(world, made)["resourcesVpcConfig"]
    other = new_subnet(world, "us-east-1c")
    again(world, made, vpcConfig={**network(world), "subnetIds": [*subnets(world), other]})
    after = described(world, made)["resourcesVpcConfig"]
    assert after == {**before, "subnetIds": [*subnets(world), other]}


def test_service_addresses_stay_when_the_load_balancing_of_a_cluster_changes(world: World) -> None:
    made = world.make(CLUSTER, small_cluster(world), kubernetesNetworkConfig={"serviceIpv4Cidr": "10.99.0.0/16"})
    after = again(world, made, **auto_mode())
    assert after["kubernetesNetworkConfig"] == {
        "serviceIpv4Cidr": "10.99.0.0/16",
        "elasticLoadBalancing": {"enabled": True},
    }


def test_each_call_changes_one_kind_of_setting_and_the_next_waits_for_an_active_cluster(
    world: World, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    made = world.make(CLUSTER, cluster(world))
    calls.clear()
    again(
        world,
        made,
        version="1.37",
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True},
        vpcConfig={
            "subnetIds": [*subnets(world), new_subnet(world, "us-east-1c")],
            "securityGroupIds": [group(world)],
            "endpointPublicAccess": False,
        },
        enabledClusterLogTypes=["api"],
        upgradePolicy={"supportType": "EXTENDED"},
        deletionProtection=True,
        **auto_mode(on=False),
    )
    kinds = [sorted(setting) for setting in settings_of(calls)]
    assert kinds == [
        ["accessConfig"],
        ["computeConfig", "kubernetesNetworkConfig", "storageConfig"],
        *[["resourcesVpcConfig"]] * 3,
        ["logging"],
        ["upgradePolicy"],
        ["deletionProtection"],
    ]
    names = [operation for operation, arguments in calls if made.id in arguments.values()]
    assert names[0] == "update_cluster_version"
    changed = [place for place, name in enumerate(names) if name == "update_cluster_config"]
    assert {names[place + 1] for place in changed} == {"describe_cluster"}


def test_access_subnets_and_groups_are_changed_apart(world: World, calls: list[tuple[str, dict[str, Any]]]) -> None:
    made = world.make(CLUSTER, small_cluster(world), vpcConfig={**network(world), "securityGroupIds": [group(world)]})
    calls.clear()
    wanted = [*subnets(world), new_subnet(world, "us-east-1c")]
    after = again(world, made, vpcConfig={"subnetIds": wanted})
    assert settings_of(calls) == [
        {"resourcesVpcConfig": {"endpointPrivateAccess": False, "endpointPublicAccess": True}},
        {"resourcesVpcConfig": {"subnetIds": wanted}},
        {"resourcesVpcConfig": {"securityGroupIds": []}},
    ]
    assert after["vpcConfig"]["securityGroupIds"] == []
    assert after["vpcConfig"]["publicAccessCidrs"] == network(world)["publicAccessCidrs"], "nobody asked for others"


def test_the_three_parts_of_auto_mode_change_in_one_call(world: World, calls: list[tuple[str, dict[str, Any]]]) -> None:
    made = world.make(CLUSTER, cluster(world))
    calls.clear()
    on = auto_mode()
    fewer = {**on["computeConfig"], "nodePools": ["system"]}
    again(world, made, computeConfig=fewer)
    assert settings_of(calls) == [{**on, "computeConfig": fewer}]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"computeConfig": None}, "computeConfig.enabled"),
        ({"storageConfig": {"blockStorage": {"enabled": False}}}, "storageConfig.blockStorage.enabled"),
        ({"kubernetesNetworkConfig": {"ipFamily": "ipv4"}}, "kubernetesNetworkConfig.elasticLoadBalancing.enabled"),
    ],
)
def test_half_an_auto_mode_is_refused_before_anything_is_made(world: World, given: dict[str, Any], wrong: str) -> None:
    assert list(faults(world, {**cluster(world), **given})) == [wrong]
    assert faults(world, {**cluster(world), **auto_mode(on=False)}) == {}
    assert faults(world, {**cluster(world), **given, "storageConfig": UNKNOWN}) == {}


def test_load_balancing_that_was_turned_off_by_hand_is_named_and_mended(world: World) -> None:
    made = world.make(CLUSTER, cluster(world))
    off = auto_mode(on=False)["kubernetesNetworkConfig"]
    client(world, "eks").update_cluster_config(name=made.id, kubernetesNetworkConfig=off)
    seen = world.read(made)
    drifted = Made(made.urn, made.id, seen.inputs, seen.properties)
    assert world.diff(drifted, made.inputs).diffs == ["kubernetesNetworkConfig"]
    world.update(drifted, made.inputs)
    assert described(world, made)["kubernetesNetworkConfig"] == auto_mode()["kubernetesNetworkConfig"]


def test_the_addresses_that_a_cluster_has_anyway_may_be_named_later(world: World) -> None:
    made = world.make(CLUSTER, cluster(world))
    network = {**auto_mode()["kubernetesNetworkConfig"], "ipFamily": "ipv4"}
    assert not world.diff(made, world.changed(made, {"kubernetesNetworkConfig": network})).changes


def test_auto_mode_that_is_no_longer_asked_for_is_turned_off(
    world: World, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    made = world.make(CLUSTER, cluster(world))
    calls.clear()
    after = again(world, made, **dict.fromkeys(auto_mode()))
    assert settings_of(calls) == [auto_mode(on=False)]
    assert not world.diff(after, after.inputs).changes


def test_logs_that_are_no_longer_wanted_are_turned_off(world: World) -> None:
    made = world.make(CLUSTER, small_cluster(world), enabledClusterLogTypes=LOG_TYPES)
    again(world, made, enabledClusterLogTypes=["audit"])
    assert described(world, made)["logging"]["clusterLogging"] == [
        {"types": ["audit"], "enabled": True},
        {"types": [one for one in LOG_TYPES if one != "audit"], "enabled": False},
    ]


def test_auto_mode_and_a_key_come_in_place_but_neither_role_nor_key_is_ever_changed(world: World) -> None:
    key = {"provider": {"keyArn": KEY}, "resources": ["secrets"]}
    made = world.make(CLUSTER, small_cluster(world))
    wanted = world.changed(made, {**auto_mode(), "encryptionConfig": key})
    assert world.diff(made, wanted).replaces == []
    after = world.update(made, wanted)
    assert after.simulated
    assert not world.diff(after, wanted).changes

    other = {**auto_mode()["computeConfig"], "nodeRoleArn": role("other")}
    assert world.diff(after, world.changed(after, {"computeConfig": other})).replaces == ["computeConfig"]
    unknown = {**other, "nodeRoleArn": UNKNOWN}
    diff = asyncio.run(
        world.provider.diff(
            base.DiffRequest(
                after.urn,
                after.id,
                after.outputs,
                to_property_map({**to_plain_map(wanted), "computeConfig": unknown}),
                [],
            )
        )
    )
    assert diff.replaces == ["computeConfig"]
    assert world.diff(after, world.changed(after, {"encryptionConfig": None})).replaces == ["encryptionConfig"]
    assert world.diff(after, world.changed(after, dict.fromkeys(auto_mode()))).replaces == []


def test_a_preview_knows_no_security_group_before_there_is_one_and_keeps_it_from_then_on(world: World) -> None:
    urn, inputs = world.urn(CLUSTER), to_property_map(cluster(world))
    unborn = asyncio.run(world.provider.create(base.CreateRequest(urn, inputs, preview=True)))
    shown = to_plain_map(unborn.properties)
    assert shown["vpcConfig"] == {**network(world), "clusterSecurityGroupId": UNKNOWN, "vpcId": UNKNOWN}
    assert shown["certificateAuthority"] is shown["endpoint"] is UNKNOWN

    made = world.make(CLUSTER, cluster(world))
    wanted = world.changed(made, {"vpcConfig": {**network(world), "endpointPublicAccess": False}})
    request = base.UpdateRequest(made.urn, made.id, made.outputs, wanted, 0, [], True)
    shown = to_plain_map(asyncio.run(world.provider.update(request)).properties)
    assert shown["vpcConfig"]["clusterSecurityGroupId"] == made["vpcConfig"]["clusterSecurityGroupId"]
    assert shown["vpcConfig"]["endpointPublicAccess"] is False


def test_a_change_by_hand_is_told_without_what_no_program_can_ask_for(world: World) -> None:
    made = world.make(CLUSTER, cluster(world))
    client(world, "eks").update_cluster_config(name=made.id, resourcesVpcConfig={"endpointPublicAccess": False})
    inputs = to_plain_map(world.read(made).inputs)
    assert inputs["vpcConfig"] == {
        **network(world),
        "subnetIds": sorted(subnets(world)),
        "endpointPublicAccess": False,
    }


def test_a_cluster_says_where_and_how_its_api_server_is_reached(world: World) -> None:
    made = world.make(CLUSTER, cluster(world))
    found = described(world, made)
    assert made["arn"].endswith(f":cluster/{made.id}")
    assert made["endpoint"] == found["endpoint"]
    assert made["certificateAuthority"] == {"data": found["certificateAuthority"]["data"]}
    assert made["identities"] == [{"oidcs": [{"issuer": found["identity"]["oidc"]["issuer"]}]}]
    assert made["status"] == "ACTIVE"
    assert made["createdAt"].startswith("20")


@pytest.mark.parametrize(
    ("type_", "inputs", "changes"),
    [
        (
            ADDON,
            {"clusterName": "lms", "addonName": "metrics-server", "serviceAccountRoleArn": role("metrics")},
            {"addonVersion": "v2", "configurationValues": "{}", "serviceAccountRoleArn": None, "preserve": True},
        ),
        (
            POD_IDENTITY,
            {
                "clusterName": "lms",
                "namespace": "a",
                "serviceAccount": "b",
                "roleArn": role("c"),
                "targetRoleArn": role("d"),
            },
            {"roleArn": role("e"), "disableSessionTags": True, "targetRoleArn": None},
        ),
    ],
)
def test_what_is_only_simulated_here_is_still_asked_for_in_words_that_the_service_knows(
    world: World, calls: list[tuple[str, dict[str, Any]]], type_: str, inputs: dict[str, Any], changes: dict[str, Any]
) -> None:
    made = world.make(type_, inputs)
    assert made.simulated
    outputs = {key: value for key, value in made.outputs.items() if key != "__simulated"}
    real = Made(made.urn, made.id, made.inputs, outputs)
    assert again(world, real, **changes).simulated
    assert world.adopt(real, "token") is None
    assert world.delete(real).simulated
    verbs = {operation.partition("_")[0] for operation, _ in calls}
    assert {"create", "update", "describe", "delete"} <= verbs
