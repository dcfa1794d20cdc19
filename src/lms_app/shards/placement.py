"""The placement in force: which database holds which logical shards, as the catalogue's database has it on record.

A shard map says where users should be, the record where they are. `Gate` closes each new connection of a process whose
map differs from the record. A move does not begin while connections are open, and cuts connections that were opened
meanwhile. So an open connection proves that the map is right, and requests need no check of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import psycopg
from psycopg.errors import UndefinedTable
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lms_app.db.database import Database
from lms_app.db.engines import EngineOptions, connection_arguments, sqlstate
from lms_app.db.unavailable import DatabaseUnavailableError, PlacementError
from lms_app.shards.sharding import LOGICAL_SHARDS, ShardMap

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
READ = "SELECT array_agg(database ORDER BY shard), array_agg(also ORDER BY shard) FROM shard_placement"
NO_TABLE = UndefinedTable.sqlstate


class Placement(NamedTuple):
    """For each logical shard the database that holds it, and a second one while a move has not ended."""

    owners: tuple[str, ...]
    also: tuple[str | None, ...]

    @classmethod
    def of_row(cls, row: Sequence[Any] | None) -> Self | None:
        """Parse a row of `READ`; None when there is no record yet."""
        if row is None or row[0] is None:
            return None
        return cls(tuple(row[0]), tuple(row[1]))


def read(connection: psycopg.Connection) -> Placement | None:
    """Read the record over a connection to the catalogue's database, in autocommit; None when there is none yet."""
    try:
        return Placement.of_row(connection.execute(READ).fetchone())
    except UndefinedTable:
        return None


def difference(shard_map: ShardMap, found: Placement | None) -> str | None:
    """Return why a process with this map must not use the databases; None when it may."""
    if found is None:
        return "it is not on record yet which database holds which users: run `flask migrate`"
    if any(found.also):
        return "moving users between databases has not ended: stop the LMS and run `flask shards place`"
    if found.owners == shard_map.owners:
        return None
    differing = [shard for shard in range(LOGICAL_SHARDS) if found.owners[shard] != shard_map.owner(shard)]
    held, mapped = found.owners[differing[0]], shard_map.owner(differing[0])
    return (
        f"the shard map is not the placement in force: {len(differing)} logical shards lie elsewhere ({differing[0]} in"
        f" {held}, not {mapped}); use the map in force, or stop the LMS and run `flask shards place`"
    )


def refusal(shard_map: ShardMap, options: EngineOptions) -> str | None:
    """Ask the catalogue's primary, on a connection of its own, whether a process with this map may start.

    Returns why not; None when it may. Without an answer it returns None too: `Gate` decides once there is one.
    """
    url = shard_map.databases[shard_map.catalogue].primary_url.get_secret_value()
    try:
        with psycopg.connect(**connection_arguments(url, options, read_write=True), autocommit=True) as connection:
            return difference(shard_map, read(connection))
    except psycopg.Error as error:
        log.warning("the placement of users will be compared later: %s", str(error).splitlines()[0])
        return None


class Gate:
    """Compares the process's map with the record for each new connection, and closes it when they differ."""

    def __init__(self, shard_map: ShardMap, catalogue: Database) -> None:
        self._map = shard_map
        self._catalogue = catalogue
        self._was_equal = False

    def guard(self, database: Database) -> None:
        """Check every new connection to this database's servers."""
        event.listen(database.primary, "connect", partial(self._admit, database, writable=True))
        for replica in database.replicas:
            event.listen(replica.engine, "connect", partial(self._admit, database, writable=False))

    def _admit(self, database: Database, connection: psycopg.Connection, _record: object, *, writable: bool) -> None:
        """Raise PlacementError unless the connection may be used; SQLAlchemy closes it then.

        Without an answer from the catalogue a process that was admitted before goes on: no move can begin either.
        """
        try:
            found = read(connection) if database is self._catalogue else self._ask(writable=writable)
        except DatabaseUnavailableError as error:
            if self._was_equal:
                return
            raise PlacementError(
                database.name, f"where users are is not known: {error}", retry_after=RETRY_AFTER_S
            ) from error
        reason = difference(self._map, found)
        if reason is not None:
            raise PlacementError(database.name, reason, retry_after=RETRY_AFTER_S)
        self._was_equal = True

    def _ask(self, *, writable: bool) -> Placement | None:
        """Ask the catalogue's primary. To admit a read-only connection a replica will do when the primary is gone."""
        try:
            return self._catalogue.read_primary(_read)
        except DatabaseUnavailableError:
            for replica in () if writable else self._catalogue.replicas:
                try:
                    with replica.engine.connect() as connection:
                        return _read(connection)
                except (DBAPIError, PoolTimeoutError):
                    continue
            raise


def _read(connection: Connection) -> Placement | None:
    try:
        row = connection.exec_driver_sql(READ).one()
    except DBAPIError as error:
        if sqlstate(error) == NO_TABLE:
            return None
        raise
    return Placement.of_row(row)
