"""The four buckets: uploaded media, static assets, backups and logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import s3

from watoto_infra.components.bucket import Bucket, BucketArgs, Expiry
from watoto_infra.components.context import Context
from watoto_infra.components.policies import Statement
from watoto_infra.settings.objectives import DataClass
from watoto_infra.settings.storage import StorageSettings


class BucketRole(StrEnum):
    """What a bucket is for; its name is ``watoto-ROLE``."""

    MEDIA = "media"
    STATIC = "static"
    BACKUPS = "backups"
    LOGS = "logs"


LOGGED = (BucketRole.MEDIA, BucketRole.STATIC, BucketRole.BACKUPS)
"""Buckets whose requests are logged, each below its own prefix of the logs bucket."""

BACKUP_PREFIXES = ("database/", "application/")
"""What expires in the backups bucket. The WAL repository beside them never does: old base backups need it."""


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """Names, lifetimes and the key that everything in the buckets is encrypted with."""

    context: Context
    settings: StorageSettings
    key_arn: pulumi.Input[str]


class Storage(pulumi.ComponentResource):
    """All buckets. The static bucket's policy is left to whoever knows the distribution that may read it."""

    buckets: Mapping[BucketRole, Bucket]
    logs_policy: s3.BucketPolicy

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:storage:Storage", name, {}, opts)
        self._args = args
        kept = args.settings
        old_versions = Expiry(label="old-versions", noncurrent_days=kept.noncurrent_days)
        backups = [
            Expiry(
                label=f"expire-{prefix.rstrip('/')}",
                prefix=prefix,
                days=kept.backup_retention_days,
                noncurrent_days=kept.noncurrent_days,
            )
            for prefix in BACKUP_PREFIXES
        ]
        logs = Expiry(label="expire-logs", days=kept.log_retention_days, noncurrent_days=1)
        self.buckets = {
            BucketRole.MEDIA: self._bucket(BucketRole.MEDIA, [old_versions], data=DataClass.IMPORTANT),
            BucketRole.STATIC: self._bucket(BucketRole.STATIC, [old_versions]),
            BucketRole.BACKUPS: self._bucket(BucketRole.BACKUPS, backups, data=DataClass.CRITICAL),
            BucketRole.LOGS: self._bucket(BucketRole.LOGS, [logs], encrypted_by_us=False),
        }
        self.logs_policy = self.buckets[BucketRole.LOGS].allow(_log_delivery(self.buckets[BucketRole.LOGS].arn))
        for role in (BucketRole.MEDIA, BucketRole.BACKUPS):
            self.buckets[role].allow()
        for role in LOGGED:
            self.buckets[role].log_to(self.buckets[BucketRole.LOGS], self.logs_policy)
        self.register_outputs({"names": {role.value: bucket.bucket_name for role, bucket in self.buckets.items()}})

    def _bucket(
        self, role: BucketRole, expiries: list[Expiry], *, data: DataClass | None = None, encrypted_by_us: bool = True
    ) -> Bucket:
        args = self._args
        return Bucket(
            f"watoto-{role.value}",
            BucketArgs(
                context=args.context,
                bucket_name=f"{args.context.named(f'watoto-{role.value}')}{args.settings.bucket_suffix}",
                expiries=expiries,
                key_arn=args.key_arn if encrypted_by_us else None,
                data=data,
                takes_acls=role is BucketRole.LOGS,
            ),
            pulumi.ResourceOptions(parent=self),
        )


def _log_delivery(bucket_arn: pulumi.Output[str]) -> list[Statement]:
    """Let load balancers and S3 itself write their access logs, each below its own prefix."""
    writers = {"LoadBalancer": ("logdelivery.elasticloadbalancing.amazonaws.com", "/alb/*")}
    for role in LOGGED:
        writers[role.value.title()] = ("logging.s3.amazonaws.com", f"/s3/watoto-{role.value}/*")
    return [
        {
            "Sid": f"{sid}Logs",
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "s3:PutObject",
            "Resource": pulumi.Output.concat(bucket_arn, path),
        }
        for sid, (service, path) in writers.items()
    ]
