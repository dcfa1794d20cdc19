"""CloudFront: the access that distributions have to private buckets."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.fields import computed_from, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import create_request
from watoto_infra.providers.aws.table import AutoName, Create, Delete, Find, Read, Resource, Update
from watoto_infra.providers.aws.tables.database_groups import DEFAULT_DESCRIPTION

CONFIG = "OriginAccessControlConfig"


def update_control(operation: Operation, _: frozenset[str]) -> None:
    """Send the whole of it, for the version that is there."""
    _at_its_version(operation, "update_origin_access_control", **create_request(operation))


def delete_control(operation: Operation) -> None:
    """Delete the version that is there."""
    _at_its_version(operation, "delete_origin_access_control")


def _at_its_version(operation: Operation, call: str, **arguments: Any) -> None:
    version = operation.call("get_origin_access_control", Id=operation.id)["ETag"]
    operation.call(call, Id=operation.id, IfMatch=version, **arguments)


def of_the_config(name: str, **rest: Any) -> Any:
    """Give a text of the control's one document."""
    upper = f"{name[0].upper()}{name[1:]}"
    return text(name, f"{CONFIG}.{upper}", read=upper, **rest)


FIELDS = (
    of_the_config("name"),
    of_the_config("description", default=DEFAULT_DESCRIPTION, always=True),
    of_the_config("originAccessControlOriginType", required=True),
    of_the_config("signingBehavior", required=True, choices=("always", "never", "no-override")),
    of_the_config("signingProtocol", required=True, choices=("sigv4",)),
)

CONTROL = Resource(
    type="aws:cloudfront/originAccessControl:OriginAccessControl",
    service="cloudfront",
    regional=False,
    fields=(*FIELDS, computed_from("arn", "arn:aws:cloudfront::{account}:origin-access-control/{id}")),
    create=Create("create_origin_access_control", id="OriginAccessControl.Id"),
    read=(Read("get_origin_access_control", {"Id": "{id}"}, f"OriginAccessControl.{CONFIG}"),),
    updates=(Update("update_origin_access_control", tuple(one.name for one in FIELDS), do=update_control),),
    delete=Delete("delete_origin_access_control", do=delete_control),
    find=Find("list_origin_access_controls", id="OriginAccessControlList.Items[?Name=='{name}'] | [0].Id"),
    gone=("NoSuchOriginAccessControl",),
    auto_name=AutoName("name", 64),
)

RESOURCES = (CONTROL,)
