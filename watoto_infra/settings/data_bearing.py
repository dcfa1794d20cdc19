"""Which declared things hold data that cannot be made again: they are tagged with the class of that data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watoto_infra.settings.objectives import DataClass

DATA_TAG = "watoto:data"
"""Tag on everything data-bearing; its value is a ``DataClass``."""


def has_data_tag(inputs: Mapping[str, Any]) -> bool:
    """Tell whether a resource's plain inputs say by its tag that it holds data."""
    tags = inputs.get("tags")
    return isinstance(tags, Mapping) and tags.get(DATA_TAG) in {data_class.value for data_class in DataClass}
