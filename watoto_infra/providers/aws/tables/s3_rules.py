"""S3: what a bucket is told to do, each a resource of its own with the bucket's name as its id.

S3 has one document per kind and bucket, so every change sends the whole document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.aws.fields import Field, block, block_set, blocks, flag, integer, json_text, text
from watoto_infra.providers.aws.table import Create, Delete, Read, Resource, Update

OF_THE_BUCKET = {"Bucket": "{id}"}
STATUS = ("Enabled", "Disabled")


def rules_of_a_bucket(
    token: str,
    *fields: Field,
    put: str,
    get: str,
    delete: Delete,
    item: str = "@",
    gone: tuple[str, ...] = (),
    gone_when: str = "",
    args: Mapping[str, Any] | None = None,
    acts_by_itself: bool = False,
) -> Resource:
    """Give the entry of one kind of document; ``gone`` is S3's code for a bucket without one."""
    return Resource(
        type=f"aws:s3/{token[0].lower()}{token[1:]}:{token}",
        service="s3",
        fields=(text("bucket", required=True, replaces=True, computed_from="{id}"), *fields),
        create=Create(put, args or {}, id="{bucket}"),
        read=(Read(get, OF_THE_BUCKET, item),),
        updates=(Update(put, tuple(one.name for one in fields), {**OF_THE_BUCKET, **(args or {})}, whole=True),),
        delete=delete,
        gone=("NoSuchBucket", *gone),
        gone_when=gone_when,
        acts_by_itself=acts_by_itself,
    )


VERSIONING = rules_of_a_bucket(
    "BucketVersioning",
    block(
        "versioningConfiguration",
        text("status", required=True, choices=("Enabled", "Suspended", "Disabled")),
        required=True,
        read="@",
    ),
    put="put_bucket_versioning",
    get="get_bucket_versioning",
    # A bucket that has had versions keeps them: S3 can only stop making new ones.
    delete=Delete("put_bucket_versioning", {**OF_THE_BUCKET, "VersioningConfiguration": {"Status": "Suspended"}}),
    gone_when="!Status",
)

LIFECYCLE = rules_of_a_bucket(
    "BucketLifecycleConfiguration",
    block_set(
        "rules",
        text("id", "ID", required=True),
        text("status", required=True, choices=STATUS),
        block(
            "filter",
            text("prefix"),
            integer("objectSizeGreaterThan"),
            integer("objectSizeLessThan"),
        ),
        block("expiration", integer("days"), flag("expiredObjectDeleteMarker", default=False)),
        block(
            "noncurrentVersionExpiration",
            integer("noncurrentDays", required=True),
            integer("newerNoncurrentVersions"),
        ),
        block_set("transitions", integer("days"), text("storageClass", required=True), key="storageClass"),
        block_set(
            "noncurrentVersionTransitions",
            integer("noncurrentDays", required=True),
            text("storageClass", required=True),
            key="storageClass",
        ),
        block("abortIncompleteMultipartUpload", integer("daysAfterInitiation")),
        api="LifecycleConfiguration.Rules",
        read="Rules",
        key="id",
        required=True,
    ),
    put="put_bucket_lifecycle_configuration",
    get="get_bucket_lifecycle_configuration",
    delete=Delete("delete_bucket_lifecycle", OF_THE_BUCKET),
    gone=("NoSuchLifecycleConfiguration",),
)

ENCRYPTION = rules_of_a_bucket(
    "BucketServerSideEncryptionConfiguration",
    blocks(
        "rules",
        block(
            "applyServerSideEncryptionByDefault",
            text("sseAlgorithm", "SSEAlgorithm", required=True, choices=("AES256", "aws:kms", "aws:kms:dsse")),
            text("kmsMasterKeyId", "KMSMasterKeyID"),
            api="ApplyServerSideEncryptionByDefault",
        ),
        flag("bucketKeyEnabled", default=False),
        api="ServerSideEncryptionConfiguration.Rules",
        required=True,
    ),
    put="put_bucket_encryption",
    get="get_bucket_encryption",
    delete=Delete("delete_bucket_encryption", OF_THE_BUCKET),
    gone=("ServerSideEncryptionConfigurationNotFoundError",),
)

BLOCKED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

PUBLIC_ACCESS_BLOCK = rules_of_a_bucket(
    "BucketPublicAccessBlock",
    *(
        flag(name, f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}", default=False, always=True)
        for name in BLOCKED
    ),
    put="put_public_access_block",
    get="get_public_access_block",
    delete=Delete("delete_public_access_block", OF_THE_BUCKET),
    gone=("NoSuchPublicAccessBlockConfiguration",),
)

OWNERSHIP = rules_of_a_bucket(
    "BucketOwnershipControls",
    block(
        "rule",
        text(
            "objectOwnership",
            required=True,
            choices=("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"),
        ),
        api="OwnershipControls.Rules",
        read="OwnershipControls.Rules[0]",
        required=True,
        to_api=lambda rule: [{"ObjectOwnership": rule["objectOwnership"]}],
    ),
    put="put_bucket_ownership_controls",
    get="get_bucket_ownership_controls",
    delete=Delete("delete_bucket_ownership_controls", OF_THE_BUCKET),
    gone=("OwnershipControlsNotFoundError",),
)

POLICY = rules_of_a_bucket(
    "BucketPolicy",
    json_text("policy", required=True),
    put="put_bucket_policy",
    get="get_bucket_policy",
    delete=Delete("delete_bucket_policy", OF_THE_BUCKET),
    gone=("NoSuchBucketPolicy",),
)

LOGGING = rules_of_a_bucket(
    "BucketLogging",
    text("targetBucket", "BucketLoggingStatus.LoggingEnabled.TargetBucket", read="TargetBucket", required=True),
    text("targetPrefix", "BucketLoggingStatus.LoggingEnabled.TargetPrefix", read="TargetPrefix", required=True),
    put="put_bucket_logging",
    get="get_bucket_logging",
    item="LoggingEnabled",
    delete=Delete("put_bucket_logging", {**OF_THE_BUCKET, "BucketLoggingStatus": {}}),
    acts_by_itself=True,
)

RESOURCES = (VERSIONING, LIFECYCLE, ENCRYPTION, PUBLIC_ACCESS_BLOCK, OWNERSHIP, POLICY, LOGGING)
