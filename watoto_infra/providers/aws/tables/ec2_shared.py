"""What every EC2 table needs: its tags, and how a killed create is found by its tag."""

from __future__ import annotations

from typing import Any

from watoto_infra.providers.aws.table import OP_TAG, Call, Find, Tags

BY_TOKEN: dict[str, Any] = {"Filters": [{"Name": f"tag:{OP_TAG}", "Values": ["{token}"]}]}


def ec2_tags(resource_type: str, read: str = "Tags") -> Tags:
    """Give the tags of an EC2 resource type, as named in ``TagSpecifications``."""
    return Tags(
        spec=resource_type,
        read=read,
        put=Call("create_tags", {"Resources": ["{id}"], "Tags": "{tags}"}),
        remove=Call("delete_tags", {"Resources": ["{id}"], "Tags": "{tag_key_items}"}),
    )


def by_token(op: str, found: str) -> Find:
    """Find a thing by the tag its create gave it."""
    return Find(op, BY_TOKEN, found)
