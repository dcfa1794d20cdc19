"""What tests of the API share: lists read to their end, and the jobs that were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.app.conftest import (
    Caller,
    Cluster,
)

CallAs = Callable[..., Caller]


def outbox(cluster: Cluster, job_type: str) -> list[dict[str, Any]]:
    return [payload for (payload,) in cluster.primary.query(
        "SELECT payload FROM outbox WHERE job_type = %s ORDER BY id", job_type
    )]  # fmt: skip


def walk(caller: Caller, path: str, limit: int) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items, cursor = [], None
    while True:
        page = caller.get(path, query_string={"limit": limit} | ({"cursor": cursor} if cursor else {})).json
        items += page["items"]
        assert len(page["items"]) == limit or page["next"] is None
        if (cursor := page["next"]) is None:
            return items
