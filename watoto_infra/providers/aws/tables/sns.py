"""Simple Notification Service: topics."""

from __future__ import annotations

from watoto_infra.providers.aws.fields import ChangeEffect, Field, json_text, output, text
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Read, Resource, Tags, Update

OF_THE_TOPIC = {"TopicArn": "{id}"}
TAGS_OF_THE_TOPIC = {"ResourceArn": "{id}"}

ATTRIBUTES = (
    text("displayName", "Attributes.DisplayName", default=""),
    # Without a policy of its own SNS gives a topic one that lets its account use it.
    json_text("policy", "Attributes.Policy", computed=True),
    text("kmsMasterKeyId", "Attributes.KmsMasterKeyId", unset=""),
)


def set_attribute(attribute: Field) -> Update:
    """Give the update of one attribute: SetTopicAttributes takes one a call."""
    name = attribute.request_path.removeprefix("Attributes.")
    return Update(
        "set_topic_attributes",
        {attribute.name: "AttributeValue"},
        {**OF_THE_TOPIC, "AttributeName": name},
        on_change=ChangeEffect.AT_ONCE,
    )


TOPIC = Resource(
    type="aws:sns/topic:Topic",
    service="sns",
    fields=(
        text("name", read="TopicArn", from_api=lambda arn: arn.rpartition(":")[2], replaces=True),
        *ATTRIBUTES,
        output("arn", "TopicArn"),
        output("owner", "Attributes.Owner"),
    ),
    # A topic that is there already is given only to a caller who asks for its very tags, and the create's token is one.
    create=Create("create_topic", id="arn:aws:sns:{region}:{account}:{name}"),
    read=(
        Read("get_topic_attributes", OF_THE_TOPIC, "{TopicArn: Attributes.TopicArn, Attributes: Attributes}"),
        Read("list_tags_for_resource", TAGS_OF_THE_TOPIC, "Tags", under="Tags"),
    ),
    updates=tuple(map(set_attribute, ATTRIBUTES)),
    delete=Delete("delete_topic", OF_THE_TOPIC),
    tags=Tags(
        put=Call("tag_resource", {**TAGS_OF_THE_TOPIC, "Tags": "{tags}"}),
        remove=Call("untag_resource", {**TAGS_OF_THE_TOPIC, "TagKeys": "{tag_keys}"}),
    ),
    gone=("NotFound", "ResourceNotFound"),
    auto_name=AutoName("name", 256),
)

RESOURCES = (TOPIC,)
