"""EC2: security groups and their rules, endpoints and flow logs."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.ec2_shared import OURS, by_token, ec2_arn, ec2_tags
from watoto_infra.providers.aws.fields import (
    Field,
    block_set,
    computed_from,
    flag,
    integer,
    json_text,
    output,
    string_set,
    text,
)
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import search
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

THE_GROUP = Read("describe_security_groups", {"GroupIds": ["{id}"]}, "SecurityGroups[0]")


def close_outgoing(operation: Operation) -> None:
    """Take away the rule by which AWS lets a new group speak to everybody: only declared rules are open."""
    found = operation.call("describe_security_groups", GroupIds=[operation.id])
    everything = search("SecurityGroups[0].IpPermissionsEgress[?IpProtocol=='-1']", found)
    if everything:
        operation.call("revoke_security_group_egress", GroupId=operation.id, IpPermissions=everything)


RULES_OF_THE_GROUP = {"Filters": [{"Name": "group-id", "Values": ["{id}"]}]}

SECURITY_GROUP = Resource(
    type="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    fields=(
        text("name", "GroupName", replaces=True),
        text("description", default="Managed by Pulumi", always=True, replaces=True),
        text("vpcId", computed=True, replaces=True),
        flag("revokeRulesOnDelete", default=False, behaviour=True),
        computed_from("arn", ec2_arn("security-group")),
        computed_from("ownerId", "{account}"),
    ),
    create=Create("create_security_group", id="GroupId"),
    read=(THE_GROUP,),
    delete=Delete("delete_security_group", {"GroupId": "{id}"}),
    tags=ec2_tags("security-group"),
    find=by_token("describe_security_groups", "SecurityGroups", "GroupId"),
    gone=("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
    auto_name=AutoName("name", 255),
    finish=close_outgoing,
    dependents=(
        Dependents(
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "securityGroupRuleId",
            "describe_security_group_rules",
            RULES_OF_THE_GROUP,
            "SecurityGroupRules[?!IsEgress].SecurityGroupRuleId",
        ),
        Dependents(
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            "securityGroupRuleId",
            "describe_security_group_rules",
            RULES_OF_THE_GROUP,
            "SecurityGroupRules[?IsEgress].SecurityGroupRuleId",
        ),
    ),
)


def permission(operation: Operation) -> dict[str, Any]:
    """Give a rule as ``IpPermission``, the form in which rules are made (but not read)."""
    wanted = operation.inputs
    said = {"Description": wanted["description"]} if wanted.get("description") else {}
    places = {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }
    rule: dict[str, Any] = {"IpProtocol": wanted["ipProtocol"]}
    rule |= {api: wanted[name] for name, api in (("fromPort", "FromPort"), ("toPort", "ToPort")) if name in wanted}
    for name, (many, one) in places.items():
        if wanted.get(name):
            rule[many] = [{one: wanted[name], **said}]
    return rule


def make_rule(direction: str) -> Any:
    """Give the function that makes a rule of one direction."""

    def create(operation: Operation) -> str:
        answer = operation.call(
            f"authorize_security_group_{direction}",
            GroupId=operation.inputs["securityGroupId"],
            IpPermissions=[permission(operation)],
            TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": rule_tags(operation)}],
        )
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    return create


def rule_tags(operation: Operation) -> list[dict[str, str]]:
    """Give the tags in EC2's form."""
    return [{"Key": key, "Value": value} for key, value in operation.created_tags.items()]


def rule(direction: str, type_: str) -> Resource:
    """Give the table of the rules of one direction."""
    return Resource(
        type=type_,
        service="ec2",
        fields=(
            text("securityGroupId", "GroupId", required=True, replaces=True),
            text("ipProtocol", required=True),
            integer("fromPort", low=-1, high=65535),
            integer("toPort", low=-1, high=65535),
            text("cidrIpv4"),
            text("cidrIpv6"),
            text("prefixListId"),
            text("referencedSecurityGroupId", "ReferencedGroupId", read="ReferencedGroupInfo.GroupId"),
            # moto reports it for address ranges only.
            text("description", not_reported=True),
            computed_from("securityGroupRuleId", "{id}"),
            computed_from("arn", ec2_arn("security-group-rule")),
        ),
        create=Create(do=make_rule(direction)),
        read=(Read("describe_security_group_rules", {"SecurityGroupRuleIds": ["{id}"]}, "SecurityGroupRules[0]"),),
        updates=(Update("modify_security_group_rules", RULE_FIELDS, do=modify_rule),),
        delete=Delete(
            f"revoke_security_group_{direction}", {"GroupId": "{securityGroupId}", "SecurityGroupRuleIds": ["{id}"]}
        ),
        tags=ec2_tags("security-group-rule"),
        find=Find(
            "describe_security_group_rules",
            {"Filters": [{"Name": "group-id", "Values": ["{securityGroupId}"]}]},
            f"SecurityGroupRules{OURS}.SecurityGroupRuleId",
        ),
        gone=("InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound"),
    )


RULE_FIELDS = {
    "ipProtocol": "IpProtocol",
    "fromPort": "FromPort",
    "toPort": "ToPort",
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
    "description": "Description",
}


def modify_rule(operation: Operation, _: frozenset[str]) -> None:
    """Write the whole rule: what is left out would be taken away."""
    inputs = operation.inputs
    wanted = {api: inputs[name] for name, api in RULE_FIELDS.items() if inputs.get(name) is not None}
    operation.call(
        "modify_security_group_rules",
        GroupId=operation.inputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": operation.id, "SecurityGroupRule": wanted}],
    )


INGRESS_RULE = rule("ingress", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
EGRESS_RULE = rule("egress", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")


def inline_rules(name: str, read: str) -> Field:
    """Give the rules that are written inside a group."""
    return block_set(
        name,
        text("protocol", "IpProtocol"),
        integer("fromPort", default=0),
        integer("toPort", default=0),
        string_set("cidrBlocks", read="IpRanges[].CidrIp", to_api=lambda found: found),
        string_set("securityGroups", read="UserIdGroupPairs[].GroupId"),
        read=read,
        at_create=False,
    )


def default_group(operation: Operation) -> str:
    """Give the id of the group that AWS makes along with every VPC."""
    found = operation.call(
        "describe_security_groups",
        Filters=[
            {"Name": "vpc-id", "Values": [operation.inputs["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ],
    )
    groups = found["SecurityGroups"]
    if not groups:
        raise ServiceError("describe_security_groups", "InvalidGroup.NotFound", "the VPC has no default group")
    return str(groups[0]["GroupId"])


def set_inline_rules(operation: Operation, _: frozenset[str] = frozenset()) -> None:
    """Make the default group's rules the declared ones: none, when the program is silent."""
    group = operation.call("describe_security_groups", GroupIds=[operation.id])["SecurityGroups"][0]
    for name, direction, there in (
        ("ingress", "ingress", group["IpPermissions"]),
        ("egress", "egress", group["IpPermissionsEgress"]),
    ):
        if there:
            operation.call(f"revoke_security_group_{direction}", GroupId=operation.id, IpPermissions=there)
        wanted = [inline_permission(one) for one in operation.inputs.get(name) or []]
        if wanted:
            operation.call(f"authorize_security_group_{direction}", GroupId=operation.id, IpPermissions=wanted)


def inline_permission(one: dict[str, Any]) -> dict[str, Any]:
    """Give an inline rule as ``IpPermission``."""
    return {
        "IpProtocol": one["protocol"],
        "FromPort": one.get("fromPort", 0),
        "ToPort": one.get("toPort", 0),
        "IpRanges": [{"CidrIp": cidr} for cidr in one.get("cidrBlocks") or []],
        "UserIdGroupPairs": [{"GroupId": group} for group in one.get("securityGroups") or []],
    }


DEFAULT_SECURITY_GROUP = Resource(
    type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    service="ec2",
    fields=(
        text("vpcId", required=True, replaces=True),
        inline_rules("ingress", "IpPermissions"),
        inline_rules("egress", "IpPermissionsEgress"),
        output("name", "GroupName"),
        output("description"),
        computed_from("arn", ec2_arn("security-group")),
        computed_from("ownerId", "{account}"),
    ),
    create=Create(id=default_group, do=default_group),
    read=(THE_GROUP,),
    updates=(Update("authorize_security_group_ingress", ("ingress", "egress"), do=set_inline_rules),),
    # AWS keeps it as long as the VPC, and deletes it along with it.
    delete=Delete(),
    tags=Tags(
        create="",
        put=Call("create_tags", {"Resources": ["{id}"], "Tags": "{tags}"}),
        remove=Call("delete_tags", {"Resources": ["{id}"], "Tags": "{tag_key_items}"}),
    ),
    gone=("InvalidGroup.NotFound",),
    finish=set_inline_rules,
)


def change_endpoint(operation: Operation, changed: frozenset[str]) -> None:
    """Send what comes and goes; the API takes additions and removals, not whole lists."""
    request: dict[str, Any] = {}
    for name, added, removed in (
        ("routeTableIds", "AddRouteTableIds", "RemoveRouteTableIds"),
        ("subnetIds", "AddSubnetIds", "RemoveSubnetIds"),
        ("securityGroupIds", "AddSecurityGroupIds", "RemoveSecurityGroupIds"),
    ):
        if name in changed:
            old, new = set(operation.state.get(name) or ()), set(operation.inputs.get(name) or ())
            request |= {added: sorted(new - old)} if new - old else {}
            request |= {removed: sorted(old - new)} if old - new else {}
    if "privateDnsEnabled" in changed:
        request["PrivateDnsEnabled"] = bool(operation.inputs.get("privateDnsEnabled"))
    if "policy" in changed:
        wanted = operation.inputs.get("policy")
        request |= {"PolicyDocument": wanted} if wanted else {"ResetPolicy": True}
    operation.call("modify_vpc_endpoint", VpcEndpointId=operation.id, **request)


VPC_ENDPOINT = Resource(
    type="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    fields=(
        text("vpcId", required=True, replaces=True),
        text("serviceName", required=True, replaces=True),
        text("vpcEndpointType", default="Gateway", choices=("Gateway", "Interface"), replaces=True),
        string_set("routeTableIds"),
        string_set("subnetIds"),
        string_set("securityGroupIds", read="Groups[].GroupId", computed=True),
        flag("privateDnsEnabled", computed=True),
        json_text("policy", "PolicyDocument", computed=True),
        output("state", "State"),
        computed_from("arn", ec2_arn("vpc-endpoint")),
        computed_from("ownerId", "{account}"),
    ),
    create=Create("create_vpc_endpoint", id="VpcEndpoint.VpcEndpointId"),
    read=(Read("describe_vpc_endpoints", {"VpcEndpointIds": ["{id}"]}, "VpcEndpoints[0]"),),
    updates=(
        Update(
            "modify_vpc_endpoint",
            ("routeTableIds", "subnetIds", "securityGroupIds", "privateDnsEnabled", "policy"),
            do=change_endpoint,
        ),
    ),
    delete=Delete("delete_vpc_endpoints", {"VpcEndpointIds": ["{id}"]}, wait=True),
    tags=ec2_tags("vpc-endpoint"),
    find=by_token("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    gone=("InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound"),
    gone_when="State=='deleted'",
    ready="State=='available'",
    failed="State=='failed'",
    emulator_forgets=frozenset({"privateDnsEnabled"}),
)

FLOW_LOG = Resource(
    type="aws:ec2/flowLog:FlowLog",
    service="ec2",
    fields=(
        text("vpcId", "ResourceIds", read="ResourceId", required=True, replaces=True, to_api=lambda vpc: [vpc]),
        text("trafficType", choices=("ACCEPT", "REJECT", "ALL"), replaces=True),
        text("logDestinationType", default="cloud-watch-logs", choices=("cloud-watch-logs", "s3"), replaces=True),
        text("logDestination", computed=True, replaces=True),
        text("iamRoleArn", "DeliverLogsPermissionArn", replaces=True),
        integer("maxAggregationInterval", default=600, replaces=True),
        computed_from("arn", ec2_arn("vpc-flow-log")),
    ),
    create=Create("create_flow_logs", {"ResourceType": "VPC"}, id="FlowLogIds[0]"),
    read=(Read("describe_flow_logs", {"FlowLogIds": ["{id}"]}, "FlowLogs[0]"),),
    delete=Delete("delete_flow_logs", {"FlowLogIds": ["{id}"]}),
    tags=ec2_tags("vpc-flow-log"),
    find=by_token("describe_flow_logs", "FlowLogs", "FlowLogId"),
    gone=("InvalidFlowLogId.NotFound",),
)

RESOURCES = (
    SECURITY_GROUP,
    INGRESS_RULE,
    EGRESS_RULE,
    DEFAULT_SECURITY_GROUP,
    VPC_ENDPOINT,
    FLOW_LOG,
)
