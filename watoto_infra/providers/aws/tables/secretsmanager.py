"""Secrets Manager: secrets, and the versions that hold their values."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.aws.fields import ChangeEffect, integer, output, string_set, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import create_request
from watoto_infra.providers.aws.table import (
    AutoName,
    Call,
    Create,
    Delete,
    Dependents,
    Find,
    Item,
    Read,
    RecoveryWindow,
    Resource,
    Tags,
    Update,
)

OF_THE_SECRET = {"SecretId": "{id}"}


def delete_secret(operation: Operation) -> None:
    """Delete the secret: at once with a recovery window of 0, else it can be had back for that many days."""
    if operation.call("describe_secret", SecretId=operation.id).get("DeletedDate"):
        return
    days = int(operation["recoveryWindowInDays"])
    how: dict[str, Any] = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    operation.call("delete_secret", SecretId=operation.id, **how)


def pending(operation: Operation) -> str:
    """Say for how long the secret stays."""
    days = int(operation["recoveryWindowInDays"])
    return f"secret pending deletion for {days} days" if days else ""


SECRET = Resource(
    type="aws:secretsmanager/secret:Secret",
    service="secretsmanager",
    fields=(
        text("name", replaces=True),
        text("description", default=""),
        text("kmsKeyId"),
        integer("recoveryWindowInDays", default=30, low=0, high=30, behaviour=True),
        output("arn", "ARN"),
    ),
    create=Create("create_secret", id="ARN"),
    read=(Read("describe_secret", OF_THE_SECRET),),
    updates=(Update("update_secret", ("description", "kmsKeyId"), OF_THE_SECRET, on_change=ChangeEffect.AT_ONCE),),
    delete=Delete("delete_secret", do=delete_secret, left_behind=pending),
    tags=Tags(
        put=Call("tag_resource", {**OF_THE_SECRET, "Tags": "{tags}"}),
        remove=Call("untag_resource", {**OF_THE_SECRET, "TagKeys": "{tag_keys}"}),
    ),
    find=Find("describe_secret", {"SecretId": "{name}"}, "ARN"),
    gone=("ResourceNotFoundException",),
    gone_when="DeletedDate",
    auto_name=AutoName("name", 512),
    recovery_window=RecoveryWindow(
        days="recoveryWindowInDays",
        undo=(Call("restore_secret", OF_THE_SECRET),),
        commands=("aws secretsmanager restore-secret --secret-id {id}",),
        blocks=("name",),
    ),
    dependents=(
        Dependents(
            "aws:secretsmanager/secretVersion:SecretVersion",
            "versionId",
            "list_secret_version_ids",
            OF_THE_SECRET,
            "Versions[].VersionId",
        ),
    ),
)

BETWEEN = "|"
"""Between the secret's id and the version's in the id of a version, as the official provider has it."""

CURRENT = "AWSCURRENT"


def version_id(operation: Operation) -> str:
    """Give the id that follows from the create's token: Secrets Manager takes the token as the version's id."""
    return f"{operation['secretId']}{BETWEEN}{operation.token}"


def put_value(operation: Operation) -> str:
    """Make a version; it is the current one unless stages were asked for."""
    operation.token = operation.token or uuid.uuid4().hex
    operation.call("put_secret_value", ClientRequestToken=operation.token, **create_request(operation))
    return version_id(operation)


def _parts(operation: Operation) -> tuple[str, str]:
    secret, _, version = operation.id.rpartition(BETWEEN)
    return secret, version


def read_version(operation: Operation) -> Item:
    """Give one version and its value."""
    secret, version = _parts(operation)
    return {**operation.call("get_secret_value", SecretId=secret, VersionId=version), "SecretId": secret}


def is_current(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Tell whether the version is the current one, where the program asks for no stages: more are Secrets Manager's."""
    return not inputs.get("versionStages") and CURRENT in (outputs.get("versionStages") or ())


def move_stages(operation: Operation, _: frozenset[str]) -> None:
    """Take the stages off and put them on, one by one, as the API has it."""
    secret, version = _parts(operation)
    old = set(operation.state.get("versionStages") or ())
    new = set(operation.inputs.get("versionStages") or (CURRENT,))
    for stage in sorted(new - old):
        holder = _holder(operation, secret, stage)
        whence = {"RemoveFromVersionId": holder} if holder else {}
        operation.call(
            "update_secret_version_stage", SecretId=secret, VersionStage=stage, MoveToVersionId=version, **whence
        )
    _take_off(operation, (old - new).intersection(read_version(operation).get("VersionStages") or ()))


def _holder(operation: Operation, secret: str, stage: str) -> str | None:
    versions = operation.call("describe_secret", SecretId=secret).get("VersionIdsToStages", {})
    return next((version for version, stages in versions.items() if stage in stages), None)


def retire(operation: Operation) -> None:
    """Take the version's stages off, so that the service drops it; the current one goes with its secret only."""
    _take_off(operation, set(read_version(operation).get("VersionStages") or ()))


def _take_off(operation: Operation, stages: set[str]) -> None:
    secret, version = _parts(operation)
    for stage in sorted(stages - {CURRENT}):
        operation.call("update_secret_version_stage", SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)


VERSION = Resource(
    type="aws:secretsmanager/secretVersion:SecretVersion",
    service="secretsmanager",
    fields=(
        text("secretId", required=True, replaces=True),
        text("secretString", required=True, replaces=True, secret=True),
        string_set("versionStages", default=[CURRENT], ignore_difference=is_current),
        output("arn", "ARN"),
        output("versionId", "VersionId"),
    ),
    create=Create("put_secret_value", id=version_id, do=put_value),
    read=(Read(do=read_version),),
    updates=(Update("update_secret_version_stage", ("versionStages",), do=move_stages),),
    delete=Delete("update_secret_version_stage", do=retire),
    # A secret that is pending deletion refuses to tell its value.
    gone=("ResourceNotFoundException", "InvalidRequestException"),
)

RESOURCES = (SECRET, VERSION)
