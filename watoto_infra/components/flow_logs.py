"""Records of what was sent in the VPC."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, ec2, iam

from watoto_infra.components.context import Context
from watoto_infra.components.policies import assumed_by, document


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """What is logged, and how long it is kept."""

    context: Context
    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    retention_days: int


class FlowLogs(pulumi.ComponentResource):
    """Flow logs of all traffic, in an encrypted log group."""

    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:network:FlowLogs", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.context.tags("watoto-flow-logs")
        group = cloudwatch.LogGroup(
            "watoto-flow-logs",
            name=f"/watoto/{args.context.stack}/flow-logs",
            retention_in_days=args.retention_days,
            kms_key_id=args.key_arn,
            tags=tags,
            opts=child,
        )
        role = iam.Role(
            "watoto-flow-logs",
            description="Writes the VPC's flow logs",
            assume_role_policy=assumed_by("vpc-flow-logs.amazonaws.com"),
            force_detach_policies=True,
            tags=tags,
            opts=child,
        )
        write = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams"]
        policy = iam.RolePolicy(
            "watoto-flow-logs",
            role=role.name,
            policy=document(
                [{"Effect": "Allow", "Action": write, "Resource": [group.arn, pulumi.Output.concat(group.arn, ":*")]}]
            ),
            opts=child,
        )
        ec2.FlowLog(
            "watoto",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=600,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.log_group_name = group.name
        self.register_outputs({"log_group_name": self.log_group_name})
