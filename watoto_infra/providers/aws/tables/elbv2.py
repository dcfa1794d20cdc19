"""Elastic Load Balancing v2: load balancers and target groups. ``elbv2_rules.py`` has listeners and their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from watoto_infra.providers.aws.fields import Field, block, computed_from, flag, integer, output, string_set, text
from watoto_infra.providers.aws.local_addresses import Outputs, Reserve
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import (
    AutoName,
    Call,
    Create,
    Delete,
    Dependents,
    Find,
    Read,
    Resource,
    Tags,
    Update,
)

ELB_TAGS = Tags(
    put=Call("add_tags", {"ResourceArns": ["{id}"], "Tags": "{tags}"}),
    remove=Call("remove_tags", {"ResourceArns": ["{id}"], "TagKeys": "{tag_keys}"}),
)
READ_TAGS = Read("describe_tags", {"ResourceArns": ["{id}"]}, "TagDescriptions[0].Tags", under="Tags")


def attribute(kind: Callable[..., Field], name: str, key: str, **rest: Any) -> Field:
    """Give a property that the service keeps among its key-value attributes, all of which are texts."""
    return kind(name, key, read=f'Attributes."{key}"', at_create=False, **rest)


def attribute_block(name: str, *fields: Field, **rest: Any) -> Field:
    """Give a block whose properties are attributes."""
    return block(name, *fields, read="Attributes", at_create=False, **rest)


def part(kind: Callable[..., Field], name: str, key: str, **rest: Any) -> Field:
    """Give a property of an attribute block."""
    return kind(name, key, read=f'"{key}"', **rest)


def set_attributes(op: str, argument: str) -> Callable[[Operation, frozenset[str]], None]:
    """Give the function that writes changed attributes."""

    def change(operation: Operation, touched: frozenset[str]) -> None:
        pairs = [
            {"Key": key, "Value": str(value).lower() if isinstance(value, bool) else str(value)}
            for entry in operation.entry.fields
            if entry.name in touched
            for key, value in attribute_values(entry, operation.inputs.get(entry.name))
        ]
        operation.call(op, **{argument: operation.id, "Attributes": pairs})

    return change


def attribute_values(entry: Field, value: Any) -> Iterator[tuple[str, Any]]:
    """Give keys and values of a property, its default where the program is silent."""
    value = entry.default if value is None else value
    if value is None:
        return
    if not entry.fields:
        yield entry.api, value
    for item in entry.fields:
        yield from attribute_values(item, value.get(item.name))


def logs(name: str, key: str) -> Field:
    """Give a block that says to which bucket a load balancer writes a kind of log."""
    return attribute_block(
        name,
        part(flag, "enabled", f"{key}.s3.enabled", default=False),
        part(text, "bucket", f"{key}.s3.bucket", computed=True),
        part(text, "prefix", f"{key}.s3.prefix", default=""),
        default={"enabled": False},
    )


BALANCER_ATTRIBUTES = (
    attribute(flag, "enableDeletionProtection", "deletion_protection.enabled", default=False),
    attribute(flag, "dropInvalidHeaderFields", "routing.http.drop_invalid_header_fields.enabled", default=False),
    attribute(
        text,
        "desyncMitigationMode",
        "routing.http.desync_mitigation_mode",
        default="defensive",
        choices=("monitor", "defensive", "strictest"),
    ),
    attribute(flag, "enableHttp2", "routing.http2.enabled", default=True),
    attribute(flag, "preserveHostHeader", "routing.http.preserve_host_header.enabled", default=False),
    attribute(text, "xffHeaderProcessingMode", "routing.http.xff_header_processing.mode", default="append"),
    attribute(flag, "enableWafFailOpen", "waf.fail_open.enabled", default=False),
    attribute(integer, "idleTimeout", "idle_timeout.timeout_seconds", default=60, low=1, high=4000),
    attribute(integer, "clientKeepAlive", "client_keep_alive.seconds", default=3600, low=60, high=604800),
    logs("accessLogs", "access_logs"),
    logs("connectionLogs", "connection_logs"),
)


def local_addresses(_: Mapping[str, Any], reserve: Reserve) -> Outputs:
    """Give where the local balancer answers: a host with its port, since AWS's name has port 80 or 443."""
    return {"dnsName": str(reserve("http"))}


LOAD_BALANCER = Resource(
    type="aws:lb/loadBalancer:LoadBalancer",
    service="elbv2",
    fields=(
        text("name", read="LoadBalancerName", replaces=True),
        flag(
            "internal",
            "Scheme",
            default=False,
            replaces=True,
            to_api=lambda internal: "internal" if internal else "internet-facing",
            from_api=lambda scheme: scheme == "internal",
        ),
        text("loadBalancerType", "Type", default="application", choices=("application",), replaces=True),
        text("ipAddressType", default="ipv4", choices=("ipv4", "dualstack")),
        string_set("subnets", read="AvailabilityZones[].SubnetId"),
        string_set("securityGroups", computed=True),
        *BALANCER_ATTRIBUTES,
        computed_from("arn", "{id}"),
        output("arnSuffix", "LoadBalancerArn", from_api=lambda arn: arn.partition(":loadbalancer/")[2]),
        output("dnsName", "DNSName"),
        output("zoneId", "CanonicalHostedZoneId"),
        output("vpcId"),
    ),
    create=Create("create_load_balancer", id="LoadBalancers[0].LoadBalancerArn"),
    read=(
        Read("describe_load_balancers", {"LoadBalancerArns": ["{id}"]}, "LoadBalancers[0]"),
        Read(
            "describe_load_balancer_attributes",
            {"LoadBalancerArn": "{id}"},
            "Attributes",
            under="Attributes",
            pairs=("Key", "Value"),
        ),
        READ_TAGS,
    ),
    updates=(
        Update("set_subnets", ("subnets",), {"LoadBalancerArn": "{id}"}),
        Update("set_security_groups", ("securityGroups",), {"LoadBalancerArn": "{id}"}),
        Update("set_ip_address_type", ("ipAddressType",), {"LoadBalancerArn": "{id}"}),
        Update(
            "modify_load_balancer_attributes",
            tuple(one.name for one in BALANCER_ATTRIBUTES),
            do=set_attributes("modify_load_balancer_attributes", "LoadBalancerArn"),
        ),
    ),
    delete=Delete("delete_load_balancer", {"LoadBalancerArn": "{id}"}),
    tags=ELB_TAGS,
    find=Find("describe_load_balancers", {"Names": ["{name}"]}, "LoadBalancers[0].LoadBalancerArn"),
    gone=("LoadBalancerNotFound",),
    ready="State.Code=='active'",
    failed="State.Code=='failed'",
    auto_name=AutoName("name", 32),
    local_addresses=local_addresses,
    dependents=(
        Dependents(
            "aws:lb/listener:Listener",
            "arn",
            "describe_listeners",
            {"LoadBalancerArn": "{id}"},
            "Listeners[].ListenerArn",
        ),
    ),
)

GROUP_ATTRIBUTES = (
    attribute(integer, "deregistrationDelay", "deregistration_delay.timeout_seconds", default=300, low=0, high=3600),
    attribute(integer, "slowStart", "slow_start.duration_seconds", default=0, low=0, high=900),
    attribute(
        text,
        "loadBalancingAlgorithmType",
        "load_balancing.algorithm.type",
        default="round_robin",
        choices=("round_robin", "least_outstanding_requests", "weighted_random"),
    ),
    attribute_block(
        "stickiness",
        part(flag, "enabled", "stickiness.enabled", default=False),
        part(text, "type", "stickiness.type", computed=True),
        part(integer, "cookieDuration", "stickiness.lb_cookie.duration_seconds", default=86400),
        default={"enabled": False},
    ),
)

HEALTH_CHECK = block(
    "healthCheck",
    flag("enabled", "HealthCheckEnabled", default=True),
    text("path", "HealthCheckPath", computed=True),
    text("protocol", "HealthCheckProtocol", computed=True),
    text("port", "HealthCheckPort", default="traffic-port"),
    text("matcher", "Matcher.HttpCode", computed=True),
    integer("interval", "HealthCheckIntervalSeconds", default=30, low=5, high=300),
    integer("timeout", "HealthCheckTimeoutSeconds", computed=True, low=2, high=120),
    integer("healthyThreshold", "HealthyThresholdCount", computed=True, low=2, high=10),
    integer("unhealthyThreshold", "UnhealthyThresholdCount", computed=True, low=2, high=10),
    flat=True,
    computed=True,
)

TARGET_GROUP = Resource(
    type="aws:lb/targetGroup:TargetGroup",
    service="elbv2",
    fields=(
        text("name", read="TargetGroupName", replaces=True),
        integer("port", replaces=True, low=1, high=65535),
        text("protocol", replaces=True),
        text("protocolVersion", computed=True, replaces=True),
        text("vpcId", replaces=True),
        text("targetType", default="instance", choices=("instance", "ip", "lambda", "alb"), replaces=True),
        HEALTH_CHECK,
        *GROUP_ATTRIBUTES,
        computed_from("arn", "{id}"),
        output("arnSuffix", "TargetGroupArn", from_api=lambda arn: arn.rpartition(":")[2]),
    ),
    create=Create("create_target_group", id="TargetGroups[0].TargetGroupArn"),
    read=(
        Read("describe_target_groups", {"TargetGroupArns": ["{id}"]}, "TargetGroups[0]"),
        Read(
            "describe_target_group_attributes",
            {"TargetGroupArn": "{id}"},
            "Attributes",
            under="Attributes",
            pairs=("Key", "Value"),
        ),
        READ_TAGS,
    ),
    updates=(
        Update("modify_target_group", ("healthCheck",), {"TargetGroupArn": "{id}"}),
        Update(
            "modify_target_group_attributes",
            tuple(one.name for one in GROUP_ATTRIBUTES),
            do=set_attributes("modify_target_group_attributes", "TargetGroupArn"),
        ),
    ),
    delete=Delete("delete_target_group", {"TargetGroupArn": "{id}"}),
    tags=ELB_TAGS,
    find=Find("describe_target_groups", {"Names": ["{name}"]}, "TargetGroups[0].TargetGroupArn"),
    gone=("TargetGroupNotFound",),
    auto_name=AutoName("name", 32),
)

RESOURCES = (LOAD_BALANCER, TARGET_GROUP)
