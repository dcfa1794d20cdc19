"""Who the LMS is to AWS, on instances of its own or in pods, and what it may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from watoto_infra.components.context import Context
from watoto_infra.components.policies import Statement, assumed_by, document

MANAGED_POLICIES = {
    "registry": "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly",
}
"""Pulling images."""

SESSION = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
"""A shell through Session Manager instead of SSH. AWS's managed policy for it would let servers read any parameter."""


@dataclass(frozen=True, kw_only=True)
class StorageAccess:
    """The buckets that the LMS reads and writes, and the key of what is in them."""

    media_arn: pulumi.Input[str]
    backups_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Access:
    """What an instance may reach: besides storage what it reads when it boots."""

    storage: StorageAccess
    secret_arns: Sequence[pulumi.Input[str]]
    parameters_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """What app servers may read and write, and the log group that they write to."""

    context: Context
    access: Access
    log_group_arn: pulumi.Input[str]


class Identity(pulumi.ComponentResource):
    """The app servers' role and instance profile."""

    role_arn: pulumi.Output[str]
    profile_arn: pulumi.Output[str]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:security:Identity", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.context.tags("watoto-backend")
        role = iam.Role(
            "watoto-backend",
            description="The LMS's app servers",
            assume_role_policy=assumed_by("ec2.amazonaws.com"),
            force_detach_policies=True,
            tags=tags,
            opts=child,
        )
        iam.RolePolicy("watoto-backend", role=role.name, policy=document(_statements(args)), opts=child)
        for label, policy_arn in MANAGED_POLICIES.items():
            iam.RolePolicyAttachment(f"watoto-backend-{label}", role=role.name, policy_arn=policy_arn, opts=child)
        profile = iam.InstanceProfile("watoto-backend", role=role.name, tags=tags, opts=child)
        self.role_arn = role.arn
        self.profile_arn = profile.arn
        self.register_outputs({"role_arn": self.role_arn, "profile_arn": self.profile_arn})


def storage_statements(access: StorageAccess) -> list[Statement]:
    """Allow what the LMS itself does, wherever it runs."""
    below = "/*"
    return [
        {
            "Sid": "Media",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            "Resource": pulumi.Output.concat(access.media_arn, below),
        },
        {"Sid": "MediaList", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": access.media_arn},
        {
            "Sid": "ApplicationBackups",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": pulumi.Output.concat(access.backups_arn, "/application/*"),
        },
        {
            "Sid": "Key",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": access.key_arn,
        },
    ]


def _statements(args: IdentityArgs) -> list[Statement]:
    access = args.access
    return [
        *storage_statements(access.storage),
        {
            "Sid": "Secrets",
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": list(access.secret_arns),
        },
        {
            "Sid": "Parameters",
            "Effect": "Allow",
            "Action": "ssm:GetParametersByPath",
            "Resource": [access.parameters_arn, pulumi.Output.concat(access.parameters_arn, "/*")],
        },
        {"Sid": "Session", "Effect": "Allow", "Action": list(SESSION), "Resource": "*"},
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": pulumi.Output.concat(args.log_group_arn, ":*"),
        },
    ]
