"""Deletes rows that have served their time (`KEPT`), and fails reports that no worker will make any more.

A report stays queued when its job killed the worker again and again: no process is left to mark it as failed.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from lms_app.db.database import Database

KEPT = {
    "idempotency_keys": ("created_at", "1 day"),
    "processed_jobs": ("processed_at", "30 days"),
    "watoto_heartbeat": ("ts", "7 days"),
}


_FORLORN = text(
    "UPDATE reports SET status = 'failed', finished_at = now()"
    " WHERE status = 'queued' AND created_at < now() - interval '1 day'"
)


def tidy(database: Database) -> dict[str, int]:
    """Delete old rows and fail forgotten reports; returns deleted rows by table. Raises as `Database.write` does."""

    def work(connection: Connection) -> dict[str, int]:
        connection.execute(_FORLORN)
        return {
            table: connection.execute(
                text(f"DELETE FROM {table} WHERE {column} < now() - interval '{age}'")  # noqa: S608 -- constants above
            ).rowcount
            for table, (column, age) in KEPT.items()
        }

    return database.write(work)
