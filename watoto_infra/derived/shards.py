"""How users are spread over databases: the LMS hashes each user to a logical shard, a table maps those to databases."""

from __future__ import annotations

LOGICAL_SHARDS = 480
"""The LMS's own number of logical shards (lms_app.shards.sharding), which never changes."""

CATALOGUE = "main"
"""The database of everything that belongs to no single user."""

Spans = list[tuple[int, int]]


def label(shard: int) -> str:
    """Give the name of a database in the LMS's shard map; 0 is the main one."""
    return CATALOGUE if shard == 0 else f"shard{shard}"


def spans(shards: int) -> dict[str, Spans]:
    """Give first and last logical shard of each database: even over the shards; all in the main without any."""
    if not shards:
        return {CATALOGUE: [(0, LOGICAL_SHARDS - 1)]}
    bounds = [LOGICAL_SHARDS * number // shards for number in range(shards + 1)]
    return {label(number): [(bounds[number - 1], bounds[number] - 1)] for number in range(1, shards + 1)}
