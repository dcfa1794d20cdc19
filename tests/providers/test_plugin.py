"""The providers as plugins of the official engine: the same promises over gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.rpc import UNKNOWN

from tests.providers.plugin_client import plain, plugin_client, struct

pytestmark = pytest.mark.local

URN = "urn:pulumi:test::watoto::aws:ec2/vpc:Vpc::main"
INPUTS = {"cidrBlock": "10.40.0.0/16", "tags": {"Name": "main"}}


@pytest.fixture(scope="module")
def stub(endpoint: str) -> Iterator[Any]:
    """Give a client of the AWS plugin, started as the official engine starts it."""
    with plugin_client("aws", {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}) as client:
        yield client


def test_a_vpc_lives_its_life_over_the_official_protocol(stub: Any) -> None:
    stub.Configure(provider_pb2.ConfigureRequest(args=struct({"region": "us-east-1"}), acceptSecrets=True))
    checked = stub.Check(provider_pb2.CheckRequest(urn=URN, news=struct(INPUTS))).inputs
    previewed = stub.Create(provider_pb2.CreateRequest(urn=URN, properties=checked, preview=True))
    assert plain(previewed.properties)["arn"] == UNKNOWN
    made = stub.Create(provider_pb2.CreateRequest(urn=URN, properties=checked))
    assert made.id.startswith("vpc-")
    assert plain(made.properties)["tagsAll"] == {"Name": "main"}
    same = stub.Diff(provider_pb2.DiffRequest(urn=URN, id=made.id, olds=made.properties, news=checked))
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    news = struct({**INPUTS, "cidrBlock": "10.41.0.0/16"})
    other = stub.Diff(provider_pb2.DiffRequest(urn=URN, id=made.id, olds=made.properties, news=news))
    assert list(other.replaces) == ["cidrBlock"]
    news = struct({**INPUTS, "enableDnsHostnames": True})
    updated = stub.Update(provider_pb2.UpdateRequest(urn=URN, id=made.id, olds=made.properties, news=news))
    assert plain(updated.properties)["enableDnsHostnames"] is True
    stub.Delete(provider_pb2.DeleteRequest(urn=URN, id=made.id, properties=updated.properties))
    gone = stub.Read(provider_pb2.ReadRequest(urn=URN, id=made.id, properties=updated.properties))
    assert gone.id == ""


def test_the_plugin_calls_itself_by_the_version_that_programs_ask_for(stub: Any) -> None:
    info = stub.GetPluginInfo(empty_pb2.Empty())
    assert info.version == version("pulumi_aws")
