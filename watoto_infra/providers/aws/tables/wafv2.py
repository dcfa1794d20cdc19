"""WAF: web ACLs. An ACL has one document, so every change sends the whole of it."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.fields import Field, Kind, block, block_set, flag, integer, output, string_set, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import create_request
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Find, Read, Resource, Tags, Update

OF_THE_ACL = {"Name": "{name}", "Scope": "{scope}", "Id": "{id}"}


def update_acl(operation: Operation, _: frozenset[str]) -> None:
    """Send the whole ACL, for the version that is there."""
    request = create_request(operation)
    request.pop("Tags", None)
    _at_its_version(operation, "update_web_acl", **{"Rules": [], **request})


def delete_acl(operation: Operation) -> None:
    """Delete the version that is there."""
    _at_its_version(operation, "delete_web_acl", Name=operation["name"], Scope=operation["scope"])


def _at_its_version(operation: Operation, call: str, **arguments: Any) -> None:
    version = operation.call("get_web_acl", **operation.fill(OF_THE_ACL))["LockToken"]
    operation.call(call, Id=operation.id, LockToken=version, **arguments)


VISIBILITY = block(
    "visibilityConfig",
    text("metricName", required=True),
    flag("cloudwatchMetricsEnabled", "CloudWatchMetricsEnabled", required=True),
    flag("sampledRequestsEnabled", required=True),
    required=True,
)


def actions(name: str, *allowed: str, **rest: Any) -> Field:
    """Give a block that holds one of some actions, each without properties."""
    return block(name, *(block(one) for one in allowed), **rest)


STATEMENT = block(
    "statement",
    block("managedRuleGroupStatement", text("vendorName", required=True), text("name", required=True), text("version")),
    block(
        "rateBasedStatement",
        integer("limit", required=True, low=10, high=2_000_000_000),
        text("aggregateKeyType", default="IP", choices=("IP", "FORWARDED_IP", "CONSTANT")),
        integer("evaluationWindowSec", default=300),
    ),
    block("geoMatchStatement", string_set("countryCodes", required=True)),
    block("ipSetReferenceStatement", text("arn", "ARN", required=True), api="IPSetReferenceStatement"),
    required=True,
)

DOCUMENT = (
    text("description"),
    actions("defaultAction", "allow", "block", required=True),
    block_set(
        "rules",
        text("name", required=True),
        integer("priority", required=True),
        actions("action", "allow", "block", "count", "captcha", "challenge"),
        actions("overrideAction", "none", "count"),
        STATEMENT,
        VISIBILITY,
        key="name",
    ),
    VISIBILITY,
)

ACL = Resource(
    type="aws:wafv2/webAcl:WebAcl",
    service="wafv2",
    fields=(
        text("name", replaces=True),
        text("scope", required=True, replaces=True, not_reported=True, choices=("CLOUDFRONT", "REGIONAL")),
        *DOCUMENT,
        output("arn", "ARN"),
        output("capacity", "Capacity", kind=Kind.INT, unstable=True),
    ),
    create=Create("create_web_acl", id="Summary.Id"),
    read=(
        Read("get_web_acl", OF_THE_ACL, "WebACL"),
        Read("list_tags_for_resource", {"ResourceARN": "{ARN}"}, "TagInfoForResource.TagList", under="Tags"),
    ),
    updates=(Update("update_web_acl", tuple(one.name for one in DOCUMENT), do=update_acl),),
    delete=Delete("delete_web_acl", do=delete_acl),
    tags=Tags(
        put=Call("tag_resource", {"ResourceARN": "{arn}", "Tags": "{tags}"}),
        remove=Call("untag_resource", {"ResourceARN": "{arn}", "TagKeys": "{tag_keys}"}),
    ),
    find=Find("list_web_acls", {"Scope": "{scope}"}, "WebACLs[?Name=='{name}'] | [0].Id"),
    gone=("WAFNonexistentItemException",),
    auto_name=AutoName("name", 128),
)

RESOURCES = (ACL,)
