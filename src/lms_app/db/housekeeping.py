"""What need not be kept for ever: idempotency keys after a day, finished jobs' ids after a month, old heartbeats.

And what waits in vain: a report whose worker was killed with it again and again has nobody left to say that it failed.
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
    """Delete what is too old; returns the number of rows by table. Raises what `Database.write` raises."""

    def work(connection: Connection) -> dict[str, int]:
        connection.execute(_FORLORN)
        return {
            table: connection.execute(
                text(f"DELETE FROM {table} WHERE {column} < now() - interval '{age}'")  # noqa: S608 -- constants above
            ).rowcount
            for table, (column, age) in KEPT.items()
        }

    return database.write(work)
