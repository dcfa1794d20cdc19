"""The rows of users who move to another database: finding, copying, comparing and deleting them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import psycopg
from psycopg import sql

from lms_app.shards.sharding import logical_shard


class CopyDiffersError(Exception):
    """The rows in the target differ from those in the source."""


@dataclass(frozen=True)
class _Table:
    """A table with users' rows: the column with the user's id, and the columns that are copied."""

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
    # Without their ids, which each database numbers itself; their order stays.
    _Table("notifications", "user_id", ("user_id", "kind", "message", "read_at", "created_at")),
)
"""The tables with users' rows, which a test compares with the schema. Outboxes stay: any relay empties them."""
COPIED_TOO = ("processed_jobs", "idempotency_keys")
"""Tables that keep things from being done twice. They are copied whole and stay in the source; housekeeping
deletes their old rows."""


def users_of(connection: psycopg.Connection, shards: Collection[int]) -> list[int]:
    """Return the ids of all users of these logical shards who have a row in this database."""
    each = sql.SQL(" UNION ").join(_of_users("SELECT {user} FROM {table}", table) for table in TABLES)
    return [user_id for (user_id,) in connection.execute(each) if logical_shard(user_id) in shards]


def name_users(connection: psycopg.Connection, user_ids: Sequence[int]) -> None:
    """Put these users into the temporary table `moving`, which the other functions read, for this transaction."""
    connection.execute("CREATE TEMPORARY TABLE moving (user_id bigint PRIMARY KEY) ON COMMIT DROP")
    with connection.cursor() as cursor, cursor.copy("COPY moving FROM STDIN") as lines:
        for user_id in user_ids:
            lines.write_row([user_id])


def delete_users(connection: psycopg.Connection) -> None:
    """Delete the rows of the users in `moving`. Commits nothing."""
    for table in TABLES:
        connection.execute(_of_users("DELETE FROM {table} WHERE {user} IN (SELECT user_id FROM moving)", table))


def copy_users(old: psycopg.Connection, new: psycopg.Connection) -> dict[str, int]:
    """Copy the rows of the users in both `moving` tables and compare them; returns their number by table.

    Raises CopyDiffersError.
    """
    rows = {}
    delete_users(new)  # the record says that these users are elsewhere: rows here are left over
    for table in TABLES:
        _pipe(old, _selected(table), new, _columns("COPY {table} ({columns}) FROM STDIN", table))
        count, digest = _digest(old, table)
        if (count, digest) != _digest(new, table):
            raise CopyDiffersError(f"the copy of {table.name} is not what was copied; nothing was changed")
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
    """Return number and hash of the moving users' rows, in an order that is the same in both databases."""
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
