"""RDS: subnet groups and parameter groups."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import (
    AutoName,
    Create,
    Delete,
    Item,
    Read,
    Resource,
    Update,
    block_set,
    output,
    string_set,
    text,
)
from watoto_infra.providers.aws.tables.rds import TAGS

DEFAULT_DESCRIPTION = "Managed by Pulumi"

MOST_PARAMETERS = 20
"""Parameters that one call may change or reset (RDS and ElastiCache API, Modify...ParameterGroup)."""


def read_tags(arn: str) -> Read:
    """Give the call that reads the tags of the thing whose ARN an earlier read found under ``arn``."""
    return Read("list_tags_for_resource", {"ResourceName": f"{{{arn}}}"}, "TagList", under="TagList")


def change_subnets(operation: Operation, _: frozenset[str]) -> None:
    """Give the group its subnets. moto 5.2.5 loses a group that it changes: then it is made anew, under its name."""
    inputs = operation.inputs
    group: dict[str, Any] = {
        "DBSubnetGroupName": operation.id,
        "DBSubnetGroupDescription": operation["description"],
        "SubnetIds": inputs["subnetIds"],
    }
    operation.call("modify_db_subnet_group", **group)
    try:
        operation.call("describe_db_subnet_groups", DBSubnetGroupName=operation.id)
    except ServiceError as error:
        if error.code not in operation.entry.gone:
            raise
        tags = [{"Key": key, "Value": value} for key, value in operation.wanted_tags.items()]
        operation.call("create_db_subnet_group", **group, Tags=tags)


SUBNET_GROUP = Resource(
    type="aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    fields=(
        text("name", "DBSubnetGroupName", replaces=True, same=str.lower),
        text("description", "DBSubnetGroupDescription", default=DEFAULT_DESCRIPTION, always=True),
        string_set("subnetIds", required=True, read="Subnets[].SubnetIdentifier"),
        output("arn", "DBSubnetGroupArn"),
        output("vpcId", "VpcId"),
    ),
    create=Create("create_db_subnet_group", id="{name}"),
    read=(
        Read("describe_db_subnet_groups", {"DBSubnetGroupName": "{id}"}, "DBSubnetGroups[0]"),
        read_tags("DBSubnetGroupArn"),
    ),
    updates=(Update("modify_db_subnet_group", ("subnetIds", "description"), do=change_subnets),),
    delete=Delete("delete_db_subnet_group", {"DBSubnetGroupName": "{id}"}),
    tags=TAGS,
    gone=("DBSubnetGroupNotFoundFault",),
    auto_name=AutoName("name", 255, lower=True),
)


def read_parameters(operation: Operation) -> Item:
    """Give the parameters that somebody set; those at RDS's own values are not ours."""
    found: list[Any] = []
    marker: dict[str, str] = {}
    while True:
        page = operation.call("describe_db_parameters", DBParameterGroupName=operation.id, Source="user", **marker)
        found += page.get("Parameters", [])
        if not page.get("Marker"):
            return {"Parameters": found}
        marker = {"Marker": page["Marker"]}


def change_parameters(operation: Operation, _: frozenset[str]) -> None:
    """Set the parameters that differ, then take back those that are no longer named."""
    old = {one["name"]: one for one in operation.state.get("parameters") or ()}
    new = {one["name"]: one for one in operation.inputs.get("parameters") or ()}
    changed = [_parameter(one, with_value=True) for name, one in sorted(new.items()) if old.get(name) != one]
    dropped = [_parameter(one, with_value=False) for name, one in sorted(old.items()) if name not in new]
    for some in portions(changed):
        operation.call("modify_db_parameter_group", DBParameterGroupName=operation.id, Parameters=some)
    for some in portions(dropped):
        operation.call("reset_db_parameter_group", DBParameterGroupName=operation.id, Parameters=some)


def _parameter(one: Item, *, with_value: bool) -> Item:
    how = {"ParameterName": one["name"], "ApplyMethod": one.get("applyMethod", "immediate")}
    return {**how, "ParameterValue": one["value"]} if with_value else how


def portions(parameters: list[Item]) -> list[list[Item]]:
    """Give the parameters in portions that one call takes."""
    return [parameters[at : at + MOST_PARAMETERS] for at in range(0, len(parameters), MOST_PARAMETERS)]


PARAMETER_GROUP = Resource(
    type="aws:rds/parameterGroup:ParameterGroup",
    service="rds",
    fields=(
        text("name", "DBParameterGroupName", replaces=True, same=str.lower),
        text("family", "DBParameterGroupFamily", required=True, replaces=True),
        text("description", default=DEFAULT_DESCRIPTION, always=True, replaces=True),
        block_set(
            "parameters",
            text("name", "ParameterName", required=True),
            text("value", "ParameterValue", required=True),
            text("applyMethod", "ApplyMethod", default="immediate", choices=("immediate", "pending-reboot")),
            key="name",
            at_create=False,
        ),
        output("arn", "DBParameterGroupArn"),
    ),
    create=Create("create_db_parameter_group", id="{name}"),
    read=(
        Read("describe_db_parameter_groups", {"DBParameterGroupName": "{id}"}, "DBParameterGroups[0]"),
        Read(do=read_parameters),
        read_tags("DBParameterGroupArn"),
    ),
    updates=(Update("modify_db_parameter_group", ("parameters",), do=change_parameters),),
    delete=Delete("delete_db_parameter_group", {"DBParameterGroupName": "{id}"}),
    tags=TAGS,
    gone=("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"),
    auto_name=AutoName("name", 255, lower=True),
)

RESOURCES = (SUBNET_GROUP, PARAMETER_GROUP)
