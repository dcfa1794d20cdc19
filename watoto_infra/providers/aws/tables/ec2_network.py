"""EC2: the network."""

from __future__ import annotations

from watoto_infra.providers.aws.table import Create, Delete, Read, Resource, Update, flag, made, output, text
from watoto_infra.providers.aws.tables.ec2_shared import by_token, ec2_tags

OF_THE_VPC = {"Filters": [{"Name": "vpc-id", "Values": ["{id}"]}]}

VPC = Resource(
    type="aws:ec2/vpc:Vpc",
    service="ec2",
    fields=(
        text("cidrBlock", required=True, replaces=True),
        text("instanceTenancy", default="default", choices=("default", "dedicated"), replaces=True),
        flag("enableDnsSupport", "EnableDnsSupport.Value", default=True, at_create=False),
        flag("enableDnsHostnames", "EnableDnsHostnames.Value", default=False, at_create=False),
        made("arn", "arn:aws:ec2:{region}:{account}:vpc/{id}"),
        made("ownerId", "{account}"),
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
    find=by_token("describe_vpcs", "Vpcs[0].VpcId"),
    gone=("InvalidVpcID.NotFound",),
    ready="State=='available'",
)

RESOURCES = (VPC,)
