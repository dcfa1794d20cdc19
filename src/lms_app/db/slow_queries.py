"""The statements that cost most, from pg_stat_statements (column names as of PostgreSQL 13)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text


@dataclass(frozen=True)
class SlowQuery:
    """One normalised statement. Times in milliseconds."""

    server: str
    calls: int
    mean_ms: float
    total_ms: float
    rows: int
    query: str


class StatementsNotTrackedError(Exception):
    """The server does not track statements, or this role may not see them."""


_SLOWEST = text(
    """
    SELECT calls, mean_exec_time, total_exec_time, rows, query
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY mean_exec_time DESC
    LIMIT :limit
    """
)


def is_tracked(connection: Connection) -> bool:
    """Whether the extension is there and its library is loaded."""
    return bool(
        connection.exec_driver_sql(
            "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')"
            " AND current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'"
        ).scalar_one()
    )


def slowest(server: str, engine: Engine, *, limit: int = 10) -> list[SlowQuery]:
    """Return the statements with the longest mean time on one server.

    Raises StatementsNotTrackedError when pg_stat_statements is not at work there.
    """
    with engine.connect() as connection:
        if not is_tracked(connection):
            raise StatementsNotTrackedError(
                f"{server}: pg_stat_statements is not at work; put it in shared_preload_libraries, restart, and let a"
                " superuser run CREATE EXTENSION pg_stat_statements"
            )
        return [
            SlowQuery(server, row.calls, row.mean_exec_time, row.total_exec_time, row.rows, " ".join(row.query.split()))
            for row in connection.execute(_SLOWEST, {"limit": limit})
        ]
