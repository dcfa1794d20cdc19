"""Shared by the EC2 tables: tags, ARNs, and the search for a killed create by its tag."""

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


OURS = f"[?Tags[?Key=='{OP_TAG}' && Value=='{{token}}']] | [0]"
"""The same in JMESPath, for answers that were not filtered (moto ignores filters that it does not know)."""


def by_token(op: str, many: str, one: str) -> Find:
    """Find a thing by the tag its create gave it: ``many`` holds the things, ``one`` is a thing's id."""
    return Find(op, BY_TOKEN, f"{many}{OURS}.{one}")


def ec2_arn(kind: str) -> str:
    """Give the ARN of an EC2 resource, which EC2 itself mostly does not report (IAM's list of EC2 resource types)."""
    return f"arn:aws:ec2:{{region}}:{{account}}:{kind}/{{id}}"
