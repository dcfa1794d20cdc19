"""Functions a program may call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.providers.world import World
from watoto_infra.errors import ProviderError, UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.values import to_plain_map, to_property_map

pytestmark = pytest.mark.local


def invoke(world: World, token: str, **arguments: Any) -> dict[str, Any]:
    response = asyncio.run(world.provider.invoke(base.InvokeRequest(token, to_property_map(arguments))))
    assert response.return_value is not None
    return to_plain_map(response.return_value)


def test_the_caller_is_the_emulators_account(world: World) -> None:
    found = invoke(world, "aws:index/getCallerIdentity:getCallerIdentity")
    assert found["accountId"] == "123456789012"


def test_the_region_is_the_providers_own_unless_another_is_named(world: World) -> None:
    token = "aws:index/getRegion:getRegion"
    assert invoke(world, token)["region"] == "us-east-1"
    assert invoke(world, token, region="eu-west-1")["region"] == "eu-west-1"


def test_zones_come_in_the_order_of_their_names(world: World) -> None:
    found = invoke(world, "aws:index/getAvailabilityZones:getAvailabilityZones", state="available")
    assert found["names"][:3] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert len(found["zoneIds"]) == len(found["names"])


def test_a_managed_prefix_list_is_found_by_name_and_an_unknown_one_is_an_error(world: World) -> None:
    token = "aws:ec2/getManagedPrefixList:getManagedPrefixList"
    found = invoke(world, token, name="com.amazonaws.us-east-1.s3")
    assert found["id"].startswith("pl-")
    with pytest.raises(ProviderError, match="0 prefix lists match"):
        invoke(world, token, name="no-such-list")


def test_a_policy_document_is_written_as_the_official_provider_writes_it(world: World) -> None:
    statement = {
        "sid": "Tls",
        "effect": "Deny",
        "actions": ["s3:*"],
        "resources": ["arn:b", "arn:a"],
        "principals": [{"type": "*", "identifiers": ["*"]}],
        "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}],
    }
    found = invoke(world, "aws:iam/getPolicyDocument:getPolicyDocument", statements=[statement])
    assert json.loads(found["json"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Tls",
                "Effect": "Deny",
                "Action": "s3:*",
                "Resource": ["arn:a", "arn:b"],
                "Principal": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def test_a_function_or_argument_that_is_not_served_is_refused_by_name(world: World) -> None:
    with pytest.raises(UnsupportedFeature, match="getBucket"):
        invoke(world, "aws:s3/getBucket:getBucket")
    with pytest.raises(UnsupportedFeature, match="allAvailabilityZones"):
        invoke(world, "aws:index/getAvailabilityZones:getAvailabilityZones", allAvailabilityZones=True)
