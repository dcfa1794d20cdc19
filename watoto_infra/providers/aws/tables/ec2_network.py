"""EC2: VPC, subnets and the ways out of it."""

from __future__ import annotations

import zlib

from watoto_infra.providers.aws.ec2_shared import OURS, by_token, ec2_arn, ec2_tags
from watoto_infra.providers.aws.fields import computed_from, flag, output, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import Create, Delete, Dependents, Find, Read, Resource, Update

OF_THE_VPC = {"Filters": [{"Name": "vpc-id", "Values": ["{id}"]}]}

VPC = Resource(
    type="aws:ec2/vpc:Vpc",
    service="ec2",
    fields=(
        text("cidrBlock", required=True, replaces=True),
        text("instanceTenancy", default="default", choices=("default", "dedicated"), replaces=True),
        flag("enableDnsSupport", "EnableDnsSupport.Value", default=True, at_create=False),
        flag("enableDnsHostnames", "EnableDnsHostnames.Value", default=False, at_create=False),
        computed_from("arn", ec2_arn("vpc")),
        computed_from("ownerId", "{account}"),
        output("mainRouteTableId", "RouteTables[?Associations[?Main]].RouteTableId | [0]"),
        output("defaultRouteTableId", "RouteTables[?Associations[?Main]].RouteTableId | [0]"),
        output("defaultNetworkAclId", "Acls[?IsDefault].NetworkAclId | [0]"),
        output("defaultSecurityGroupId", "Groups[?GroupName=='default'].GroupId | [0]"),
        output("dhcpOptionsId", "DhcpOptionsId"),
    ),
    create=Create("create_vpc", id="Vpc.VpcId"),
    read=(
        Read("describe_vpcs", {"VpcIds": ["{id}"]}, "Vpcs[0]"),
        Read("describe_vpc_attribute", {"VpcId": "{id}", "Attribute": "enableDnsSupport"}),
        Read("describe_vpc_attribute", {"VpcId": "{id}", "Attribute": "enableDnsHostnames"}),
        Read("describe_route_tables", OF_THE_VPC, "RouteTables", under="RouteTables"),
        Read("describe_network_acls", OF_THE_VPC, "NetworkAcls", under="Acls"),
        Read("describe_security_groups", OF_THE_VPC, "SecurityGroups", under="Groups"),
    ),
    updates=(
        Update("modify_vpc_attribute", ("enableDnsSupport",), {"VpcId": "{id}"}),
        Update("modify_vpc_attribute", ("enableDnsHostnames",), {"VpcId": "{id}"}),
    ),
    delete=Delete("delete_vpc", {"VpcId": "{id}"}),
    tags=ec2_tags("vpc"),
    find=by_token("describe_vpcs", "Vpcs", "VpcId"),
    gone=("InvalidVpcID.NotFound",),
    ready="State=='available'",
)

SUBNET = Resource(
    type="aws:ec2/subnet:Subnet",
    service="ec2",
    fields=(
        text("vpcId", required=True, replaces=True),
        text("cidrBlock", replaces=True),
        text("availabilityZone", computed=True, replaces=True),
        output("availabilityZoneId"),
        flag(
            "mapPublicIpOnLaunch",
            "MapPublicIpOnLaunch.Value",
            read="MapPublicIpOnLaunch",
            default=False,
            at_create=False,
        ),
        computed_from("arn", ec2_arn("subnet")),
        computed_from("ownerId", "{account}"),
    ),
    create=Create("create_subnet", id="Subnet.SubnetId"),
    read=(Read("describe_subnets", {"SubnetIds": ["{id}"]}, "Subnets[0]"),),
    updates=(Update("modify_subnet_attribute", ("mapPublicIpOnLaunch",), {"SubnetId": "{id}"}),),
    delete=Delete("delete_subnet", {"SubnetId": "{id}"}),
    tags=ec2_tags("subnet"),
    find=by_token("describe_subnets", "Subnets", "SubnetId"),
    gone=("InvalidSubnetID.NotFound",),
    ready="State=='available'",
    delete_first=True,
)


def move_gateway(operation: Operation, _: frozenset[str]) -> None:
    """Attach the gateway to the wanted VPC, and take it from the one it is at."""
    detach_gateway(operation)
    if operation.inputs.get("vpcId"):
        operation.call("attach_internet_gateway", InternetGatewayId=operation.id, VpcId=operation.inputs["vpcId"])


def detach_gateway(operation: Operation) -> None:
    """Take the gateway from the VPC that it was last known at."""
    if operation.state.get("vpcId"):
        operation.call("detach_internet_gateway", InternetGatewayId=operation.id, VpcId=operation.state["vpcId"])


def delete_gateway(operation: Operation) -> None:
    """Detach and delete."""
    detach_gateway(operation)
    operation.call("delete_internet_gateway", InternetGatewayId=operation.id)


INTERNET_GATEWAY = Resource(
    type="aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    fields=(
        text("vpcId", read="Attachments[0].VpcId", at_create=False),
        computed_from("arn", ec2_arn("internet-gateway")),
        computed_from("ownerId", "{account}"),
    ),
    create=Create("create_internet_gateway", id="InternetGateway.InternetGatewayId"),
    read=(Read("describe_internet_gateways", {"InternetGatewayIds": ["{id}"]}, "InternetGateways[0]"),),
    updates=(Update("attach_internet_gateway", ("vpcId",), do=move_gateway),),
    delete=Delete(do=delete_gateway),
    tags=ec2_tags("internet-gateway"),
    find=by_token("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    gone=("InvalidInternetGatewayID.NotFound",),
)

EIP = Resource(
    type="aws:ec2/eip:Eip",
    service="ec2",
    fields=(
        text("domain", default="vpc", always=True, replaces=True, choices=("vpc", "standard")),
        computed_from("allocationId", "{id}"),
        output("publicIp"),
        computed_from("arn", ec2_arn("elastic-ip")),
    ),
    create=Create("allocate_address", id="AllocationId"),
    read=(Read("describe_addresses", {"AllocationIds": ["{id}"]}, "Addresses[0]"),),
    delete=Delete("release_address", {"AllocationId": "{id}"}),
    tags=ec2_tags("elastic-ip"),
    find=by_token("describe_addresses", "Addresses", "AllocationId"),
    gone=("InvalidAllocationID.NotFound",),
)

NAT_GATEWAY = Resource(
    type="aws:ec2/natGateway:NatGateway",
    service="ec2",
    fields=(
        text("subnetId", required=True, replaces=True),
        text("allocationId", read="NatGatewayAddresses[0].AllocationId", replaces=True),
        text("connectivityType", default="public", choices=("public", "private"), replaces=True),
        output("publicIp", "NatGatewayAddresses[0].PublicIp"),
        output("privateIp", "NatGatewayAddresses[0].PrivateIp"),
        output("networkInterfaceId", "NatGatewayAddresses[0].NetworkInterfaceId"),
    ),
    create=Create("create_nat_gateway", id="NatGateway.NatGatewayId"),
    read=(Read("describe_nat_gateways", {"NatGatewayIds": ["{id}"]}, "NatGateways[0]"),),
    delete=Delete("delete_nat_gateway", {"NatGatewayId": "{id}"}, wait=True),
    tags=ec2_tags("natgateway"),
    find=Find("describe_nat_gateways", {}, f"NatGateways{OURS}.NatGatewayId"),
    gone=("NatGatewayNotFound",),
    gone_when="State=='deleted'",
    ready="State=='available'",
    failed="State=='failed'",
)

ROUTE_TABLE = Resource(
    type="aws:ec2/routeTable:RouteTable",
    service="ec2",
    fields=(
        text("vpcId", required=True, replaces=True),
        computed_from("arn", ec2_arn("route-table")),
        computed_from("ownerId", "{account}"),
    ),
    create=Create("create_route_table", id="RouteTable.RouteTableId"),
    read=(Read("describe_route_tables", {"RouteTableIds": ["{id}"]}, "RouteTables[0]"),),
    delete=Delete("delete_route_table", {"RouteTableId": "{id}"}),
    tags=ec2_tags("route-table"),
    find=by_token("describe_route_tables", "RouteTables", "RouteTableId"),
    gone=("InvalidRouteTableID.NotFound",),
    dependents=(
        Dependents(
            "aws:ec2/route:Route",
            "destinationCidrBlock",
            "describe_route_tables",
            {"RouteTableIds": ["{id}"]},
            "RouteTables[0].Routes[?Origin=='CreateRoute'].DestinationCidrBlock",
        ),
        Dependents(
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            "id",
            "describe_route_tables",
            {"RouteTableIds": ["{id}"]},
            "RouteTables[0].Associations[?!Main].RouteTableAssociationId",
        ),
    ),
)


def route_id(operation: Operation) -> str:
    """Give the id as the official provider makes it: the table's, then CRC-32 of the destination."""
    table, destination = operation["routeTableId"], operation["destinationCidrBlock"]
    return f"r-{table}{zlib.crc32(str(destination).encode())}"


THE_ROUTE = {"RouteTableId": "{routeTableId}", "DestinationCidrBlock": "{destinationCidrBlock}"}

ROUTE = Resource(
    type="aws:ec2/route:Route",
    service="ec2",
    fields=(
        text("routeTableId", required=True, replaces=True, not_reported=True),
        text("destinationCidrBlock", required=True, replaces=True),
        text("gatewayId"),
        text("natGatewayId"),
        text("vpcPeeringConnectionId"),
        text("transitGatewayId"),
        output("state"),
        output("origin"),
    ),
    create=Create("create_route", id=route_id),
    read=(
        Read(
            "describe_route_tables",
            {"RouteTableIds": ["{routeTableId}"]},
            "RouteTables[0].Routes[?DestinationCidrBlock=='{destinationCidrBlock}'] | [0]",
        ),
    ),
    updates=(
        Update(
            "replace_route",
            ("gatewayId", "natGatewayId", "vpcPeeringConnectionId", "transitGatewayId"),
            THE_ROUTE,
            whole=True,
        ),
    ),
    delete=Delete("delete_route", THE_ROUTE),
    gone=("InvalidRouteTableID.NotFound", "InvalidRoute.NotFound"),
    delete_first=True,
)

OF_THE_SUBNET = {"Filters": [{"Name": "association.subnet-id", "Values": ["{subnetId}"]}]}

ROUTE_TABLE_ASSOCIATION = Resource(
    type="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    fields=(
        # Moving it in place gives it a new id, which an update cannot report: so it is made anew.
        text("routeTableId", required=True, replaces=True),
        text("subnetId", required=True, replaces=True),
    ),
    create=Create("associate_route_table", id="AssociationId"),
    read=(
        Read(
            "describe_route_tables",
            {"Filters": [{"Name": "association.route-table-association-id", "Values": ["{id}"]}]},
            "RouteTables[].Associations[] | [?RouteTableAssociationId=='{id}'] | [0]",
        ),
    ),
    delete=Delete("disassociate_route_table", {"AssociationId": "{id}"}),
    find=Find(
        "describe_route_tables",
        OF_THE_SUBNET,
        "RouteTables[?RouteTableId=='{routeTableId}'].Associations[] | "
        "[?SubnetId=='{subnetId}'].RouteTableAssociationId | [0]",
    ),
    gone=("InvalidAssociationID.NotFound",),
    delete_first=True,
)

RESOURCES = (
    VPC,
    SUBNET,
    INTERNET_GATEWAY,
    EIP,
    NAT_GATEWAY,
    ROUTE_TABLE,
    ROUTE,
    ROUTE_TABLE_ASSOCIATION,
)
