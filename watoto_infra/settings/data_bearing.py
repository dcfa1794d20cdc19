"""Which declared things hold data that cannot be made again: they are tagged with the class of that data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watoto_infra.settings.objectives import DataClass

DATA_TAG = "watoto:data"
"""Tag on everything data-bearing; its value is a ``DataClass``."""

DATA_TYPES = frozenset({"aws:rds/instance:Instance", "aws:s3/bucket:Bucket", "aws:kms/key:Key"})
"""The resource types that can bear data: databases, buckets and the keys they are encrypted with."""


def is_data_bearing(type_token: str, inputs: Mapping[str, Any]) -> bool:
    """Whether losing the resource loses data, from its type and plain inputs. Read replicas never bear data."""
    if type_token not in DATA_TYPES or inputs.get("replicateSourceDb"):
        return False
    tags = inputs.get("tags")
    return isinstance(tags, Mapping) and tags.get(DATA_TAG) in {data_class.value for data_class in DataClass}
