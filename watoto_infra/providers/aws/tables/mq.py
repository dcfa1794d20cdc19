"""Amazon MQ: RabbitMQ brokers and their configurations."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.aws.fields import (
    ChangeEffect,
    Kind,
    block,
    block_set,
    flag,
    integer,
    output,
    string_set,
    strings,
    text,
)
from watoto_infra.providers.aws.local_addresses import Outputs, Reserve
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Find, Item, Read, Resource, Tags, Update

OF_THE_BROKER = {"BrokerId": "{id}"}
OF_THE_CONFIGURATION = {"ConfigurationId": "{id}"}

TAGS = Tags(
    style="map",
    put=Call("create_tags", {"ResourceArn": "{arn}", "Tags": "{tags}"}),
    remove=Call("delete_tags", {"ResourceArn": "{arn}", "TagKeys": "{tag_keys}"}),
)


def reboot(operation: Operation, _: frozenset[str]) -> None:
    """Restart the broker if the change is to work at once; else it works after the next maintenance."""
    if operation["applyImmediately"]:
        operation.call("reboot_broker", BrokerId=operation.id)


IN_PLACE = (
    "engineVersion",
    "hostInstanceType",
    "autoMinorVersionUpgrade",
    "configuration",
    "logs",
    "maintenanceWindowStartTime",
    "securityGroups",
)


def local_addresses(_: Mapping[str, Any], reserve: Reserve) -> Outputs:
    """Give where the local broker and its console answer, without TLS: only loopback is spoken over."""
    server, console = reserve("amqp"), reserve("amqp-console")
    node = {"endpoints": [f"amqp://{server}"], "consoleUrl": f"http://{console}", "ipAddress": server.host}
    return {"instances": [node]}


BROKER = Resource(
    type="aws:mq/broker:Broker",
    service="mq",
    fields=(
        text("brokerName", replaces=True),
        text("engineType", required=True, replaces=True, normalize=str.lower),
        text("engineVersion", required=True, on_change=ChangeEffect.IN_WINDOW),
        text("hostInstanceType", required=True, on_change=ChangeEffect.IN_WINDOW),
        text(
            "deploymentMode",
            default="SINGLE_INSTANCE",
            always=True,
            replaces=True,
            choices=("SINGLE_INSTANCE", "CLUSTER_MULTI_AZ"),
        ),
        flag("publiclyAccessible", default=False, always=True, replaces=True),
        flag("autoMinorVersionUpgrade", default=False, always=True),
        text("storageType", computed=True, replaces=True),
        string_set("subnetIds", computed=True, replaces=True),
        string_set("securityGroups", computed=True, on_change=ChangeEffect.IN_WINDOW),
        block(
            "encryptionOptions",
            text("kmsKeyId", computed=True),
            flag("useAwsOwnedKey", default=True),
            computed=True,
            replaces=True,
        ),
        block(
            "configuration",
            text("id"),
            integer("revision"),
            read="Configurations.Current",
            computed=True,
            on_change=ChangeEffect.IN_WINDOW,
        ),
        block("logs", flag("general", default=False), flag("audit", default=False), on_change=ChangeEffect.IN_WINDOW),
        block(
            "maintenanceWindowStartTime",
            text("dayOfWeek", required=True, normalize=str.upper),
            text("timeOfDay", required=True),
            text("timeZone", required=True),
            computed=True,
        ),
        # RabbitMQ takes its one user when it is made; Amazon MQ neither changes nor reports it afterwards.
        block_set(
            "users",
            text("username", required=True),
            text("password", required=True, not_reported=True),
            key="username",
            required=True,
            replaces=True,
            secret=True,
            not_reported=True,
        ),
        flag("applyImmediately", default=False, behaviour=True),
        output("arn", "BrokerArn"),
        output(
            "instances",
            "BrokerInstances",
            kind=Kind.BLOCKS,
            fields=(text("consoleUrl", "ConsoleURL"), strings("endpoints"), text("ipAddress")),
        ),
    ),
    create=Create("create_broker", id="BrokerId"),
    read=(Read("describe_broker", OF_THE_BROKER),),
    updates=(
        Update("update_broker", IN_PLACE, OF_THE_BROKER),
        Update("reboot_broker", IN_PLACE, do=reboot),
    ),
    delete=Delete("delete_broker", OF_THE_BROKER, wait=True),
    tags=TAGS,
    find=Find("list_brokers", id="BrokerSummaries[?BrokerName=='{brokerName}'] | [0].BrokerId"),
    gone=("NotFoundException",),
    ready="BrokerState=='RUNNING'",
    failed="BrokerState=='CREATION_FAILED'",
    timeout=3600,
    auto_name=AutoName("brokerName", 50),
    local_addresses=local_addresses,
)


def read_data(operation: Operation) -> Item:
    """Give the newest revision's text and description."""
    revision = operation.item["LatestRevision"]["Revision"]
    found = operation.call(
        "describe_configuration_revision", ConfigurationId=operation.id, ConfigurationRevision=str(revision)
    )
    return {"Data": found["Data"], "Description": found.get("Description")}


def encoded(data: str) -> str:
    """Give a configuration's text as the API wants it."""
    return base64.b64encode(data.encode()).decode()


def decoded(data: str | None) -> str | None:
    """Give a configuration's text back; the emulator's own first revision is not encoded."""
    if data is None:
        return None
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        return data


CONFIGURATION = Resource(
    type="aws:mq/configuration:Configuration",
    service="mq",
    fields=(
        text("name", replaces=True),
        text("engineType", required=True, replaces=True, normalize=str.lower),
        text("engineVersion", required=True, replaces=True),
        text("description", computed=True, at_create=False),
        text("data", required=True, at_create=False, to_api=encoded, from_api=decoded),
        output("arn", "Arn"),
        output("latestRevision", "LatestRevision.Revision", kind=Kind.INT, unstable=True),
    ),
    create=Create("create_configuration", id="Id"),
    read=(Read("describe_configuration", OF_THE_CONFIGURATION), Read(do=read_data)),
    updates=(Update("update_configuration", ("data", "description"), OF_THE_CONFIGURATION, whole=True),),
    delete=Delete("delete_configuration", OF_THE_CONFIGURATION),
    tags=TAGS,
    find=Find("list_configurations", id="Configurations[?Name=='{name}'] | [0].Id"),
    gone=("NotFoundException",),
    auto_name=AutoName("name", 150),
)

RESOURCES = (BROKER, CONFIGURATION)
