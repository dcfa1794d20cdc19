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


def new_vpc(world: World) -> str:
    return world.make(VPC, cidrBlock="10.20.0.0/16").id


def vpc(world: World) -> str:
    """Give the VPC that all tests share."""
    return world.shared("vpc", new_vpc)


def other_vpc(world: World) -> str:
    return world.shared("other vpc", new_vpc)


def free_range(world: World) -> str:
    """Give a range of the shared VPC that no other subnet has."""
    number = world.number() % 2048
    return f"10.20.{number // 16}.{number % 16 * 16}/28"


def new_subnet(world: World, zone: str = "us-east-1a") -> str:
    return world.make(SUBNET, vpcId=vpc(world), cidrBlock=free_range(world), availabilityZone=zone).id


def subnets(world: World) -> list[str]:
    """Give two shared subnets, large enough for the servers of every test."""
    ranges = {"us-east-1a": "10.20.128.0/18", "us-east-1b": "10.20.192.0/18"}
    return world.shared(
        "subnets",
        lambda one: [
            one.make(SUBNET, vpcId=vpc(one), cidrBlock=cidr, availabilityZone=zone).id for zone, cidr in ranges.items()
        ],
    )


def new_group(world: World) -> str:
    return world.make(GROUP, vpcId=vpc(world), description="a group").id


def group(world: World) -> str:
    return world.shared("security group", new_group)


def table(world: World, vpc_id: str = "") -> str:
    return world.make(TABLE, vpcId=vpc_id or vpc(world)).id


def gateway(world: World, vpc_id: str) -> str:
    return world.make(GATEWAY, vpcId=vpc_id).id


def nat_inputs(world: World) -> dict[str, Any]:
    address = world.make(EIP, domain="vpc")
    return {"subnetId": subnets(world)[0], "allocationId": address["allocationId"], "tags": TAGS}


def route_inputs(world: World) -> dict[str, Any]:
    vpc_id = new_vpc(world)
    return {
        "routeTableId": table(world, vpc_id),
        "destinationCidrBlock": "0.0.0.0/0",
        "gatewayId": gateway(world, vpc_id),
    }


def association_inputs(world: World) -> dict[str, Any]:
    return {"routeTableId": table(world), "subnetId": new_subnet(world)}


def rule_inputs(world: World) -> dict[str, Any]:
    return {
        "securityGroupId": new_group(world),
        "referencedSecurityGroupId": group(world),
        "ipProtocol": "tcp",
        "fromPort": 5432,
        "toPort": 5432,
        "description": "SQL from the app servers",
        "tags": TAGS,
    }


def endpoint_inputs(world: World) -> dict[str, Any]:
    return {
        "vpcId": vpc(world),
        "serviceName": "com.amazonaws.us-east-1.secretsmanager",
        "vpcEndpointType": "Interface",
        "subnetIds": subnets(world),
        "securityGroupIds": [group(world)],
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
        listing=("describe_vpcs", "Vpcs"),
    ),
    Case(
        SUBNET,
        lambda world: {
            "vpcId": vpc(world),
            "cidrBlock": free_range(world),
            "availabilityZone": "us-east-1b",
            "mapPublicIpOnLaunch": False,
            "tags": TAGS,
        },
        updates={"mapPublicIpOnLaunch": True, "tags": OTHER_TAGS},
        replaces={"cidrBlock": "10.20.255.0/24", "availabilityZone": "us-east-1c", "vpcId": other_vpc},
        listing=("describe_subnets", "Subnets"),
    ),
    Case(
        GATEWAY,
        lambda world: {"vpcId": new_vpc(world), "tags": TAGS},
        updates={"vpcId": new_vpc, "tags": OTHER_TAGS},
        listing=("describe_internet_gateways", "InternetGateways"),
    ),
    Case(
        EIP,
        lambda _: {"domain": "vpc", "tags": TAGS},
        updates={"tags": OTHER_TAGS},
        listing=("describe_addresses", "Addresses"),
    ),
    Case(
        NAT,
        nat_inputs,
        updates={"tags": OTHER_TAGS},
        replaces={"subnetId": new_subnet},
        listing=("describe_nat_gateways", "NatGateways"),
    ),
    Case(
        TABLE,
        lambda world: {"vpcId": vpc(world), "tags": TAGS},
        updates={"tags": {}},
        replaces={"vpcId": other_vpc},
        listing=("describe_route_tables", "RouteTables"),
    ),
    Case(
        ROUTE,
        route_inputs,
        updates={"gatewayId": lambda world: gateway(world, new_vpc(world))},
        replaces={"destinationCidrBlock": "10.99.0.0/16", "routeTableId": table},
    ),
    Case(ASSOCIATION, association_inputs, replaces={"routeTableId": table, "subnetId": new_subnet}),
    Case(
        GROUP,
        lambda world: {"vpcId": vpc(world), "description": "The load balancer", "tags": TAGS},
        updates={"tags": OTHER_TAGS, "revokeRulesOnDelete": True},
        replaces={"description": "Another one", "name": "fixed", "vpcId": other_vpc},
        listing=("describe_security_groups", "SecurityGroups"),
    ),
    *(
        Case(
            type_,
            rule_inputs,
            updates={"fromPort": 5400, "description": "SQL", "tags": OTHER_TAGS},
            replaces={"securityGroupId": new_group},
            listing=("describe_security_group_rules", "SecurityGroupRules"),
        )
        for type_ in (INGRESS, EGRESS)
    ),
    Case(
        DEFAULT_GROUP,
        lambda world: {"vpcId": new_vpc(world), "tags": TAGS},
        updates={
            "tags": OTHER_TAGS,
            "ingress": [{"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["10.0.0.0/8"]}],
        },
        replaces={"vpcId": other_vpc},
        deletable=False,
        always_there=True,
    ),
    Case(
        ENDPOINT,
        endpoint_inputs,
        updates={"privateDnsEnabled": False, "tags": OTHER_TAGS},
        replaces={"serviceName": "com.amazonaws.us-east-1.logs"},
        simulated_updates=("privateDnsEnabled",),
        listing=("describe_vpc_endpoints", "VpcEndpoints"),
    ),
    Case(
        ENDPOINT,
        lambda world: {
            "vpcId": vpc(world),
            "serviceName": "com.amazonaws.us-east-1.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": [table(world)],
        },
        updates={"routeTableIds": lambda world: [table(world), table(world)]},
    ),
    Case(
        FLOW_LOG,
        flow_log_inputs,
        updates={"tags": OTHER_TAGS},
        replaces={"trafficType": "REJECT", "maxAggregationInterval": 60},
        listing=("describe_flow_logs", "FlowLogs"),
    ),
]
