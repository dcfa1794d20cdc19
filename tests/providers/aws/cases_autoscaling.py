"""Promises of launch templates and Auto Scaling."""

from __future__ import annotations

import base64
from typing import Any

from tests.providers.aws.cases_ec2 import group as security_group
from tests.providers.aws.cases_ec2 import subnets
from tests.providers.aws.cases_elbv2 import new_targets, targets
from tests.providers.aws.cases_iam import PROFILE, role
from tests.providers.world import Case, World

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
POLICY = "aws:autoscaling/policy:Policy"

TAGS = {"Name": "main", "stage": "test"}
IMAGE = "ami-12c6146b"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def disk(size: int) -> list[dict[str, Any]]:
    ebs = {"volumeType": "gp3", "volumeSize": size, "encrypted": "true", "deleteOnTermination": "true"}
    return [{"deviceName": "/dev/xvda", "ebs": ebs}]


def profile_arn(world: World) -> str:
    return str(world.make(PROFILE, role=role(world))["arn"])


def template_inputs(world: World) -> dict[str, Any]:
    return {
        "description": "An app server",
        "imageId": IMAGE,
        "instanceType": "t3.small",
        "userData": encoded("#cloud-config"),
        "vpcSecurityGroupIds": [security_group(world)],
        "iamInstanceProfile": {"arn": world.shared("profile arn", profile_arn)},
        "monitoring": {"enabled": True},
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 2,
            "instanceMetadataTags": "enabled",
        },
        "blockDeviceMappings": disk(20),
        "tagSpecifications": [
            {"resourceType": "instance", "tags": TAGS},
            {"resourceType": "volume", "tags": TAGS},
        ],
        "updateDefaultVersion": True,
        "tags": TAGS,
    }


def template(world: World) -> str:
    return world.make(TEMPLATE, imageId=IMAGE, instanceType="t3.small").id


def new_launch(world: World) -> dict[str, Any]:
    return {"id": template(world), "version": "1"}


def launch(world: World) -> dict[str, Any]:
    return world.shared("launch", new_launch)


def tag(key: str, value: str, at_launch: bool = True) -> dict[str, Any]:
    return {"key": key, "value": value, "propagateAtLaunch": at_launch}


def group_inputs(world: World) -> dict[str, Any]:
    return {
        "minSize": 1,
        "maxSize": 4,
        "desiredCapacity": 2,
        "defaultCooldown": 300,
        "defaultInstanceWarmup": 120,
        "healthCheckType": "ELB",
        "healthCheckGracePeriod": 300,
        "vpcZoneIdentifiers": subnets(world),
        "targetGroupArns": [targets(world)],
        "terminationPolicies": ["OldestLaunchTemplate", "Default"],
        "instanceMaintenancePolicy": {"minHealthyPercentage": 100, "maxHealthyPercentage": 110},
        "instanceRefresh": {
            "strategy": "Rolling",
            "preferences": {"minHealthyPercentage": 90, "instanceWarmup": "120"},
        },
        "waitForCapacityTimeout": "0m",
        "forceDelete": True,
        "launchTemplate": launch(world),
        "tags": [tag("Name", "app"), tag("stage", "test")],
    }


def mixed(world: World) -> dict[str, Any]:
    return {
        "instancesDistribution": {
            "onDemandBaseCapacity": 2,
            "onDemandPercentageAboveBaseCapacity": 25,
            "spotAllocationStrategy": "price-capacity-optimized",
        },
        "launchTemplate": {
            "launchTemplateSpecification": {"launchTemplateId": template(world), "version": "1"},
            "overrides": [{"instanceType": "t3.small"}, {"instanceType": "t3a.small"}],
        },
    }


def mixed_inputs(world: World) -> dict[str, Any]:
    inputs = group_inputs(world)
    del inputs["launchTemplate"], inputs["instanceRefresh"]
    return {**inputs, "capacityRebalance": True, "mixedInstancesPolicy": mixed(world)}


def policy_inputs(world: World) -> dict[str, Any]:
    return {
        "autoscalingGroupName": world.shared("group", lambda one: one.make(GROUP, group_inputs(one)).id),
        "policyType": "TargetTrackingScaling",
        "estimatedInstanceWarmup": 120,
        "targetTrackingConfiguration": {
            "predefinedMetricSpecification": {"predefinedMetricType": "ASGAverageCPUUtilization"},
            "targetValue": 50.0,
        },
    }


CASES = [
    Case(
        TEMPLATE,
        template_inputs,
        updates={
            "imageId": "ami-1e749f67",
            "instanceType": "t3.medium",
            "userData": encoded("#cloud-config\nruncmd: []"),
            "monitoring": None,
            "blockDeviceMappings": disk(40),
            "description": "Another app server",
            "metadataOptions": {"httpTokens": "optional"},
            "updateDefaultVersion": False,
            "tags": {},
        },
        replaces={"name": "fixed"},
        listing=("describe_launch_templates", "LaunchTemplates"),
    ),
    Case(
        GROUP,
        group_inputs,
        updates={
            "minSize": 2,
            "maxSize": 10,
            "desiredCapacity": 3,
            "defaultCooldown": 60,
            "healthCheckType": "EC2",
            "healthCheckGracePeriod": 60,
            "terminationPolicies": ["Default"],
            "instanceMaintenancePolicy": {"minHealthyPercentage": 90, "maxHealthyPercentage": 120},
            "targetGroupArns": lambda world: [new_targets(world)],
            "launchTemplate": new_launch,
            "tags": [tag("Name", "other"), tag("owner", "school", False)],
            "forceDelete": False,
            "instanceRefresh": None,
        },
        replaces={"name": "fixed"},
        simulated_updates=("launchTemplate", "defaultCooldown", "terminationPolicies"),
        listing=("describe_auto_scaling_groups", "AutoScalingGroups"),
    ),
    Case(
        GROUP,
        mixed_inputs,
        updates={"mixedInstancesPolicy": mixed, "capacityRebalance": False},
        simulated_updates=("capacityRebalance",),
    ),
    Case(
        POLICY,
        policy_inputs,
        updates={
            "estimatedInstanceWarmup": 300,
            "targetTrackingConfiguration": {
                "predefinedMetricSpecification": {
                    "predefinedMetricType": "ALBRequestCountPerTarget",
                    "resourceLabel": "app/main/1/targetgroup/main/2",
                },
                "targetValue": 800.0,
                "disableScaleIn": True,
            },
        },
        replaces={"name": "fixed"},
        listing=("describe_policies", "ScalingPolicies"),
    ),
]
