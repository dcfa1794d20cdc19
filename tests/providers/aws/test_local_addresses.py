"""Databases, caches, broker and load balancer answer where the stack's port table says, and no diff ever sees it."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest

from tests.providers.aws.cases_elasticache import GROUP, group
from tests.providers.aws.cases_elbv2 import BALANCER, balancer_inputs
from tests.providers.aws.cases_mq import BROKER, broker
from tests.providers.aws.cases_rds import INSTANCE, primary
from tests.providers.world import Made, World
from watoto_infra.providers import base
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.values import UNKNOWN, to_plain_map, to_property_map
from watoto_infra.supervision.ports import PortTable

pytestmark = pytest.mark.local

Inputs = dict[str, Any]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PortTable:
    folder: Path = tmp_path_factory.mktemp("stack")
    return PortTable(folder / "ports.json")


@pytest.fixture(scope="module")
def local(world: World, table: PortTable) -> World:
    """The same world through a provider that has a port table."""
    local = copy.copy(world)
    local.provider = AwsProvider(world.endpoint, addresses=table)
    return local


def one_shard(world: World) -> Inputs:
    return {**group(world), "numCacheClusters": 2}


def two_shards(world: World) -> Inputs:
    return {**group(world), "numNodeGroups": 2, "replicasPerNodeGroup": 1}


def expected(made: Made, table: PortTable) -> Inputs:
    """What the outputs of a thing must say."""

    def at(kind: str) -> Any:
        return table.reserve(made.urn, kind)

    if made.urn.split("::")[2] == INSTANCE:
        return {"address": "127.0.0.1", "port": at("postgresql").port, "endpoint": str(at("postgresql"))}
    if made.urn.split("::")[2] == GROUP:
        sharded = made.plain.get("numNodeGroups") == 2
        names = ("configurationEndpointAddress",) if sharded else ("primaryEndpointAddress", "readerEndpointAddress")
        return {"port": at("redis").port, **dict.fromkeys(names, "127.0.0.1")}
    if made.urn.split("::")[2] == BROKER:
        console = f"http://{at('amqp-console')}"
        return {"instances": [{"endpoints": [f"amqp://{at('amqp')}"], "consoleUrl": console, "ipAddress": "127.0.0.1"}]}
    return {"dnsName": str(at("http"))}


THINGS = [(INSTANCE, primary), (GROUP, one_shard), (GROUP, two_shards), (BROKER, broker), (BALANCER, balancer_inputs)]


@pytest.mark.parametrize(("type_", "inputs"), THINGS)
def test_create_read_update_and_adopt_all_tell_the_port_tables_address(
    local: World, table: PortTable, type_: str, inputs: Any
) -> None:
    made = local.make(type_, inputs(local))
    wanted = expected(made, table).items()
    assert wanted <= made.plain.items()
    assert wanted <= to_plain_map(local.read(made).properties).items()
    assert wanted <= local.update(made, local.changed(made, {"tags": {"Name": "other"}})).plain.items()
    found = local.adopt(made)
    assert found is not None
    assert wanted <= to_plain_map(found.properties).items()


@pytest.mark.parametrize(("type_", "inputs"), THINGS)
def test_a_stack_made_without_addresses_takes_them_by_a_read_and_has_no_difference(
    local: World, world: World, table: PortTable, type_: str, inputs: Any
) -> None:
    plain = world.make(type_, inputs(world))
    assert not expected(plain, table).items() <= plain.plain.items()
    assert not local.diff(plain, plain.inputs).changes
    seen = local.read(plain)
    assert to_plain_map(seen.inputs) == to_plain_map(plain.inputs)
    moved = Made(plain.urn, plain.id, seen.inputs, seen.properties)
    assert expected(moved, table).items() <= moved.plain.items()
    assert not local.diff(moved, plain.inputs).changes


def test_an_address_is_known_only_once_the_thing_is_there(local: World, table: PortTable) -> None:
    checked = local.checked(urn := local.urn(INSTANCE), primary(local))
    shown = asyncio.run(local.provider.create(base.CreateRequest(urn, checked, preview=True)))
    plain = to_plain_map(shown.properties)
    assert [plain[name] for name in ("address", "port", "endpoint")] == [UNKNOWN] * 3


def test_two_things_never_share_a_port(local: World, table: PortTable) -> None:
    first, second = (local.make(INSTANCE, primary(local)) for _ in range(2))
    assert first["port"] != second["port"]


def test_other_types_keep_what_the_endpoint_says(local: World, world: World) -> None:
    made = local.make("aws:s3/bucket:Bucket", {"bucket": f"watoto-addresses-{local.number()}"})
    request = base.ReadRequest(made.urn, made.id, to_property_map({}), made.inputs)
    assert to_plain_map(asyncio.run(world.provider.read(request)).properties).items() <= made.plain.items()
