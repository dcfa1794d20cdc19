"""Systems Manager: parameters. Only plain ones; what is secret belongs into Secrets Manager."""

from __future__ import annotations

from watoto_infra.providers.aws.fields import Kind, output, text
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Read, Resource, Tags, Update

OF_THE_PARAMETER = {"ResourceType": "Parameter", "ResourceId": "{id}"}
CHANGEABLE = ("insecureValue", "description", "allowedPattern", "tier", "dataType")

PARAMETER = Resource(
    type="aws:ssm/parameter:Parameter",
    service="ssm",
    fields=(
        text("name", replaces=True),
        # Parameter Store changes no parameter's type.
        text("type", required=True, replaces=True, choices=("String", "StringList")),
        text("insecureValue", "Value", required=True),
        text("description", default=""),
        text("allowedPattern", default=""),
        text("tier", computed=True, choices=("Standard", "Advanced")),
        text("dataType", computed=True, choices=("text", "aws:ec2:image", "aws:ssm:integration")),
        output("arn", "ARN"),
        output("version", "Version", Kind.INT, unstable=True),
    ),
    create=Create("put_parameter", id="{name}"),
    read=(
        Read("get_parameter", {"Name": "{id}"}, "Parameter"),
        Read(
            "describe_parameters",
            {"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": ["{id}"]}]},
            "Parameters[0].{Description: Description, AllowedPattern: AllowedPattern, Tier: Tier} || `{}`",
        ),
        Read("list_tags_for_resource", OF_THE_PARAMETER, "TagList", under="Tags"),
    ),
    # A parameter is always written whole: what is left out of the call would be lost.
    updates=(Update("put_parameter", CHANGEABLE, {"Name": "{id}", "Type": "{type}", "Overwrite": True}, whole=True),),
    delete=Delete("delete_parameter", {"Name": "{id}"}),
    tags=Tags(
        put=Call("add_tags_to_resource", {**OF_THE_PARAMETER, "Tags": "{tags}"}),
        remove=Call("remove_tags_from_resource", {**OF_THE_PARAMETER, "TagKeys": "{tag_keys}"}),
    ),
    gone=("ParameterNotFound", "InvalidResourceId"),
    auto_name=AutoName("name", 1011),
)

RESOURCES = (PARAMETER,)
