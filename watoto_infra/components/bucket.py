"""One private, versioned, encrypted bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from watoto_infra.components.context import Context
from watoto_infra.components.policies import Statement, document, tls_only
from watoto_infra.settings.objectives import DataClass

ABORT_UPLOADS_AFTER_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """Objects below ``prefix`` (all of them when empty): when they go, and when their old versions do; None: never."""

    label: str
    prefix: str = ""
    days: int | None = None
    noncurrent_days: int | None = None


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """``key_arn`` None: S3's own key, for what AWS's log delivery writes. ``data``: set when the bucket bears data.

    ``takes_acls``: CloudFront delivers its logs by ACL; every other bucket has none.
    """

    context: Context
    bucket_name: str
    expiries: Sequence[Expiry]
    key_arn: pulumi.Input[str] | None = None
    data: DataClass | None = None
    takes_acls: bool = False


class Bucket(pulumi.ComponentResource):
    """A bucket with its rules; ``allow`` gives it its policy, ``log_to`` its access log."""

    bucket_name: pulumi.Output[str]
    bucket_urn: pulumi.Output[str]
    arn: pulumi.Output[str]
    domain_name: pulumi.Output[str]

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:storage:Bucket", name, {}, opts)
        self._args = args
        self._label = name
        self._child = pulumi.ResourceOptions(parent=self)
        guarded = args.context.guarded(self) if args.data is not None else self._child
        bucket = s3.Bucket(
            name,
            bucket=args.bucket_name,
            force_destroy=not args.context.protection,
            tags={**args.context.tags(name, args.data), "Name": args.bucket_name},
            opts=guarded,
        )
        self.bucket_name = bucket.bucket
        self.bucket_urn = bucket.urn
        self.arn = bucket.arn
        self.domain_name = bucket.bucket_regional_domain_name
        self._versioning = s3.BucketVersioning(
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=self._child
        )
        self._encrypt()
        self._shut()
        self._expire()
        self.register_outputs({"bucket_name": self.bucket_name, "arn": self.arn, "domain_name": self.domain_name})

    def allow(self, statements: Sequence[Statement] = ()) -> s3.BucketPolicy:
        """Give the bucket its policy: TLS only, and what ``statements`` allow. To be called once for every bucket."""
        return s3.BucketPolicy(
            self._label,
            bucket=self.bucket_name,
            policy=document([*tls_only(self.arn), *statements]),
            # AWS refuses a policy while the access block beside it is being changed.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._access_block]),
        )

    def log_to(self, logs: Bucket, policy: s3.BucketPolicy) -> None:
        """Have each request logged below ``s3/NAME/``; ``policy`` is what lets the log service write there."""
        s3.BucketLogging(
            self._label,
            bucket=self.bucket_name,
            target_bucket=logs.bucket_name,
            target_prefix=f"s3/{self._label}/",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _encrypt(self) -> None:
        how: s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgsDict = (
            {"sse_algorithm": "AES256"}
            if self._args.key_arn is None
            else {"sse_algorithm": "aws:kms", "kms_master_key_id": self._args.key_arn}
        )
        s3.BucketServerSideEncryptionConfiguration(
            self._label,
            bucket=self.bucket_name,
            rules=[
                {
                    "apply_server_side_encryption_by_default": how,
                    "bucket_key_enabled": self._args.key_arn is not None,
                }
            ],
            opts=self._child,
        )

    def _shut(self) -> None:
        self._access_block = s3.BucketPublicAccessBlock(
            self._label,
            bucket=self.bucket_name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        owner = "BucketOwnerPreferred" if self._args.takes_acls else "BucketOwnerEnforced"
        s3.BucketOwnershipControls(
            self._label, bucket=self.bucket_name, rule={"object_ownership": owner}, opts=self._child
        )

    def _expire(self) -> None:
        rules: list[s3.BucketLifecycleConfigurationRuleArgsDict] = [
            {
                "id": "abort-uploads",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "abort_incomplete_multipart_upload": {"days_after_initiation": ABORT_UPLOADS_AFTER_DAYS},
            }
        ]
        rules += [_rule(expiry) for expiry in self._args.expiries]
        s3.BucketLifecycleConfiguration(
            self._label,
            bucket=self.bucket_name,
            rules=rules,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._versioning]),
        )


def _rule(expiry: Expiry) -> s3.BucketLifecycleConfigurationRuleArgsDict:
    rule: s3.BucketLifecycleConfigurationRuleArgsDict = {
        "id": expiry.label,
        "status": "Enabled",
        "filter": {"prefix": expiry.prefix},
    }
    if expiry.days is not None:
        rule["expiration"] = {"days": expiry.days}
    if expiry.noncurrent_days is not None:
        rule["noncurrent_version_expiration"] = {"noncurrent_days": expiry.noncurrent_days}
    return rule
