"""The promises of what a bucket is told to do."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.world import Case, World

RULE = "aws:s3/bucket{0}:Bucket{0}"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def bucket(world: World) -> str:
    return world.make("aws:s3/bucket:Bucket").id


def policy(name: str, *allowed: str) -> str:
    """Give a policy by which S3 may deliver logs; without one S3 refuses a bucket as the target of logs."""
    statement = {
        "Sid": "Logs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": ["s3:PutObject", *allowed],
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def with_policy(world: World) -> dict[str, Any]:
    name = bucket(world)
    return {"bucket": name, "policy": policy(name)}


def log_target(world: World) -> str:
    made = with_policy(world)
    world.make(RULE.format("Policy"), made)
    return str(made["bucket"])


def expire(label: str, prefix: str, days: int) -> dict[str, Any]:
    return {
        "id": label,
        "status": "Enabled",
        "filter": {"prefix": prefix},
        "expiration": {"days": days},
        "noncurrentVersionExpiration": {"noncurrentDays": 90},
    }


ABORT = {
    "id": "abort-uploads",
    "status": "Enabled",
    "filter": {"prefix": ""},
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
}
TO_COLD = {
    "id": "cold",
    "status": "Enabled",
    "filter": {"prefix": "old/"},
    "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}, {"days": 90, "storageClass": "GLACIER"}],
    "noncurrentVersionTransitions": [{"noncurrentDays": 30, "storageClass": "STANDARD_IA"}],
}


def encrypted(algorithm: str, key: str | None = None) -> list[dict[str, Any]]:
    default = {"sseAlgorithm": algorithm} | ({"kmsMasterKeyId": key} if key else {})
    return [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": key is not None}]


CASES = [
    Case(
        RULE.format("Versioning"),
        lambda world: {"bucket": bucket(world), "versioningConfiguration": {"status": "Enabled"}},
        updates={"versioningConfiguration": {"status": "Suspended"}},
        replaces={"bucket": bucket},
        deletable=False,
    ),
    Case(
        RULE.format("LifecycleConfiguration"),
        lambda world: {"bucket": bucket(world), "rules": [ABORT, expire("database", "database/", 30), TO_COLD]},
        updates={"rules": [ABORT, expire("database", "database/", 14), expire("application", "application/", 30)]},
        replaces={"bucket": bucket},
    ),
    Case(
        RULE.format("ServerSideEncryptionConfiguration"),
        lambda world: {"bucket": bucket(world), "rules": encrypted("aws:kms", KEY)},
        updates={"rules": encrypted("AES256")},
        replaces={"bucket": bucket},
    ),
    Case(
        RULE.format("PublicAccessBlock"),
        lambda world: {
            "bucket": bucket(world),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        updates={"blockPublicPolicy": False, "restrictPublicBuckets": None},
        replaces={"bucket": bucket},
    ),
    Case(
        RULE.format("OwnershipControls"),
        lambda world: {"bucket": bucket(world), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        updates={"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        replaces={"bucket": bucket},
    ),
    Case(
        RULE.format("Policy"),
        with_policy,
        updates={"policy": policy("another", "s3:PutObjectTagging")},
        replaces={"bucket": bucket},
    ),
    Case(
        RULE.format("Logging"),
        lambda world: {"bucket": bucket(world), "targetBucket": log_target(world), "targetPrefix": "s3/media/"},
        updates={"targetPrefix": "s3/static/", "targetBucket": log_target},
        replaces={"bucket": bucket},
    ),
]
