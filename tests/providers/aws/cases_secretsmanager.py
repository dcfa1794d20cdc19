"""Secrets Manager's promises."""

from __future__ import annotations

from tests.providers.world import Case, World

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def secret(world: World) -> str:
    return world.make(SECRET, {"recoveryWindowInDays": 0}).id


CASES = [
    Case(
        SECRET,
        lambda world: {
            "name": f"watoto/database/{world.number()}",
            "description": "Owner of the database",
            "kmsKeyId": KEY,
            "recoveryWindowInDays": 0,
            "tags": {"Name": "watoto"},
        },
        updates={
            "description": "The database's owner",
            "kmsKeyId": KEY.replace("1111", "6666"),
            "recoveryWindowInDays": 30,
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"name": "another"},
        listing=("list_secrets", "SecretList"),
    ),
    Case(
        VERSION,
        lambda world: {
            "secretId": secret(world),
            "secretString": "made up for this test",
            "versionStages": ["AWSCURRENT"],
        },
        updates={"versionStages": ["AWSCURRENT", "REVIEWED"]},
        replaces={"secretString": "another made up one", "secretId": secret},
        deletable=False,
    ),
]
