"""The app servers: who they are, what they boot from, how many there are and what scales them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import autoscaling, cloudwatch, ec2

from watoto_infra.components.context import Context
from watoto_infra.components.identity import Access, Identity, IdentityArgs
from watoto_infra.components.user_data import render
from watoto_infra.derived.user_data import UserData
from watoto_infra.settings.app import AppSettings, ScalingKind

GROUP = "watoto-backend-asg"
TEMPLATE = "watoto-backend-template"
_Metric = autoscaling.PolicyTargetTrackingConfigurationPredefinedMetricSpecificationArgsDict

METADATA_HOPS = 2
"""The LMS runs in a container, one network hop further from the metadata service than its instance."""


@dataclass(frozen=True, kw_only=True)
class AppServersArgs:
    """``request_count_label`` names balancer and target group to scaling; ``serving`` is what forwards to the group."""

    context: Context
    settings: AppSettings
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    access: Access
    user_data: UserData[pulumi.Input[str]]
    log_retention_days: int
    target_group_arn: pulumi.Input[str]
    request_count_label: pulumi.Input[str]
    serving: Sequence[pulumi.Resource]


class AppServers(pulumi.ComponentResource):
    """The group `watoto-backend-asg` on the launch template `watoto-backend-template`."""

    group: autoscaling.Group
    template: ec2.LaunchTemplate
    identity: Identity

    def __init__(self, name: str, args: AppServersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:app:AppServers", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        logs = self._make_log_group()
        self.identity = Identity(
            "identity",
            IdentityArgs(context=args.context, access=args.access, log_group_arn=logs.arn),
            self._child,
        )
        self.template = self._make_template()
        self.group = self._make_group()
        if args.settings.scaling.kind is ScalingKind.TARGET_TRACKING:
            self._track_targets()
        self.register_outputs(
            {
                "group_name": self.group.name,
                "role_arn": self.identity.role_arn,
                "launch_template_id": self.template.id,
                "launch_template_version": self.template.latest_version,
            }
        )

    def _make_log_group(self) -> cloudwatch.LogGroup:
        args = self._args
        return cloudwatch.LogGroup(
            "watoto-app",
            name=args.user_data.log_group,
            retention_in_days=args.log_retention_days,
            kms_key_id=args.access.storage.key_arn,
            tags=args.context.tags("watoto-app"),
            opts=self._child,
        )

    def _make_template(self) -> ec2.LaunchTemplate:
        args, settings = self._args, self._args.settings
        tags = args.context.tags("watoto-backend")
        user_data = render(args.user_data)
        return ec2.LaunchTemplate(
            TEMPLATE,
            name=args.context.named(TEMPLATE),
            description="An app server: nginx gateway and the LMS's container",
            image_id=settings.machine_image,
            instance_type=settings.instance_types[0],
            user_data=user_data.apply(lambda text: base64.b64encode(text.encode()).decode()),
            vpc_security_group_ids=[args.security_group_id],
            iam_instance_profile={"arn": self.identity.profile_arn},
            monitoring={"enabled": True},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": METADATA_HOPS,
                "instance_metadata_tags": "enabled",
            },
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_type": "gp3",
                        "volume_size": settings.root_volume_gib,
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            tag_specifications=[
                {"resource_type": "instance", "tags": tags},
                {"resource_type": "volume", "tags": tags},
            ],
            update_default_version=True,
            tags=args.context.tags(TEMPLATE),
            opts=self._child,
        )

    def _make_group(self) -> autoscaling.Group:
        args, settings = self._args, self._args.settings
        return autoscaling.Group(
            GROUP,
            **self._launch(),
            name=args.context.named(GROUP),
            min_size=settings.min_size,
            max_size=settings.max_size,
            desired_capacity=settings.desired,
            default_cooldown=settings.cooldown_seconds,
            default_instance_warmup=settings.scaling.warmup_seconds,
            health_check_type="ELB",
            health_check_grace_period=settings.health_grace_seconds,
            vpc_zone_identifiers=args.subnet_ids,
            target_group_arns=[args.target_group_arn],
            termination_policies=["OldestLaunchTemplate", "Default"],
            instance_maintenance_policy={"min_healthy_percentage": 100, "max_healthy_percentage": 110},
            instance_refresh={
                "strategy": "Rolling",
                "preferences": {"min_healthy_percentage": 90, "instance_warmup": str(settings.scaling.warmup_seconds)},
            },
            wait_for_capacity_timeout=f"{settings.wait_for_capacity_minutes}m",
            force_delete=not args.context.protection,
            tags=[
                {"key": key, "value": value, "propagate_at_launch": True}
                for key, value in args.context.tags("watoto-backend").items()
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                # A server is only healthy once a listener sends it health checks.
                depends_on=list(args.serving),
                ignore_changes=None if settings.holds_desired else ["desiredCapacity"],
            ),
        )

    def _launch(self) -> Mapping[str, Any]:
        """How servers are launched: always a numbered version, since only a new number starts a refresh."""
        settings = self._args.settings
        version = self.template.latest_version.apply(str)
        if settings.spot is None:
            return {"launch_template": {"id": self.template.id, "version": version}}
        return {
            "capacity_rebalance": True,
            "mixed_instances_policy": {
                "instances_distribution": {
                    "on_demand_base_capacity": settings.spot.on_demand_base,
                    "on_demand_percentage_above_base_capacity": settings.spot.on_demand_percent,
                    "spot_allocation_strategy": "price-capacity-optimized",
                },
                "launch_template": {
                    "launch_template_specification": {"launch_template_id": self.template.id, "version": version},
                    "overrides": [{"instance_type": kind} for kind in settings.instance_types],
                },
            },
        }

    def _track_targets(self) -> None:
        scaling = self._args.settings.scaling
        self._policy("cpu", {"predefined_metric_type": "ASGAverageCPUUtilization"}, scaling.cpu_percent)
        if scaling.requests_per_target is not None:
            metric: _Metric = {
                "predefined_metric_type": "ALBRequestCountPerTarget",
                "resource_label": self._args.request_count_label,
            }
            self._policy("requests", metric, scaling.requests_per_target)

    def _policy(self, label: str, metric: _Metric, target: float) -> None:
        autoscaling.Policy(
            f"watoto-backend-{label}",
            autoscaling_group_name=self.group.name,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=self._args.settings.scaling.warmup_seconds,
            target_tracking_configuration={"predefined_metric_specification": metric, "target_value": float(target)},
            opts=self._child,
        )
