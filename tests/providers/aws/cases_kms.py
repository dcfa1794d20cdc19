"""KMS's promises."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.world import Case, World

KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"


def policy(*actions: str) -> str:
    statement = {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": ["kms:*", *actions],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def key_id(world: World) -> str:
    return world.make(KEY, {"description": "for an alias"}).id


def alias(world: World) -> dict[str, Any]:
    return {"name": f"alias/watoto-{world.number()}", "targetKeyId": key_id(world)}


CASES = [
    Case(
        KEY,
        lambda _: {
            "description": "Encrypts what Watoto keeps",
            "enableKeyRotation": True,
            "deletionWindowInDays": 14,
            "policy": policy(),
            "tags": {"Name": "watoto"},
        },
        updates={
            "description": "Encrypts",
            "enableKeyRotation": False,
            "isEnabled": False,
            "deletionWindowInDays": 7,
            "policy": policy("kms:DescribeKey"),
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048", "multiRegion": True},
    ),
    Case(
        ALIAS,
        alias,
        updates={"targetKeyId": key_id},
        replaces={"name": "alias/another"},
        listing=("list_aliases", "Aliases"),
    ),
]
