"""What the provider promises beyond any one resource type."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
from pulumi.provider.experimental.property_value import PropertyValue

from tests.providers.aws import cases_autoscaling
from tests.providers.aws.cases_ec2 import GROUP, SUBNET, VPC, free_range, new_vpc, vpc
from tests.providers.aws.cases_iam import ROLE, trust
from tests.providers.world import Made, World, client
from watoto_infra.errors import ProviderError, UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.values import UNKNOWN, to_plain_map, to_property_map

pytestmark = pytest.mark.local

BUCKET = "aws:s3/bucket:Bucket"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def check(
    world: World, urn: str, inputs: dict[str, Any], old: base.Properties | None = None, seed: bytes = b""
) -> base.CheckResponse:
    return asyncio.run(world.provider.check(base.CheckRequest(urn, old or {}, to_property_map(inputs), seed)))


def faults(world: World, type_: str, inputs: dict[str, Any]) -> dict[str, str]:
    return {one.property: one.reason for one in check(world, world.urn(type_), inputs).failures or []}


def preview(world: World, type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
    request = base.CreateRequest(world.urn(type_), to_property_map(inputs), preview=True)
    return to_plain_map(asyncio.run(world.provider.create(request)).properties)


def test_an_automatic_name_is_the_resources_own_with_seven_hex_digits_and_stays(world: World) -> None:
    urn = world.urn(BUCKET)
    first = check(world, urn, {}).inputs
    assert first is not None
    name = to_plain_map(first)["bucket"]
    assert name.startswith(f"{urn.rpartition('::')[2]}-")
    assert len(name.rpartition("-")[2]) == 7
    again = check(world, urn, {}, old=first).inputs
    assert again == first


def test_an_automatic_name_fits_the_types_limit(world: World) -> None:
    urn = f"urn:pulumi:test::watoto::{BUCKET}::{'Long' * 30}"
    inputs = check(world, urn, {}).inputs
    assert inputs is not None
    name = to_plain_map(inputs)["bucket"]
    assert len(name) == 63
    assert name == name.lower()


def test_the_engines_seed_makes_an_automatic_name_the_same_in_preview_and_run(world: World) -> None:
    urn = world.urn(BUCKET)
    assert check(world, urn, {}, seed=b"seed" * 8).inputs == check(world, urn, {}, seed=b"seed" * 8).inputs


def test_a_name_the_program_no_longer_gives_becomes_automatic(world: World) -> None:
    urn = world.urn(BUCKET)
    named = check(world, urn, {"bucket": "mine"}).inputs
    inputs = check(world, urn, {}, old=named).inputs
    assert inputs is not None
    assert to_plain_map(inputs)["bucket"] != "mine"


def test_only_a_fixed_physical_name_is_deleted_before_it_is_replaced(world: World) -> None:
    automatic = world.make(GROUP, vpcId=vpc(world), description="one")
    fixed = world.make(GROUP, vpcId=vpc(world), description="one", name=f"fixed-{world.number()}")
    assert not world.diff(automatic, world.changed(automatic, {"description": "two"})).delete_before_replace
    assert world.diff(fixed, world.changed(fixed, {"description": "two"})).delete_before_replace
    renamed = world.changed(fixed, {"description": "two", "name": "another"})
    assert not world.diff(fixed, renamed).delete_before_replace


def test_wrong_inputs_are_named_with_path_and_what_is_allowed(world: World) -> None:
    assert faults(world, VPC, {}) == {"cidrBlock": "required, but missing"}
    assert faults(world, VPC, {"cidrBlock": 10}) == {"cidrBlock": "must be a string, not int"}
    assert (
        "not one of default, dedicated"
        in faults(world, VPC, {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "x"})["instanceTenancy"]
    )
    assert "is not JSON" in faults(world, ROLE, {"assumeRolePolicy": "{"})["assumeRolePolicy"]
    wrong = {"metadataOptions": {"httpPutResponseHopLimit": 65}, "blockDeviceMappings": [{"ebs": {"iops": True}}]}
    assert faults(world, TEMPLATE, wrong) == {
        "metadataOptions.httpPutResponseHopLimit": "65 is more than 64",
        "blockDeviceMappings[0].ebs.iops": "must be a whole number, not bool",
    }


def test_a_nested_property_that_is_not_mapped_is_refused_with_its_path(world: World) -> None:
    with pytest.raises(UnsupportedFeature, match=r"blockDeviceMappings\[0\]\.ebs\.newThing"):
        check(world, world.urn(TEMPLATE), {"blockDeviceMappings": [{"ebs": {"newThing": 1}}]})


def test_a_type_that_is_not_served_is_refused_by_name(world: World) -> None:
    with pytest.raises(UnsupportedFeature, match="aws:sqs/queue:Queue"):
        check(world, world.urn("aws:sqs/queue:Queue"), {})


def test_unknown_inputs_pass_the_check_and_stay_unknown(world: World) -> None:
    inputs = check(world, world.urn(SUBNET), {"vpcId": UNKNOWN, "cidrBlock": UNKNOWN}).inputs
    assert inputs is not None
    assert to_plain_map(inputs)["vpcId"] is UNKNOWN


def test_an_unknown_input_that_forces_a_replacement_shows_as_one(world: World) -> None:
    subnet = world.make(SUBNET, vpcId=vpc(world), cidrBlock=free_range(world))
    inputs = to_property_map({**to_plain_map(subnet.inputs), "vpcId": UNKNOWN})
    diff = world.diff(subnet, inputs)
    assert diff.replaces == ["vpcId"]
    assert diff.detailed_diff["vpcId"].kind is base.PropertyDiffKind.UPDATE_REPLACE


def test_a_preview_of_a_create_knows_inputs_and_defaults_and_touches_nothing(world: World) -> None:
    before = len(world.provider._clients.get("ec2").describe_vpcs()["Vpcs"])
    outputs = preview(world, VPC, {"cidrBlock": "10.0.0.0/16"})
    assert outputs["cidrBlock"] == "10.0.0.0/16"
    assert outputs["enableDnsSupport"] is True
    assert outputs["arn"] is UNKNOWN
    assert len(world.provider._clients.get("ec2").describe_vpcs()["Vpcs"]) == before


def test_a_preview_of_an_update_does_not_know_what_an_update_may_change(world: World) -> None:
    template = world.make(TEMPLATE, imageId="ami-12c6146b", instanceType="t3.small")
    news = world.changed(template, {"instanceType": "t3.medium"})
    request = base.UpdateRequest(template.urn, template.id, template.outputs, news, 0, [], True)
    outputs = to_plain_map(asyncio.run(world.provider.update(request)).properties)
    assert outputs["latestVersion"] is UNKNOWN
    assert outputs["instanceType"] == "t3.medium"
    assert outputs["arn"] == template["arn"]
    assert world.update(template, news)["latestVersion"] == 2


def test_what_was_secret_stays_secret_in_what_comes_back(world: World) -> None:
    urn = world.urn(TEMPLATE)
    inputs = world.checked(urn, {"imageId": "ami-12c6146b", "userData": "aGk="})
    inputs["userData"] = inputs["userData"].with_secret(True)
    made = world.create(urn, inputs)
    assert made.outputs["userData"].is_secret
    response = world.read(made)
    assert response.properties["userData"].is_secret
    assert response.inputs["userData"].is_secret


def test_ignored_properties_are_no_difference(world: World) -> None:
    thing = world.make(VPC, cidrBlock="10.20.0.0/16", tags={"a": "1", "b": "2"})
    news = world.changed(thing, {"enableDnsHostnames": True, "tags": {"a": "2", "b": "3"}})
    request = base.DiffRequest(thing.urn, thing.id, thing.outputs, news, ["enableDnsHostnames", "tags.b"])
    assert list(asyncio.run(world.provider.diff(request)).detailed_diff) == ["tags.a"]


def test_a_failure_names_urn_operation_and_the_services_own_words(world: World) -> None:
    with pytest.raises(ProviderError) as caught:
        world.make(SUBNET, vpcId="vpc-12345678", cidrBlock="10.0.0.0/24")
    assert "aws:ec2/subnet:Subnet" in caught.value.message
    assert "create failed: create_subnet: InvalidVpcID.NotFound" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_create_that_fails_after_the_thing_exists_says_what_exists(world: World) -> None:
    urn = world.urn("aws:ec2/internetGateway:InternetGateway")
    inputs = world.checked(urn, {"vpcId": "vpc-12345678", "tags": {"Name": "half"}})
    with pytest.raises(base.IncompleteCreateError) as caught:
        world.create(urn, inputs)
    error = caught.value
    assert error.resource_id.startswith("igw-")
    half = Made(urn, error.resource_id, inputs, error.properties)
    assert world.diff(half, inputs).diffs == ["vpcId"]
    wanted = world.changed(half, {"vpcId": new_vpc(world)})
    assert world.update(half, wanted)["vpcId"] == to_plain_map(wanted)["vpcId"]


def test_a_group_whose_create_broke_off_is_closed_by_the_next_update_also_after_a_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    urn = world.urn(GROUP)
    inputs = world.checked(urn, {"vpcId": new_vpc(world), "description": "half"})
    call = world.provider._clients.call

    def gone_after_the_create(service: str, region: str | None, operation: str, **arguments: Any) -> dict[str, Any]:
        if operation != "create_security_group":
            raise ServiceError(operation, "EndpointConnectionError", "connection refused")
        return call(service, region, operation, **arguments)

    with monkeypatch.context() as patched:
        patched.setattr(world.provider._clients, "call", gone_after_the_create)
        with pytest.raises(base.IncompleteCreateError) as caught:
            world.create(urn, inputs)
    half = Made(urn, caught.value.resource_id, inputs, caught.value.properties)
    seen = world.read(half)
    again = Made(urn, half.id, seen.inputs, seen.properties)
    assert world.diff(again, inputs).changes is not True

    after = world.update(again, inputs)

    (group,) = client(world, "ec2").describe_security_groups(GroupIds=[half.id])["SecurityGroups"]
    assert group["IpPermissionsEgress"] == []
    assert "__unfinished" not in after.plain


def test_a_dead_endpoint_is_noticed_in_seconds_with_a_hint(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    provider = AwsProvider(f"http://127.0.0.1:{port}")
    request = base.CreateRequest(world.urn(VPC), to_property_map({"cidrBlock": "10.0.0.0/16"}))
    begin = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        asyncio.run(provider.create(request))
    assert time.monotonic() - begin < 5
    assert "watoto start" in (caught.value.hint or "")


def test_default_tags_are_on_everything_and_no_difference(endpoint: str) -> None:
    world = World(endpoint)
    tags = PropertyValue({"tags": PropertyValue({"project": PropertyValue("watoto")})})
    asyncio.run(world.provider.configure(base.ConfigureRequest({}, {"defaultTags": tags}, True, True)))
    made = world.make(VPC, cidrBlock="10.20.0.0/16", tags={"Name": "main"})
    assert made["tags"] == {"Name": "main"}
    assert made["tagsAll"] == {"Name": "main", "project": "watoto"}
    assert not world.diff(made, made.inputs).changes


def test_the_tag_by_which_a_create_is_found_is_never_shown(world: World) -> None:
    made = world.make(VPC, cidrBlock="10.20.0.0/16")
    assert made["tagsAll"] == {}
    tags = world.provider._clients.get("ec2").describe_vpcs(VpcIds=[made.id])["Vpcs"][0]["Tags"]
    assert tags == [{"Key": "watoto:op", "Value": made.token}]


def test_a_thing_of_the_same_name_that_another_run_made_is_not_taken_for_ours(world: World) -> None:
    made = world.make(ROLE, assumeRolePolicy=trust("ec2.amazonaws.com"), name=f"role-{world.number()}")
    assert world.adopt(made) is not None
    assert world.adopt(made, token="0" * 32) is None


def test_a_region_of_its_own_is_where_the_thing_is_made(world: World) -> None:
    made = world.make(VPC, cidrBlock="10.20.0.0/16", region="eu-west-1")
    assert made["region"] == "eu-west-1"
    assert made["arn"].startswith("arn:aws:ec2:eu-west-1:")
    assert world.provider._clients.get("ec2", "eu-west-1").describe_vpcs(VpcIds=[made.id])["Vpcs"]
    assert world.diff(made, world.changed(made, {"region": "us-east-1"})).replaces == ["region"]


def test_an_endpoint_can_not_be_configured_by_a_program(world: World) -> None:
    inputs = {"endpoints": PropertyValue([PropertyValue({"ec2": PropertyValue("http://127.0.0.1:1")})])}
    request = base.CheckRequest("urn:pulumi:t::w::pulumi:providers:aws::a", {}, inputs, b"")
    with pytest.raises(UnsupportedFeature, match="endpoints"):
        asyncio.run(world.provider.check_config(request))


def test_a_group_moves_from_one_template_to_a_mix_of_instances_and_back(world: World) -> None:
    group = world.make(cases_autoscaling.GROUP, cases_autoscaling.group_inputs(world))
    mix = world.changed(group, {"launchTemplate": None, "mixedInstancesPolicy": cases_autoscaling.mixed(world)})
    mixed = world.update(group, mix)
    assert not world.diff(mixed, mix).changes
    assert to_plain_map(world.read(mixed).inputs) == to_plain_map(mix)
    back = world.update(mixed, group.inputs)
    assert not world.diff(back, group.inputs).changes
    assert to_plain_map(world.read(back).inputs) == to_plain_map(group.inputs)


def test_a_gateway_that_was_deleted_by_hand_is_made_again_with_its_address(world: World) -> None:
    gateway, address = "aws:ec2/natGateway:NatGateway", world.make("aws:ec2/eip:Eip")
    inputs = {"subnetId": world.make(SUBNET, {"vpcId": new_vpc(world), "cidrBlock": "10.20.0.0/24"}).id}
    first = world.make(gateway, {**inputs, "allocationId": address.id})
    client(world, "ec2").delete_nat_gateway(NatGatewayId=first.id)
    assert world.read(first).resource_id is None
    again = world.make(gateway, {**inputs, "allocationId": address.id})
    assert again["publicIp"] == first["publicIp"]
    world.delete(again)
    world.delete(address)
