"""EC2 Auto Scaling: groups and scaling policies."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.clients import NotImplementedByEmulatorError
from watoto_infra.providers.aws.fields import (
    ChangeEffect,
    block,
    block_set,
    blocks,
    flag,
    integer,
    number,
    output,
    string_set,
    strings,
    text,
)
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import update_request
from watoto_infra.providers.aws.table import AutoName, Create, Delete, Dependents, Read, Resource, Update

TEMPLATE = (
    text("id", "LaunchTemplateId", computed=True),
    text("name", "LaunchTemplateName", computed=True),
    text("version", default="$Default"),
)

MIXED = block(
    "mixedInstancesPolicy",
    block(
        "instancesDistribution",
        text("onDemandAllocationStrategy", computed=True),
        integer("onDemandBaseCapacity", computed=True, low=0),
        integer("onDemandPercentageAboveBaseCapacity", computed=True, low=0, high=100),
        text("spotAllocationStrategy", computed=True),
        integer("spotInstancePools", computed=True),
        text("spotMaxPrice"),
        computed=True,
    ),
    block(
        "launchTemplate",
        block(
            "launchTemplateSpecification",
            text("launchTemplateId", computed=True),
            text("launchTemplateName", computed=True),
            text("version", default="$Default"),
        ),
        blocks("overrides", text("instanceType"), text("weightedCapacity")),
    ),
)

REFRESH = block(
    "instanceRefresh",
    text("strategy", default="Rolling", choices=("Rolling",)),
    block(
        "preferences",
        integer("minHealthyPercentage", low=0, high=100),
        integer("maxHealthyPercentage", low=100, high=200),
        text("instanceWarmup", to_api=int),
        flag("autoRollback"),
        flag("skipMatching"),
    ),
    string_set("triggers"),
    behaviour=True,
)


def change_group(operation: Operation, touched: frozenset[str]) -> None:
    """Change the group; new servers for old where the program asks for it and what is launched has changed."""
    change = Update("update_auto_scaling_group", UPDATED, {"AutoScalingGroupName": "{id}"})
    # Sent each time, since moto drops it where it is left out.
    always = {"mixedInstancesPolicy"} if operation.inputs.get("mixedInstancesPolicy") else set()
    operation.call(change.op, **update_request(operation, change, touched | always))
    wanted = operation.inputs.get("instanceRefresh")
    if not wanted or not touched & {"launchTemplate", "mixedInstancesPolicy"}:
        return
    operation.simulated.discard("instanceRefresh")
    given = wanted.get("preferences") or {}
    preferences = {
        one.request_path: one.to_api(given[one.name]) if one.to_api else given[one.name]
        for one in REFRESH.fields[1].fields
        if given.get(one.name) is not None
    }
    try:
        operation.call(
            "start_instance_refresh",
            AutoScalingGroupName=operation.id,
            Strategy=wanted.get("strategy", "Rolling"),
            Preferences=preferences,
        )
    except NotImplementedByEmulatorError:
        operation.simulated.add("instanceRefresh")


def change_target_groups(operation: Operation, _: frozenset[str]) -> None:
    """Register the group with new target groups before it leaves old ones."""
    old = set(operation.state.get("targetGroupArns") or ())
    new = set(operation.inputs.get("targetGroupArns") or ())
    name = operation.id
    if new - old:
        operation.call(
            "attach_load_balancer_target_groups", AutoScalingGroupName=name, TargetGroupARNs=sorted(new - old)
        )
    if old - new:
        operation.call(
            "detach_load_balancer_target_groups", AutoScalingGroupName=name, TargetGroupARNs=sorted(old - new)
        )


def written_tags(tags: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the group's tags, each of which says whether instances get it too."""
    return [{"Key": tag["key"], "Value": tag["value"], "PropagateAtLaunch": tag["propagateAtLaunch"]} for tag in tags]


def change_tags(operation: Operation, _: frozenset[str]) -> None:
    """Write the wanted tags and take the others away."""
    whose = {"ResourceId": operation.id, "ResourceType": "auto-scaling-group"}
    wanted = written_tags(operation.inputs.get("tags") or [])
    kept = {tag["Key"] for tag in wanted}
    gone = [{"Key": tag["key"], **whose} for tag in operation.state.get("tags") or [] if tag["key"] not in kept]
    if wanted:
        operation.call("create_or_update_tags", Tags=[{**tag, **whose} for tag in wanted])
    if gone:
        operation.call("delete_tags", Tags=gone)


def read_tags(tags: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Give the group's tags as Pulumi has them; AWS's own are not shown."""
    mine = [tag for tag in tags or [] if not tag["Key"].startswith("aws:")]
    return [
        {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": bool(tag.get("PropagateAtLaunch"))}
        for tag in mine
    ]


def delete_group(operation: Operation) -> None:
    """Delete the group; unless ``forceDelete``, its instances are told to go first and waited for by AWS."""
    if not operation.state.get("forceDelete"):
        operation.call(
            "update_auto_scaling_group", AutoScalingGroupName=operation.id, MinSize=0, MaxSize=0, DesiredCapacity=0
        )
    operation.call("delete_auto_scaling_group", AutoScalingGroupName=operation.id, ForceDelete=True)


OF_THE_GROUP = {"AutoScalingGroupName": "{id}"}

UPDATED = (
    "minSize",
    "maxSize",
    "desiredCapacity",
    "defaultCooldown",
    "defaultInstanceWarmup",
    "healthCheckType",
    "healthCheckGracePeriod",
    "vpcZoneIdentifiers",
    "terminationPolicies",
    "instanceMaintenancePolicy",
    "launchTemplate",
    "mixedInstancesPolicy",
    "capacityRebalance",
    "maxInstanceLifetime",
    "protectFromScaleIn",
)

GROUP = Resource(
    type="aws:autoscaling/group:Group",
    service="autoscaling",
    fields=(
        text("name", "AutoScalingGroupName", replaces=True),
        integer("minSize", required=True, low=0),
        integer("maxSize", required=True, low=0),
        integer("desiredCapacity", computed=True, low=0),
        integer("defaultCooldown", default=300, low=0),
        integer("defaultInstanceWarmup", unset=-1, low=0, not_reported=True),  # moto does not report it
        text("healthCheckType", default="EC2", choices=("EC2", "ELB")),
        integer("healthCheckGracePeriod", default=300, always=True, low=0),
        string_set(
            "vpcZoneIdentifiers",
            "VPCZoneIdentifier",
            to_api=",".join,
            from_api=lambda joined: sorted(joined.split(",")) if joined else None,
        ),
        string_set("availabilityZones", computed=True, replaces=True),
        string_set("targetGroupArns", "TargetGroupARNs"),
        strings("terminationPolicies", default=["Default"]),
        block(
            "instanceMaintenancePolicy",
            integer("minHealthyPercentage", low=-1, high=100),
            integer("maxHealthyPercentage", low=-1, high=200),
            not_reported=True,  # moto does not report it
        ),
        # moto still reports the template that a mixed policy has taken the place of; AWS has the one or the other.
        block("launchTemplate", *TEMPLATE, read="(!MixedInstancesPolicy && LaunchTemplate) || `null`"),
        MIXED,
        flag("capacityRebalance", default=False),
        integer("maxInstanceLifetime", default=0, low=0),
        flag("protectFromScaleIn", "NewInstancesProtectedFromScaleIn", default=False),
        block_set(
            "tags",
            text("key", required=True),
            text("value", required=True),
            flag("propagateAtLaunch", required=True),
            key="key",
            to_api=written_tags,
            from_api=read_tags,
        ),
        REFRESH,
        text("waitForCapacityTimeout", default="10m", behaviour=True),
        flag("forceDelete", default=False, behaviour=True),
        output("arn", "AutoScalingGroupARN"),
        output("serviceLinkedRoleArn", "ServiceLinkedRoleARN"),
    ),
    create=Create("create_auto_scaling_group", id="{name}"),
    read=(Read("describe_auto_scaling_groups", {"AutoScalingGroupNames": ["{id}"]}, "AutoScalingGroups[0]"),),
    updates=(
        # For every scaling activity after the call; instances that run stay as they are (Auto Scaling API).
        Update("update_auto_scaling_group", UPDATED, do=change_group, on_change=ChangeEffect.AT_ONCE),
        Update("attach_load_balancer_target_groups", ("targetGroupArns",), do=change_target_groups),
        Update("create_or_update_tags", ("tags",), do=change_tags),
    ),
    delete=Delete(do=delete_group, wait=True),
    gone=("AutoScalingGroupNotFound",),
    auto_name=AutoName("name", 255),
    emulator_forgets=frozenset({"capacityRebalance", "defaultCooldown", "terminationPolicies"}),
    dependents=(
        Dependents(
            "aws:autoscaling/policy:Policy", "arn", "describe_policies", OF_THE_GROUP, "ScalingPolicies[].PolicyARN"
        ),
        Dependents(
            "aws:autoscaling/schedule:Schedule",
            "arn",
            "describe_scheduled_actions",
            OF_THE_GROUP,
            "ScheduledUpdateGroupActions[].ScheduledActionARN",
        ),
        Dependents(
            "aws:autoscaling/lifecycleHook:LifecycleHook",
            "name",
            "describe_lifecycle_hooks",
            OF_THE_GROUP,
            "LifecycleHooks[].LifecycleHookName",
        ),
    ),
)

POLICY_FIELDS = (
    text("policyType", default="SimpleScaling", always=True, choices=("SimpleScaling", "TargetTrackingScaling")),
    text("adjustmentType", choices=("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")),
    integer("scalingAdjustment"),
    integer("cooldown"),
    integer("estimatedInstanceWarmup"),
    block(
        "targetTrackingConfiguration",
        block(
            "predefinedMetricSpecification",
            text("predefinedMetricType", required=True),
            text("resourceLabel"),
        ),
        number("targetValue", required=True),
        flag("disableScaleIn", default=False),
    ),
)

POLICY = Resource(
    type="aws:autoscaling/policy:Policy",
    service="autoscaling",
    fields=(
        text("name", "PolicyName", replaces=True),
        text("autoscalingGroupName", "AutoScalingGroupName", required=True, replaces=True),
        *POLICY_FIELDS,
        output("arn", "PolicyARN"),
    ),
    create=Create("put_scaling_policy", id="{name}"),
    read=(
        Read(
            "describe_policies",
            {"AutoScalingGroupName": "{autoscalingGroupName}", "PolicyNames": ["{id}"]},
            "ScalingPolicies[0]",
        ),
    ),
    updates=(
        Update(
            "put_scaling_policy",
            tuple(one.name for one in POLICY_FIELDS),
            {"PolicyName": "{id}", "AutoScalingGroupName": "{autoscalingGroupName}"},
            whole=True,
        ),
    ),
    delete=Delete("delete_policy", {"AutoScalingGroupName": "{autoscalingGroupName}", "PolicyName": "{id}"}),
    gone=("ValidationError",),
    auto_name=AutoName("name", 255),
    acts_by_itself=True,
)

RESOURCES = (GROUP, POLICY)
