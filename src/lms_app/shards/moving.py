"""Moves users between databases, by whole logical shards, until the placement in force is the wanted one.

Only the record in the catalogue (`placement`) says where users are. A move from one database to another has four steps:

1. `begun`: the record says that rows of these shards may lie in the target as well;
2. `copied`: the target has a verified copy, committed;
3. `switched`: the record names the target as theirs, and the source as where rows may lie as well;
4. `deleted`: the rows are deleted from the source, committed; after that the record says that the move has ended.

The source is locked against writes from the first row that is read to the deletion, in one transaction. Killed at any
moment and run again, it first deletes what lies where the record says rows may lie *as well*, and then goes on.

The LMS must be stopped meanwhile, which is checked. A process that connects after the check and before step 3 is cut
off in time; a process that connects later finds the record changed (`placement.Gate`).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from lms_app.db.engines import EngineOptions, connection_arguments
from lms_app.shards import placement
from lms_app.shards.placement import Placement
from lms_app.shards.rows import TABLES, copy_users, delete_users, name_users, users_of
from lms_app.shards.sharding import LOGICAL_SHARDS, ShardMap, logical_shard

APPLICATION = "watoto-lms-move"
_LOCK = 0x7761746F6D76  # "watomv": one move at a time per database
_PID = sql.SQL("pid")
_CUT_OFF = sql.SQL("pg_terminate_backend(pid, 5000)")
GONE_SECONDS = 3.0
"""How long a server may take to notice that the connections of an ended process are closed."""
_OTHERS = sql.SQL(
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend' AND usename = current_user AND application_name <> 'watoto-lms-move'"
)

Told = Callable[[str], None]
"""Called with a line for each step, its name first, once the step is durable."""


class MoveRefusedError(Exception):
    """The move cannot begin or go on; no row was lost. The message is one line and says why."""


@dataclass
class Moved:
    """The users whose rows have moved, by the database that they moved to."""

    users: dict[str, list[int]] = field(default_factory=dict)
    cleared: list[int] = field(default_factory=list)
    """Users whose rows an earlier, unfinished move had left in a second database, and that were deleted there."""


def place(
    shard_map: ShardMap, wanted: Sequence[str], *, options: EngineOptions, told: Told = lambda _step: None
) -> Moved:
    """Move users until each logical shard lies in the database that `wanted`, a name for each shard, says.

    Raises MoveRefusedError when it cannot be done safely, CopyDiffersError, psycopg.Error when a server fails.
    """
    done = Moved()
    with _Record.of(shard_map, options) as record:
        found = record.read()
        for name in sorted({*found.owners, *filter(None, found.also), *wanted}):
            if name not in shard_map.databases:
                raise MoveRefusedError(
                    f"there is no database {name!r} in the map; it has {sorted(shard_map.databases)}"
                )
        for name in sorted(filter(None, set(found.also))):
            shards = {shard for shard in range(LOGICAL_SHARDS) if found.also[shard] == name}
            done.cleared += _clear(record, name, shards, told)
        for source, target in sorted(set(zip(found.owners, wanted, strict=True))):
            if source != target:
                pairs = enumerate(zip(found.owners, wanted, strict=True))
                shards = {shard for shard, pair in pairs if pair == (source, target)}
                done.users.setdefault(target, []).extend(_move(record, shards, source, target, told))
    return done


def with_shards_at(
    shard_map: ShardMap, owners: Sequence[str], shards: range, *, source: str, target: str
) -> tuple[str, ...]:
    """Return `owners` with these logical shards at `target`. Raises MoveRefusedError for shards that are elsewhere.

    Shards that are at the target already are no error: a killed move may have come so far.
    """
    for name in (source, target):
        if name not in shard_map.databases:
            raise MoveRefusedError(f"there is no database {name!r} in the map; it has {sorted(shard_map.databases)}")
    if source == target:
        raise MoveRefusedError(f"{source!r} is both where the shards are and where they shall go")
    if not shards or shards[0] < 0 or shards[-1] >= LOGICAL_SHARDS:
        raise MoveRefusedError(f"logical shards are 0 to {LOGICAL_SHARDS - 1}")
    held_by = {owners[shard] for shard in shards}
    if held_by not in ({source}, {target}):
        raise MoveRefusedError(f"shards {shards[0]}-{shards[-1]} are at {sorted(held_by)}, not all at {source!r}")
    return tuple(target if shard in shards else owner for shard, owner in enumerate(owners))


def in_force(shard_map: ShardMap, options: EngineOptions) -> Placement:
    """Return the placement on record. Raises MoveRefusedError when there is no record."""
    with _Record.of(shard_map, options) as record:
        return record.read()


def record_first(shard_map: ShardMap, options: EngineOptions) -> None:
    """Put on record which database holds which shards, unless there is a record: the shard map, if users are there.

    Users may be older than the record and lie elsewhere. Then the record says where they are: all shards in the only
    database that has users, or shard by shard. Raises MoveRefusedError where two databases have users of one shard.
    """
    with _Record.of(shard_map, options) as record, record.connection.transaction():
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            record.connection.execute(sql.SQL("SET LOCAL {} = 0").format(sql.Identifier(setting)))
        record.connection.execute("LOCK TABLE shard_placement IN EXCLUSIVE MODE")
        if placement.read(record.connection) is None:
            owners = _found_owners(shard_map, options)
            rows = list(enumerate(owners))
            record.connection.cursor().executemany(
                "INSERT INTO shard_placement (shard, database) VALUES (%s, %s)", rows
            )


def _found_owners(shard_map: ShardMap, options: EngineOptions) -> tuple[str, ...]:
    found: dict[int, str] = {}
    for name in shard_map.databases:
        with _connected(shard_map, name, options) as connection:
            shards = {logical_shard(user_id) for user_id in users_of(connection, range(LOGICAL_SHARDS))}
        for shard in sorted(shards):
            if found.setdefault(shard, name) != name:
                raise MoveRefusedError(f"both {found[shard]!r} and {name!r} have users of logical shard {shard}")
    if all(shard_map.owner(shard) == name for shard, name in found.items()):
        return shard_map.owners
    if len(set(found.values())) == 1:
        return (found.popitem()[1],) * LOGICAL_SHARDS
    return tuple(found.get(shard, shard_map.owner(shard)) for shard in range(LOGICAL_SHARDS))


_BEGIN = sql.SQL("UPDATE shard_placement SET also = %s WHERE shard = ANY(%s) AND database = %s")
_SWITCH = sql.SQL("UPDATE shard_placement SET database = %s, also = %s WHERE shard = ANY(%s) AND database = %s")
_END = sql.SQL("UPDATE shard_placement SET also = NULL WHERE shard = ANY(%s)")


@dataclass(frozen=True)
class _Record:
    """The record of the placement and the changes that a move makes to it. Each is durable when it returns."""

    shard_map: ShardMap
    options: EngineOptions
    connection: psycopg.Connection

    @classmethod
    @contextmanager
    def of(cls, shard_map: ShardMap, options: EngineOptions) -> Iterator[_Record]:
        url = shard_map.databases[shard_map.catalogue].primary_url.get_secret_value()
        arguments = connection_arguments(url, options, read_write=True) | {"application_name": APPLICATION}
        connection = psycopg.connect(**arguments, autocommit=True)
        try:
            yield cls(shard_map, options, connection)
        finally:
            connection.close()

    def read(self) -> Placement:
        found = placement.read(self.connection)
        if found is None:
            raise MoveRefusedError("it is not on record yet which database holds which users; run `flask migrate`")
        return found

    def begin(self, shards: Collection[int], source: str, target: str) -> None:
        self._change(_BEGIN, [target, list(shards), source], len(shards))

    def switch(self, shards: Collection[int], source: str, target: str) -> None:
        self._change(_SWITCH, [target, source, list(shards), source], len(shards))

    def end(self, shards: Collection[int]) -> None:
        self._change(_END, [list(shards)], len(shards))

    def _change(self, statement: sql.SQL, values: list[object], shards: int) -> None:
        with self.connection.transaction():
            if self.connection.execute(statement, values).rowcount != shards:
                raise MoveRefusedError("another move has changed the placement meanwhile; run this again")


def _move(record: _Record, shards: Collection[int], source: str, target: str, told: Told) -> list[int]:
    """Move the rows of these shards' users; returns the users' ids."""
    with _alone(record, source) as old, _alone(record, target) as new:
        _lock(old)
        record.begin(shards, source, target)
        told(f"begun: {len(shards)} logical shards from {source} to {target}")
        user_ids = users_of(old, shards)
        name_users(old, user_ids)
        name_users(new, user_ids)
        try:
            copy_users(old, new)
        except Exception:
            new.rollback()
            record.end(shards)  # the target has nothing: the LMS can be started again as before
            raise
        new.commit()
        told(f"copied: {len(user_ids)} users")
        record.switch(shards, source, target)
        told(f"switched: {target} has them")
        _others(old, _CUT_OFF)
        delete_users(old)
        old.commit()
        told(f"deleted: in {source}")
    record.end(shards)
    return user_ids


def _clear(record: _Record, name: str, shards: Collection[int], told: Told) -> list[int]:
    """Delete the rows of these shards from a database that does not hold them; returns their users."""
    with _alone(record, name) as connection:
        _lock(connection)
        user_ids = users_of(connection, shards)
        name_users(connection, user_ids)
        delete_users(connection)
        connection.commit()
        told(f"cleared: {len(user_ids)} users that {name} had besides")
    record.end(shards)
    return user_ids


def _lock(connection: psycopg.Connection) -> None:
    tables = sql.SQL(", ").join(sql.Identifier(table.name) for table in TABLES)
    connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(tables))


@contextmanager
def _alone(record: _Record, name: str) -> Iterator[psycopg.Connection]:
    with _connected(record.shard_map, name, record.options) as connection:
        _take_alone(name, connection)
        yield connection


@contextmanager
def _connected(shard_map: ShardMap, name: str, options: EngineOptions) -> Iterator[psycopg.Connection]:
    url = shard_map.databases[name].primary_url.get_secret_value()
    arguments = connection_arguments(url, options, read_write=True) | {"application_name": APPLICATION}
    connection = psycopg.connect(**arguments)
    try:
        # SET LOCAL ends with the transaction, so PgBouncer hands the settings to no other client.
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL lock_timeout = '5s'")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SET LOCAL timezone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _take_alone(name: str, connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while not (free := _lock_moves(connection)) or (others := _others(connection)):
        if time.monotonic() > deadline:
            raise MoveRefusedError(
                f"{others} connections of the LMS to database {name!r} are open; stop the LMS first"
                if free
                else f"another move is under way at database {name!r}"
            )
        time.sleep(0.1)


def _lock_moves(connection: psycopg.Connection) -> bool:
    ((free,),) = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK]).fetchall()
    return bool(free)


def _others(connection: psycopg.Connection, what: sql.SQL = _PID) -> int:
    """Count the LMS's other connections to this database after applying `what` to each."""
    connection.execute("SELECT pg_stat_clear_snapshot()")  # or the transaction sees the connections of its first look
    ((count,),) = connection.execute(sql.SQL("SELECT count({}) {}").format(what, _OTHERS)).fetchall()
    return int(count)


def replace_file(path: Path, text: str) -> None:
    """Replace a file's content. A crash leaves the old or the new content whole; mode and owner stay."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        status = path.stat()
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), status.st_mode & 0o777)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
