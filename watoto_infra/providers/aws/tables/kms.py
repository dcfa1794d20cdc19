"""KMS: keys and their aliases."""

from __future__ import annotations

from watoto_infra.providers.aws.fields import ChangeEffect, computed_from, flag, integer, json_text, output, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import (
    OP_TAG,
    Call,
    Create,
    Delete,
    Dependents,
    Find,
    Read,
    RecoveryWindow,
    Resource,
    Tags,
    Update,
)

OF_THE_KEY = {"KeyId": "{id}"}


def switch_rotation(operation: Operation, _: frozenset[str]) -> None:
    """Turn yearly rotation on or off."""
    operation.call(f"{_verb(operation.inputs.get('enableKeyRotation'))}_key_rotation", KeyId=operation.id)


def switch_key(operation: Operation, _: frozenset[str]) -> None:
    """Turn the key itself on or off."""
    operation.call(f"{_verb(operation.inputs.get('isEnabled', True))}_key", KeyId=operation.id)


def _verb(on: object) -> str:
    return "enable" if on else "disable"


def find_key(operation: Operation) -> str | None:
    """Find the key that bears the create's token; KMS cannot look by tag, so every key is asked."""
    for page in operation.clients.get("kms", operation.region).get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            tags = operation.call("list_resource_tags", KeyId=key["KeyId"]).get("Tags", [])
            if {"TagKey": OP_TAG, "TagValue": operation.token} in tags:
                return str(key["KeyId"])
    return None


KEY = Resource(
    type="aws:kms/key:Key",
    service="kms",
    fields=(
        text("description", default=""),
        json_text("policy", computed=True),
        text("keyUsage", default="ENCRYPT_DECRYPT", replaces=True),
        text("customerMasterKeySpec", "KeySpec", default="SYMMETRIC_DEFAULT", replaces=True),
        flag("multiRegion", default=False, replaces=True),
        flag("enableKeyRotation", read="KeyRotationEnabled", default=False, at_create=False),
        flag("isEnabled", read="Enabled", default=True, at_create=False),
        integer("deletionWindowInDays", default=30, low=7, high=30, behaviour=True),
        output("arn", "Arn"),
        output("keyId", "KeyId"),
    ),
    create=Create("create_key", id="KeyMetadata.KeyId"),
    read=(
        Read("describe_key", OF_THE_KEY, "KeyMetadata"),
        Read("get_key_policy", {**OF_THE_KEY, "PolicyName": "default"}),
        # Asymmetric keys do not rotate.
        Read(
            "get_key_rotation_status",
            OF_THE_KEY,
            "{KeyRotationEnabled: KeyRotationEnabled}",
            absent=("UnsupportedOperationException",),
        ),
        Read("list_resource_tags", OF_THE_KEY, "Tags", under="Tags"),
    ),
    updates=(
        Update("update_key_description", ("description",), OF_THE_KEY, on_change=ChangeEffect.AT_ONCE),
        Update("put_key_policy", ("policy",), {**OF_THE_KEY, "PolicyName": "default"}, on_change=ChangeEffect.AT_ONCE),
        Update("enable_key", ("isEnabled",), do=switch_key, on_change=ChangeEffect.AT_ONCE),
        Update("enable_key_rotation", ("enableKeyRotation",), do=switch_rotation, on_change=ChangeEffect.AT_ONCE),
    ),
    delete=Delete(
        "schedule_key_deletion",
        {**OF_THE_KEY, "PendingWindowInDays": "{deletionWindowInDays}"},
        left_behind="key pending deletion for {deletionWindowInDays} days",
    ),
    tags=Tags(
        names=("TagKey", "TagValue"),
        put=Call("tag_resource", {**OF_THE_KEY, "Tags": "{tags}"}),
        remove=Call("untag_resource", {**OF_THE_KEY, "TagKeys": "{tag_keys}"}),
    ),
    find=Find(do=find_key),
    gone=("NotFoundException", "KMSInvalidStateException"),
    gone_when="KeyState=='PendingDeletion'",
    bears_data=True,
    # A key whose deletion is taken back is disabled (KMS API, CancelKeyDeletion).
    recovery_window=RecoveryWindow(
        days="deletionWindowInDays",
        undo=(Call("cancel_key_deletion", OF_THE_KEY), Call("enable_key", OF_THE_KEY)),
        commands=("aws kms cancel-key-deletion --key-id {id}", "aws kms enable-key --key-id {id}"),
    ),
    dependents=(Dependents("aws:kms/alias:Alias", "name", "list_aliases", OF_THE_KEY, "Aliases[].AliasName"),),
)


def bare_id(key: str) -> str:
    """Give a key's id, whether it was named by id or by ARN."""
    return key.rpartition("/")[2]


ALIAS = Resource(
    type="aws:kms/alias:Alias",
    service="kms",
    fields=(
        text("name", "AliasName", required=True, replaces=True, computed_from="{id}"),
        text("targetKeyId", read="KeyId", required=True, normalize=bare_id),
        computed_from("arn", "arn:aws:kms:{region}:{account}:{id}"),
        output("targetKeyArn", "Arn", unstable=True),
    ),
    create=Create("create_alias", id="{name}"),
    # A key can be asked for by its alias: what answers is the key that the alias stands for.
    read=(Read("describe_key", OF_THE_KEY, "KeyMetadata"),),
    updates=(Update("update_alias", ("targetKeyId",), {"AliasName": "{id}"}),),
    delete=Delete("delete_alias", {"AliasName": "{id}"}),
    gone=("NotFoundException",),
)

RESOURCES = (KEY, ALIAS)
