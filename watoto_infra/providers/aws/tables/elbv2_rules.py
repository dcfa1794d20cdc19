"""Elastic Load Balancing v2: listeners and their rules."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.fields import (
    Field,
    block,
    block_set,
    blocks,
    computed_from,
    flag,
    integer,
    strings,
    text,
)
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import parameters
from watoto_infra.providers.aws.table import Create, Delete, Dependents, Find, Read, Resource, Update
from watoto_infra.providers.aws.tables.elbv2 import ELB_TAGS, READ_TAGS


def actions(name: str, api: str) -> Field:
    """Give what is done with a request."""
    return blocks(
        name,
        text("type", required=True, choices=("forward", "redirect", "fixed-response")),
        integer("order", computed=True),
        text("targetGroupArn", computed=True),
        block(
            "forward",
            blocks("targetGroups", text("arn", "TargetGroupArn"), integer("weight", default=1)),
            block(
                "stickiness",
                flag("enabled", default=False),
                integer("duration", "DurationSeconds"),
                api="TargetGroupStickinessConfig",
                default={"enabled": False},
            ),
            api="ForwardConfig",
            computed=True,
        ),
        block(
            "redirect",
            text("protocol", default="#{protocol}"),
            text("port", default="#{port}"),
            text("host", default="#{host}"),
            text("path", default="/#{path}"),
            text("query", default="#{query}"),
            text("statusCode", required=True, choices=("HTTP_301", "HTTP_302")),
            api="RedirectConfig",
        ),
        block(
            "fixedResponse",
            text("contentType", required=True),
            text("messageBody"),
            text("statusCode", computed=True),
            api="FixedResponseConfig",
        ),
        api=api,
        required=True,
    )


LISTENER = Resource(
    type="aws:lb/listener:Listener",
    service="elbv2",
    fields=(
        text("loadBalancerArn", required=True, replaces=True),
        integer("port", low=1, high=65535),
        text("protocol", computed=True, choices=("HTTP", "HTTPS")),
        text("sslPolicy", computed=True),
        text(
            "certificateArn",
            "Certificates",
            read="Certificates[0].CertificateArn",
            to_api=lambda arn: [{"CertificateArn": arn}] if arn else [],
        ),
        actions("defaultActions", "DefaultActions"),
        computed_from("arn", "{id}"),
    ),
    create=Create("create_listener", id="Listeners[0].ListenerArn"),
    read=(Read("describe_listeners", {"ListenerArns": ["{id}"]}, "Listeners[0]"), READ_TAGS),
    updates=(
        Update(
            "modify_listener",
            ("port", "protocol", "sslPolicy", "certificateArn", "defaultActions"),
            {"ListenerArn": "{id}"},
            whole=True,
        ),
    ),
    delete=Delete("delete_listener", {"ListenerArn": "{id}"}),
    tags=ELB_TAGS,
    find=Find(
        "describe_listeners", {"LoadBalancerArn": "{loadBalancerArn}"}, "Listeners[?Port==`{port}`] | [0].ListenerArn"
    ),
    gone=("ListenerNotFound", "LoadBalancerNotFound"),
    delete_first=True,
    dependents=(
        Dependents(
            "aws:lb/listenerRule:ListenerRule",
            "arn",
            "describe_rules",
            {"ListenerArn": "{id}"},
            "Rules[?!IsDefault].RuleArn",
        ),
    ),
)

CONDITION_FIELDS = {
    "HostHeaderConfig": "host-header",
    "PathPatternConfig": "path-pattern",
    "HttpHeaderConfig": "http-header",
    "HttpRequestMethodConfig": "http-request-method",
    "SourceIpConfig": "source-ip",
}

CONDITION = (
    block("hostHeader", strings("values"), api="HostHeaderConfig"),
    block("pathPattern", strings("values"), api="PathPatternConfig"),
    block("httpHeader", text("httpHeaderName"), strings("values"), api="HttpHeaderConfig"),
    block("httpRequestMethod", strings("values"), api="HttpRequestMethodConfig"),
    block("sourceIp", strings("values"), api="SourceIpConfig"),
)


def conditions_to_api(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the conditions, each with the name of its kind, which the API wants beside the block itself."""
    written = [parameters(CONDITION, condition) for condition in conditions]
    return [{**one, "Field": CONDITION_FIELDS[next(iter(one))]} for one in written]


def move_rule(operation: Operation, _: frozenset[str]) -> None:
    """Give the rule its place among the others."""
    place = {"RuleArn": operation.id, "Priority": operation.inputs["priority"]}
    operation.call("set_rule_priorities", RulePriorities=[place])


LISTENER_RULE = Resource(
    type="aws:lb/listenerRule:ListenerRule",
    service="elbv2",
    fields=(
        text("listenerArn", required=True, replaces=True, not_reported=True),
        integer("priority", required=True, low=1, high=50000),
        actions("actions", "Actions"),
        block_set("conditions", *CONDITION, required=True, to_api=conditions_to_api),
        computed_from("arn", "{id}"),
    ),
    create=Create("create_rule", id="Rules[0].RuleArn"),
    read=(Read("describe_rules", {"RuleArns": ["{id}"]}, "Rules[0]"), READ_TAGS),
    updates=(
        Update("set_rule_priorities", ("priority",), do=move_rule),
        Update("modify_rule", ("actions", "conditions"), {"RuleArn": "{id}"}, whole=True),
    ),
    delete=Delete("delete_rule", {"RuleArn": "{id}"}),
    tags=ELB_TAGS,
    find=Find("describe_rules", {"ListenerArn": "{listenerArn}"}, "Rules[?Priority=='{priority}'] | [0].RuleArn"),
    gone=("RuleNotFound", "ListenerNotFound"),
    delete_first=True,
)

RESOURCES = (LISTENER, LISTENER_RULE)
