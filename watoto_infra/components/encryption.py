"""The key that database, cache, broker, buckets, secrets and logs are encrypted with."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import kms

from watoto_infra.components.context import Context
from watoto_infra.components.policies import Statement, document
from watoto_infra.settings.objectives import DataClass
from watoto_infra.settings.storage import EncryptionSettings


@dataclass(frozen=True, kw_only=True)
class EncryptionArgs:
    """Rotation and deletion of the key, and the account whose policies decide who may use it."""

    context: Context
    settings: EncryptionSettings
    account_id: pulumi.Input[str]


class Encryption(pulumi.ComponentResource):
    """A customer managed key that rotates, and its alias. Without the key, what it encrypted is lost: it bears data."""

    key_arn: pulumi.Output[str]
    key_urn: pulumi.Output[str]
    alias: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:security:Encryption", name, {}, opts)
        key = kms.Key(
            "watoto",
            description="Encrypts what Watoto keeps",
            enable_key_rotation=True,
            deletion_window_in_days=args.settings.deletion_window_days,
            policy=document(_statements(args)),
            tags=args.context.tags("watoto", DataClass.CRITICAL),
            opts=args.context.guarded(self),
        )
        alias = kms.Alias(
            "watoto",
            name=f"alias/{args.context.named('watoto')}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.key_arn = key.arn
        self.key_urn = key.urn
        self.alias = alias.name
        self.register_outputs({"key_arn": self.key_arn, "alias": self.alias})


def _statements(args: EncryptionArgs) -> list[Statement]:
    """The account rules its key through IAM; CloudWatch Logs and this account's distributions may use it."""
    root = pulumi.Output.concat("arn:aws:iam::", args.account_id, ":root")
    region = args.context.region
    logs = pulumi.Output.concat(f"arn:aws:logs:{region}:", args.account_id, ":log-group:*")
    distributions = pulumi.Output.concat("arn:aws:cloudfront::", args.account_id, ":distribution/*")
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    return [
        {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"},
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": use,
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
        },
        {
            "Sid": "Edge",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {"ArnLike": {"aws:SourceArn": distributions}},
        },
    ]
