"""CloudWatch Logs: log groups."""

from __future__ import annotations

from watoto_infra.providers.aws.fields import integer, output, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Dependents, Read, Resource, Tags, Update

OF_THE_GROUP = {"logGroupName": "{id}"}


def change_retention(operation: Operation, _: frozenset[str]) -> None:
    """Keep logs for so many days, or, with 0, for ever."""
    days = operation.inputs.get("retentionInDays")
    if days:
        operation.call("put_retention_policy", logGroupName=operation.id, retentionInDays=days)
    else:
        operation.call("delete_retention_policy", logGroupName=operation.id)


def change_key(operation: Operation, _: frozenset[str]) -> None:
    """Encrypt what comes from now on with another key, or with the service's own."""
    key = operation.inputs.get("kmsKeyId")
    if key:
        operation.call("associate_kms_key", logGroupName=operation.id, kmsKeyId=key)
    else:
        operation.call("disassociate_kms_key", logGroupName=operation.id)


LOG_GROUP = Resource(
    type="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    fields=(
        text("name", "logGroupName", replaces=True),
        integer("retentionInDays", "retentionInDays", default=0, at_create=False),
        text("kmsKeyId", "kmsKeyId"),
        output("arn", "logGroupArn"),
    ),
    create=Create("create_log_group", id="{name}"),
    read=(
        Read("describe_log_groups", {"logGroupNamePrefix": "{id}"}, "logGroups[?logGroupName=='{id}'] | [0]"),
        Read("list_tags_for_resource", {"resourceArn": "{logGroupArn}"}, "tags", under="tags"),
    ),
    updates=(
        Update("put_retention_policy", ("retentionInDays",), do=change_retention),
        Update("associate_kms_key", ("kmsKeyId",), do=change_key),
    ),
    delete=Delete("delete_log_group", OF_THE_GROUP),
    tags=Tags(
        create="tags",
        read="tags",
        style="map",
        put=Call("tag_resource", {"resourceArn": "{arn}", "tags": "{tags}"}),
        remove=Call("untag_resource", {"resourceArn": "{arn}", "tagKeys": "{tag_keys}"}),
    ),
    gone=("ResourceNotFoundException",),
    auto_name=AutoName("name", 512),
    dependents=(
        Dependents(
            "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
            "name",
            "describe_subscription_filters",
            OF_THE_GROUP,
            "subscriptionFilters[].filterName",
        ),
        Dependents(
            "aws:cloudwatch/logMetricFilter:LogMetricFilter",
            "name",
            "describe_metric_filters",
            OF_THE_GROUP,
            "metricFilters[].filterName",
        ),
    ),
)

RESOURCES = (LOG_GROUP,)
