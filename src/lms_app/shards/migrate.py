"""Brings every database of the shard map up to date, and puts on record where users are."""

from __future__ import annotations

from lms_app.db import schema
from lms_app.db.engines import EngineOptions
from lms_app.shards.moving import record_first
from lms_app.shards.sharding import ShardMap


def migrate(shard_map: ShardMap, options: EngineOptions, *, wait_seconds: float = 300.0) -> list[str]:
    """Upgrade every database to the newest revision; returns their names. Safe to run from several machines at once.

    Then the placement of users is put on record, unless it is. Raises MigrationBusyError, MoveRefusedError.
    """
    for urls in shard_map.databases.values():
        schema.upgrade(urls, options, wait_seconds=wait_seconds)
    record_first(shard_map, options)
    return list(shard_map.databases)
