"""EC2: launch templates. Every change is a new version; the number of the newest starts what follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from watoto_infra.providers.aws.ec2_shared import by_token, ec2_arn, ec2_tags
from watoto_infra.providers.aws.fields import (
    Field,
    Kind,
    block,
    blocks,
    computed_from,
    flag,
    integer,
    mapping,
    output,
    string_set,
    text,
)
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import update_request
from watoto_infra.providers.aws.table import AutoName, Create, Delete, Read, Resource, Update


def data(kind: Callable[..., Field], name: str, *fields: Field, api: str = "", **rest: Any) -> Field:
    """Give a property of the template's data, which is read from its newest version."""
    path = f"LaunchTemplateData.{api or name[:1].upper() + name[1:]}"
    return kind(name, *fields, api=path, read=f"Version.{path}", **rest)


def truth(name: str, api: str = "", **rest: Any) -> Field:
    """Give a true-or-false that Pulumi's AWS package writes as a text."""
    return text(
        name,
        api,
        choices=("true", "false"),
        to_api=lambda value: value == "true",
        from_api=lambda value: None if value is None else str(value).lower(),
        **rest,
    )


def tags_to_api(tags: dict[str, str]) -> list[dict[str, str]]:
    """Give tags in EC2's form."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_from_api(tags: list[dict[str, str]] | None) -> dict[str, str] | None:
    """Give tags in Pulumi's form."""
    return {tag["Key"]: tag["Value"] for tag in tags} if tags else None


DISK = block(
    "ebs",
    text("volumeType", computed=True),
    integer("volumeSize", computed=True),
    truth("encrypted"),
    truth("deleteOnTermination"),
    integer("iops", computed=True),
    integer("throughput", computed=True),
    text("kmsKeyId"),
    text("snapshotId"),
)

METADATA = (
    text("httpEndpoint", computed=True, choices=("enabled", "disabled")),
    text("httpTokens", computed=True, choices=("optional", "required")),
    integer("httpPutResponseHopLimit", computed=True, low=1, high=64),
    text("instanceMetadataTags", computed=True, choices=("enabled", "disabled")),
)

FIELDS = (
    text("name", "LaunchTemplateName", replaces=True),
    text("description", "VersionDescription", read="Version.VersionDescription"),
    data(text, "imageId"),
    data(text, "instanceType"),
    data(text, "keyName"),
    data(text, "userData"),
    data(string_set, "vpcSecurityGroupIds", api="SecurityGroupIds"),
    data(block, "iamInstanceProfile", text("arn"), text("name")),
    data(block, "monitoring", flag("enabled", default=False)),
    data(block, "metadataOptions", *METADATA, computed=True),
    data(blocks, "blockDeviceMappings", text("deviceName"), DISK),
    blocks(
        "tagSpecifications",
        text("resourceType"),
        mapping("tags", to_api=tags_to_api, from_api=tags_from_api),
        api="LaunchTemplateData.TagSpecifications",
        # moto mixes in the tags of the template itself.
        read="Version.LaunchTemplateData.TagSpecifications[?ResourceType!='launch-template']",
    ),
    data(truth, "ebsOptimized"),
    flag("updateDefaultVersion", default=False, behaviour=True),
    computed_from("arn", ec2_arn("launch-template")),
    output("latestVersion", "LatestVersionNumber", Kind.INT, unstable=True),
    output("defaultVersion", "DefaultVersionNumber", Kind.INT, unstable=True),
)

VERSIONED = tuple(entry.name for entry in FIELDS if entry.api.startswith(("LaunchTemplateData", "VersionDescription")))


def new_version(operation: Operation, touched: frozenset[str]) -> None:
    """Make a version with all wanted data and, where the program says so, the one that is used by default."""
    version = Update("create_launch_template_version", VERSIONED, {"LaunchTemplateId": "{id}"}, whole=True)
    request = {"LaunchTemplateData": {}, **update_request(operation, version, touched)}
    answer = operation.call(version.op, **request)
    if operation.inputs.get("updateDefaultVersion"):
        number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        operation.call("modify_launch_template", LaunchTemplateId=operation.id, DefaultVersion=number)


LAUNCH_TEMPLATE = Resource(
    type="aws:ec2/launchTemplate:LaunchTemplate",
    service="ec2",
    fields=FIELDS,
    create=Create("create_launch_template", {"LaunchTemplateData": {}}, id="LaunchTemplate.LaunchTemplateId"),
    read=(
        Read("describe_launch_templates", {"LaunchTemplateIds": ["{id}"]}, "LaunchTemplates[0]"),
        Read(
            "describe_launch_template_versions",
            {"LaunchTemplateId": "{id}", "Versions": ["$Latest"]},
            "LaunchTemplateVersions[0]",
            under="Version",
        ),
        # moto's templates show for ever the tags that they were made with.
        Read("describe_tags", {"Filters": [{"Name": "resource-id", "Values": ["{id}"]}]}, "Tags", under="Tags"),
    ),
    updates=(Update("create_launch_template_version", VERSIONED, do=new_version),),
    delete=Delete("delete_launch_template", {"LaunchTemplateId": "{id}"}),
    tags=ec2_tags("launch-template"),
    find=by_token("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    gone=("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"),
    auto_name=AutoName("name", 128),
)

RESOURCES = (LAUNCH_TEMPLATE,)
