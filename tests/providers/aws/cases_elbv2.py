"""Elastic Load Balancing's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.cases_ec2 import group, other_vpc, subnets, vpc
from tests.providers.world import Case, World

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
TARGETS = "aws:lb/targetGroup:TargetGroup"
LISTENER = "aws:lb/listener:Listener"
RULE = "aws:lb/listenerRule:ListenerRule"

TAGS = {"Name": "main", "stage": "test"}
OTHER_TAGS = {"Name": "renamed", "owner": "school"}
FORBIDDEN = {
    "type": "fixed-response",
    "fixedResponse": {"contentType": "text/plain", "messageBody": "Forbidden", "statusCode": "403"},
}
REDIRECT = {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}}


def balancer_inputs(world: World) -> dict[str, Any]:
    return {
        "loadBalancerType": "application",
        "internal": False,
        "subnets": subnets(world),
        "securityGroups": [group(world)],
        "enableDeletionProtection": False,
        "dropInvalidHeaderFields": True,
        "desyncMitigationMode": "defensive",
        "enableHttp2": True,
        "idleTimeout": 60,
        "clientKeepAlive": 3600,
        "accessLogs": {"bucket": "logs", "enabled": True, "prefix": "alb/access"},
        "connectionLogs": {"bucket": "logs", "enabled": True, "prefix": "alb/connection"},
        "tags": TAGS,
    }


def new_balancer(world: World) -> str:
    return world.make(BALANCER, balancer_inputs(world)).id


def balancer(world: World) -> str:
    return world.shared("balancer", new_balancer)


def free_port(world: World) -> int:
    return 10_000 + world.number() % 50_000


def target_inputs(world: World) -> dict[str, Any]:
    return {
        "vpcId": vpc(world),
        "port": 8080,
        "protocol": "HTTP",
        "targetType": "instance",
        "loadBalancingAlgorithmType": "least_outstanding_requests",
        "deregistrationDelay": 30,
        "slowStart": 30,
        "healthCheck": {
            "enabled": True,
            "path": "/readyz",
            "protocol": "HTTP",
            "port": "traffic-port",
            "matcher": "200",
            "interval": 10,
            "timeout": 5,
            "unhealthyThreshold": 3,
            "healthyThreshold": 2,
        },
        "tags": TAGS,
    }


def new_targets(world: World) -> str:
    return world.make(TARGETS, target_inputs(world)).id


def targets(world: World) -> str:
    return world.shared("targets", new_targets)


def forward(world: World) -> list[dict[str, Any]]:
    return [{"type": "forward", "targetGroupArn": targets(world)}]


def new_listener(world: World) -> str:
    inputs = {"loadBalancerArn": balancer(world), "port": free_port(world), "protocol": "HTTP"}
    return world.make(LISTENER, inputs, defaultActions=[FORBIDDEN]).id


def listener(world: World) -> str:
    return world.shared("listener", new_listener)


def certificate(world: World) -> str:
    answer = world.provider._clients.get("acm").request_certificate(DomainName=f"school{world.number()}.example")
    return str(answer["CertificateArn"])


def from_cdn(value: str) -> list[dict[str, Any]]:
    return [{"httpHeader": {"httpHeaderName": "X-Origin-Verify", "values": [value]}}]


CASES = [
    Case(
        BALANCER,
        balancer_inputs,
        updates={
            "idleTimeout": 120,
            "enableDeletionProtection": True,
            "dropInvalidHeaderFields": False,
            "desyncMitigationMode": "strictest",
            "accessLogs": {"bucket": "other", "enabled": True, "prefix": "alb/access"},
            "connectionLogs": None,
            "tags": OTHER_TAGS,
        },
        replaces={"internal": True, "name": "fixed"},
        listing=("describe_load_balancers", "LoadBalancers"),
    ),
    Case(
        TARGETS,
        target_inputs,
        updates={
            "healthCheck": {"path": "/healthz", "interval": 20, "matcher": "200-204"},
            "deregistrationDelay": 60,
            "slowStart": None,
            "loadBalancingAlgorithmType": None,
            "tags": OTHER_TAGS,
        },
        replaces={"port": 9090, "vpcId": other_vpc, "name": "fixed", "targetType": "ip"},
        listing=("describe_target_groups", "TargetGroups"),
    ),
    Case(
        TARGETS,
        lambda world: {
            **target_inputs(world),
            "targetType": "ip",
            "stickiness": {"type": "lb_cookie", "enabled": True},
        },
        updates={
            "healthCheck": {"path": "/healthz", "interval": 20, "matcher": "200-204"},
            "deregistrationDelay": 60,
            "stickiness": {"type": "lb_cookie", "enabled": False},
            "tags": OTHER_TAGS,
        },
        replaces={"targetType": None, "port": 9090},
    ),
    Case(
        LISTENER,
        lambda world: {
            "loadBalancerArn": balancer(world),
            "port": free_port(world),
            "protocol": "HTTP",
            "defaultActions": forward(world),
            "tags": TAGS,
        },
        updates={"port": free_port, "defaultActions": [REDIRECT], "tags": OTHER_TAGS},
        replaces={"loadBalancerArn": new_balancer},
    ),
    Case(
        LISTENER,
        lambda world: {
            "loadBalancerArn": balancer(world),
            "port": free_port(world),
            "protocol": "HTTPS",
            "certificateArn": certificate(world),
            "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "defaultActions": [FORBIDDEN],
        },
        updates={
            "certificateArn": certificate,
            "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
            "defaultActions": forward,
        },
    ),
    Case(
        RULE,
        lambda world: {
            "listenerArn": listener(world),
            "priority": world.number(),
            "actions": forward(world),
            "conditions": from_cdn("secret"),
            "tags": TAGS,
        },
        updates={
            "priority": World.number,
            "actions": [REDIRECT],
            "conditions": [*from_cdn("other"), {"pathPattern": {"values": ["/api/*"]}}],
            "tags": OTHER_TAGS,
        },
        replaces={"listenerArn": new_listener},
    ),
]
