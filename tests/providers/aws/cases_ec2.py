"""EC2's promises."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.world import Case, World

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
EIP = "aws:ec2/eip:Eip"
NAT = "aws:ec2/natGateway:NatGateway"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"

TAGS = {"Name": "main", "stage": "test"}
OTHER_TAGS = {"Name": "renamed", "owner": "school"}


def vpc(world: World) -> str:
    return world.make(VPC, cidrBlock="10.20.0.0/16").id


def subnet(world: World, vpc_id: str = "", zone: str = "us-east-1a", part: int = 1) -> str:
    vpc_id = vpc_id or vpc(world)
    return world.make(SUBNET, vpcId=vpc_id, cidrBlock=f"10.20.{part}.0/24", availabilityZone=zone).id


def group(world: World, vpc_id: str = "") -> str:
    return world.make(GROUP, vpcId=vpc_id or vpc(world), description="a group").id


def table(world: World, vpc_id: str = "") -> str:
    return world.make(TABLE, vpcId=vpc_id or vpc(world)).id


def gateway(world: World, vpc_id: str) -> str:
    return world.make(GATEWAY, vpcId=vpc_id).id


def nat_inputs(world: World) -> dict[str, Any]:
    address = world.make(EIP, domain="vpc")
    return {"subnetId": subnet(world), "allocationId": address["allocationId"], "tags": TAGS}


def route_inputs(world: World) -> dict[str, Any]:
    vpc_id = vpc(world)
    return {
        "routeTableId": table(world, vpc_id),
        "destinationCidrBlock": "0.0.0.0/0",
        "gatewayId": gateway(world, vpc_id),
    }


def association_inputs(world: World) -> dict[str, Any]:
    vpc_id = vpc(world)
    return {"routeTableId": table(world, vpc_id), "subnetId": subnet(world, vpc_id)}


def rule_inputs(world: World) -> dict[str, Any]:
    vpc_id = vpc(world)
    return {
        "securityGroupId": group(world, vpc_id),
        "referencedSecurityGroupId": group(world, vpc_id),
        "ipProtocol": "tcp",
        "fromPort": 5432,
        "toPort": 5432,
        "description": "SQL from the app servers",
        "tags": TAGS,
    }


def endpoint_inputs(world: World) -> dict[str, Any]:
    vpc_id = vpc(world)
    return {
        "vpcId": vpc_id,
        "serviceName": "com.amazonaws.us-east-1.secretsmanager",
        "vpcEndpointType": "Interface",
        "subnetIds": [subnet(world, vpc_id), subnet(world, vpc_id, "us-east-1b", 2)],
        "securityGroupIds": [group(world, vpc_id)],
        "privateDnsEnabled": True,
        "tags": TAGS,
    }


def flow_log_inputs(world: World) -> dict[str, Any]:
    number = world.number()
    role = world.make(
        "aws:iam/role:Role",
        assumeRolePolicy=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    logs = world.provider._clients.get("logs")
    logs.create_log_group(logGroupName=f"/flow/{number}")
    return {
        "vpcId": vpc(world),
        "trafficType": "ALL",
        "logDestinationType": "cloud-watch-logs",
        "logDestination": f"arn:aws:logs:us-east-1:123456789012:log-group:/flow/{number}",
        "iamRoleArn": role["arn"],
        "maxAggregationInterval": 600,
        "tags": TAGS,
    }


CASES = [
    Case(
        VPC,
        lambda _: {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "tags": TAGS},
        updates={"enableDnsHostnames": False, "enableDnsSupport": False, "tags": OTHER_TAGS},
        replaces={"cidrBlock": "10.30.0.0/16", "instanceTenancy": "dedicated"},
    ),
    Case(
        SUBNET,
        lambda world: {
            "vpcId": vpc(world),
            "cidrBlock": "10.20.1.0/24",
            "availabilityZone": "us-east-1b",
            "mapPublicIpOnLaunch": False,
            "tags": TAGS,
        },
        updates={"mapPublicIpOnLaunch": True, "tags": OTHER_TAGS},
        replaces={"cidrBlock": "10.20.2.0/24", "availabilityZone": "us-east-1c", "vpcId": vpc},
    ),
    Case(GATEWAY, lambda world: {"vpcId": vpc(world), "tags": TAGS}, updates={"vpcId": vpc, "tags": OTHER_TAGS}),
    Case(EIP, lambda _: {"domain": "vpc", "tags": TAGS}, updates={"tags": OTHER_TAGS}),
    Case(NAT, nat_inputs, updates={"tags": OTHER_TAGS}, replaces={"subnetId": subnet}),
    Case(TABLE, lambda world: {"vpcId": vpc(world), "tags": TAGS}, updates={"tags": {}}, replaces={"vpcId": vpc}),
    Case(
        ROUTE,
        route_inputs,
        updates={"gatewayId": lambda world: gateway(world, vpc(world))},
        replaces={"destinationCidrBlock": "10.99.0.0/16", "routeTableId": table},
    ),
    Case(ASSOCIATION, association_inputs, replaces={"routeTableId": table, "subnetId": subnet}),
    Case(
        GROUP,
        lambda world: {"vpcId": vpc(world), "description": "The load balancer", "tags": TAGS},
        updates={"tags": OTHER_TAGS, "revokeRulesOnDelete": True},
        replaces={"description": "Another one", "name": "fixed", "vpcId": vpc},
    ),
    *(
        Case(
            type_,
            rule_inputs,
            updates={"fromPort": 5400, "description": "SQL", "tags": OTHER_TAGS},
            replaces={"securityGroupId": group},
        )
        for type_ in (INGRESS, EGRESS)
    ),
    Case(
        DEFAULT_GROUP,
        lambda world: {"vpcId": vpc(world), "tags": TAGS},
        updates={
            "tags": OTHER_TAGS,
            "ingress": [{"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["10.0.0.0/8"]}],
        },
        replaces={"vpcId": vpc},
        deletable=False,
        always_there=True,
    ),
    Case(
        ENDPOINT,
        endpoint_inputs,
        updates={"privateDnsEnabled": False, "tags": OTHER_TAGS},
        replaces={"serviceName": "com.amazonaws.us-east-1.logs"},
        simulated_updates=("privateDnsEnabled",),
    ),
    Case(
        FLOW_LOG,
        flow_log_inputs,
        updates={"tags": OTHER_TAGS},
        replaces={"trafficType": "REJECT", "maxAggregationInterval": 60},
    ),
]
