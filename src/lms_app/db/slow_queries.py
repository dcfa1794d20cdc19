"""The statements with the longest mean time, from pg_stat_statements (column names as of PostgreSQL 13)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from lms_app.db.engines import sqlstate


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
    """The view pg_stat_statements does not exist, or its library is not loaded."""


_SLOWEST = text(
    """
    SELECT calls, mean_exec_time, total_exec_time, rows, query
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY mean_exec_time DESC
    LIMIT :limit
    """
)


def slowest(server: str, engine: Engine, *, limit: int = 10) -> list[SlowQuery]:
    """Return the statements with the longest mean time on one server.

    Raises StatementsNotTrackedError when pg_stat_statements is not at work there.
    """
    try:
        with engine.connect() as connection:
            rows = connection.execute(_SLOWEST, {"limit": limit}).all()
    except DBAPIError as error:
        if sqlstate(error) not in {"42P01", "55000"}:  # no such view; its library is not loaded
            raise
        raise StatementsNotTrackedError(
            f"{server}: pg_stat_statements is not at work; put it in shared_preload_libraries, restart, and let a"
            " superuser run CREATE EXTENSION pg_stat_statements"
        ) from None
    return [
        SlowQuery(server, row.calls, row.mean_exec_time, row.total_exec_time, row.rows, " ".join(row.query.split()))
        for row in rows
    ]
