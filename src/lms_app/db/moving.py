"""Moves users between databases, by whole logical shards: copy, verify, switch the map, delete.

Each step is safe to be killed in. The source is locked against writes from the first row that is read to the deletion,
in one transaction; the target's copy is committed before the map names it; the source's rows go only when the map does
not name it any more. Run again, the command finds by the map how far it came, and goes on.

The LMS must be stopped meanwhile: a process with the old map would write where nobody reads. That is checked.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

import psycopg
from psycopg import sql

from lms_app.db.engines import EngineOptions, connection_arguments
from lms_app.db.sharding import LOGICAL_SHARDS, ShardMap, Span, logical_shard

APPLICATION = "watoto-lms-move"
_LOCK = 0x7761746F6D76  # "watomv": one move at a time per database


@dataclass(frozen=True)
class _Table:
    """A table with users' rows: which user a row is, and the columns that move."""

    name: str
    user: str
    columns: tuple[str, ...]


TABLES = (
    _Table("users", "id", ("id", "email", "name", "role", "password_hash", "is_active", "created_at")),
    _Table(
        "enrollments",
        "user_id",
        ("user_id", "course_id", "progress_percentage", "status", "enrolled_at", "updated_at", "completed_at"),
    ),
    _Table("module_completions", "user_id", ("user_id", "course_id", "module_id", "completed_at")),
    # Without their numbers, which are each database's own; their order stays.
    _Table("notifications", "user_id", ("user_id", "kind", "message", "read_at", "created_at")),
)
"""What belongs to a user. Outboxes stay: any relay empties them. A test compares this with the tables there are."""
COPIED_TOO = ("processed_jobs", "idempotency_keys")
"""Guards against doing things twice: they are copied whole, stay in the source too, and are tidied away in time."""


class MoveRefusedError(Exception):
    """The move cannot begin or go on; nothing was lost. The message says why in a line."""


@dataclass(frozen=True)
class Moved:
    """What a move did: whom it moved, and rows by table."""

    users: tuple[int, ...]
    rows: dict[str, int]


def with_shards_at(shard_map: ShardMap, shards: range, target: str) -> ShardMap:
    """Return the map with these logical shards at another database. Raises pydantic's ValidationError."""
    owners = [target if shard in shards else shard_map.owner(shard) for shard in range(LOGICAL_SHARDS)]
    spans: dict[str, list[Span]] = {name: [] for name in shard_map.shards}
    for name, group in groupby(range(LOGICAL_SHARDS), key=owners.__getitem__):
        members = list(group)
        spans.setdefault(name, []).append((members[0], members[-1]))
    return ShardMap(catalogue=shard_map.catalogue, databases=shard_map.databases, shards=spans)


def move(
    shard_map: ShardMap,
    shards: range,
    *,
    source: str,
    target: str,
    switch: Callable[[ShardMap], None],
    options: EngineOptions,
) -> Moved:
    """Move all rows of these logical shards' users; `switch` makes the new map the one in force.

    Raises MoveRefusedError when it cannot be done safely, psycopg.Error when a server fails.
    """
    _refuse_unless_sensible(shard_map, shards, source, target)
    with _connected(shard_map, source, options) as old, _connected(shard_map, target, options) as new:
        for name, connection in ((source, old), (target, new)):
            _take_alone(name, connection)
        tables = sql.SQL(", ").join(sql.Identifier(table.name) for table in TABLES)
        old.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(tables))
        users = [user_id for user_id in _users(old) if logical_shard(user_id) in shards]
        _name_users(old, users)
        rows = {table.name: 0 for table in TABLES}
        if shard_map.owner(shards[0]) == source:
            rows = _copy(old, new, users)
            new.commit()
            switch(with_shards_at(shard_map, shards, target))
        for table in TABLES:
            old.execute(_of_users("DELETE FROM {table} WHERE {user} IN (SELECT user_id FROM moving)", table))
        old.commit()
        return Moved(tuple(users), rows)


def _refuse_unless_sensible(shard_map: ShardMap, shards: range, source: str, target: str) -> None:
    for name in (source, target):
        if name not in shard_map.databases:
            raise MoveRefusedError(f"there is no database {name!r} in the map; it names {sorted(shard_map.databases)}")
    if source == target:
        raise MoveRefusedError(f"{source!r} is both where the shards are and where they shall go")
    if not shards or shards[0] < 0 or shards[-1] >= LOGICAL_SHARDS:
        raise MoveRefusedError(f"logical shards are 0 to {LOGICAL_SHARDS - 1}")
    owners = {shard_map.owner(shard) for shard in shards}
    if owners not in ({source}, {target}):
        raise MoveRefusedError(f"shards {shards[0]}-{shards[-1]} are at {sorted(owners)}, not all at {source!r}")


@contextmanager
def _connected(shard_map: ShardMap, name: str, options: EngineOptions) -> Iterator[psycopg.Connection]:
    url = shard_map.databases[name].primary_url.get_secret_value()
    arguments = connection_arguments(url, options, read_write=True) | {"application_name": APPLICATION}
    connection = psycopg.connect(**arguments)
    try:
        # Of this one transaction, so that PgBouncer does not give them to others.
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL lock_timeout = '5s'")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SET LOCAL timezone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _take_alone(name: str, connection: psycopg.Connection) -> None:
    ((free,),) = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK]).fetchall()
    if not free:
        raise MoveRefusedError(f"another move is under way at database {name!r}")
    ((others,),) = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' AND usename = current_user"
    ).fetchall()
    if others:
        raise MoveRefusedError(f"{others} connections of the LMS to database {name!r} are open; stop the LMS first")


def _users(connection: psycopg.Connection) -> list[int]:
    each = sql.SQL(" UNION ").join(_of_users("SELECT {user} FROM {table}", table) for table in TABLES)
    return [row[0] for row in connection.execute(each)]


def _name_users(connection: psycopg.Connection, users: Sequence[int]) -> None:
    connection.execute("CREATE TEMPORARY TABLE moving (user_id bigint PRIMARY KEY) ON COMMIT DROP")
    with connection.cursor() as cursor, cursor.copy("COPY moving FROM STDIN") as copy:
        for user_id in users:
            copy.write_row([user_id])


def _copy(old: psycopg.Connection, new: psycopg.Connection, users: Sequence[int]) -> dict[str, int]:
    """Copy and compare; the target's transaction is left open. Raises MoveRefusedError where the two differ."""
    _name_users(new, users)
    rows = {}
    for table in TABLES:
        # What a move that was killed before the switch has left here is nobody's.
        new.execute(_of_users("DELETE FROM {table} WHERE {user} IN (SELECT user_id FROM moving)", table))
        _pipe(old, _selected(table), new, _columns("COPY {table} ({columns}) FROM STDIN", table))
        count, digest = _digest(old, table)
        if (count, digest) != _digest(new, table):
            raise MoveRefusedError(f"the copy of {table.name} is not what was copied; nothing was changed")
        rows[table.name] = count
    for name in COPIED_TOO:
        like = sql.SQL("CREATE TEMPORARY TABLE incoming (LIKE {}) ON COMMIT DROP").format(sql.Identifier(name))
        new.execute(like)
        _pipe(old, sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)), new, sql.SQL("COPY incoming FROM STDIN"))
        merged = "INSERT INTO {} SELECT * FROM incoming ON CONFLICT DO NOTHING"
        new.execute(sql.SQL(merged).format(sql.Identifier(name)))
        new.execute("DROP TABLE incoming")
    return rows


def _pipe(
    old: psycopg.Connection, query: sql.Composable, new: psycopg.Connection, into: sql.SQL | sql.Composed
) -> None:
    out = sql.SQL("COPY ({}) TO STDOUT").format(query)
    with old.cursor() as reader, new.cursor() as writer, reader.copy(out) as source, writer.copy(into) as target:
        for block in source:
            target.write(block)


def _digest(connection: psycopg.Connection, table: _Table) -> tuple[int, bytes]:
    """Number of the moving users' rows and a hash of them, in an order that both databases can give."""
    count, digest = 0, blake2b()
    query = sql.SQL("SELECT md5(row(moved.*)::text) AS line FROM ({}) AS moved ORDER BY line").format(_selected(table))
    for (line,) in connection.cursor().stream(query):
        count += 1
        digest.update(line.encode())
    return count, digest.digest()


def _selected(table: _Table) -> sql.Composed:
    chosen = "SELECT {columns} FROM {table} WHERE {user} IN (SELECT user_id FROM moving)"
    ordered = sql.SQL(" ORDER BY id") if table.name == "notifications" else sql.SQL("")
    return _columns(chosen, table) + ordered


def _columns(text: str, table: _Table) -> sql.Composed:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    return sql.SQL(text).format(table=sql.Identifier(table.name), user=sql.Identifier(table.user), columns=columns)


def _of_users(text: str, table: _Table) -> sql.Composed:
    return sql.SQL(text).format(table=sql.Identifier(table.name), user=sql.Identifier(table.user))


def replace_file(path: Path, text: str) -> None:
    """Put a text in a file's place so that a crash leaves the old or the new one whole, with the old one's mode."""
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
