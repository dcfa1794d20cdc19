"""SQLAlchemy engines over psycopg 3, made from libpq URIs, with a bounded pool and server-side timeouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import OperationalError as DriverOperationalError
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The connection settings of one process. Times are in seconds unless the name says otherwise."""

    pool_size: int = 20
    """Most connections of one process to one server; each is opened when it is first needed."""
    pool_timeout: float = 3.0
    """How long a request waits for a free connection before it is answered 503."""
    statement_timeout_ms: int = 15_000
    lock_timeout_ms: int = 5_000
    idle_in_transaction_timeout_ms: int = 60_000
    connect_timeout: int = 2
    """Per host; libpq's minimum is 2."""
    through_pgbouncer: bool = False
    """PgBouncer then pools transactions: no prepared statements, no start-up options; roles set the timeouts."""
    application_name: str = "watoto-lms"


def connection_arguments(url: str, options: EngineOptions, *, read_write: bool) -> dict[str, Any]:
    """Return psycopg's connect arguments for a libpq URI.

    A primary gets ``target_session_attrs=read-write``: with several hosts in the URI libpq finds the one that takes
    writes, so a promotion needs no change here. (PostgreSQL manual, libpq, "Specifying Multiple Hosts".)
    """
    arguments: dict[str, Any] = {
        "connect_timeout": options.connect_timeout,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 5_000,
        "application_name": options.application_name,
    }
    if read_write:
        arguments["target_session_attrs"] = "read-write"
    if options.through_pgbouncer:
        arguments["prepare_threshold"] = None
    else:
        arguments["options"] = (
            f"-c timezone=UTC -c statement_timeout={options.statement_timeout_ms}"
            f" -c lock_timeout={options.lock_timeout_ms}"
            f" -c idle_in_transaction_session_timeout={options.idle_in_transaction_timeout_ms}"
        )
    return arguments | conninfo_to_dict(url)


def make_engine(url: str, options: EngineOptions, *, read_write: bool) -> Engine:
    """Return an engine whose connections are in autocommit: `Database.write` opens transactions itself.

    One statement is then one round trip. The pool hands out the connection used last, so that others stay idle.
    """
    return create_engine(
        "postgresql+psycopg://",
        connect_args=connection_arguments(url, options, read_write=read_write),
        isolation_level="AUTOCOMMIT",
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.pool_timeout,
        pool_recycle=1800,
        pool_use_lifo=True,
        pool_reset_on_return=None,
    )


def sqlstate(error: DBAPIError) -> str | None:
    """Return the SQLSTATE of an error; None when the server never answered."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def server_is_gone(error: DBAPIError) -> bool:
    """Whether the connection or the server is lost, in contrast to an error in the statement.

    08xxx connection exception; 57P01…57P03 shutting down, crashed, starting up. (PostgreSQL manual, appendix A.)
    """
    state = sqlstate(error)
    if state is None:
        return error.connection_invalidated or isinstance(error.orig, DriverOperationalError)
    return state.startswith("08") or state in {"57P01", "57P02", "57P03"}


def refuses_writes(error: DBAPIError) -> bool:
    """Whether a write reached a server that has become a standby (25006 read_only_sql_transaction)."""
    return sqlstate(error) == "25006"


def lost_a_race(error: DBAPIError) -> bool:
    """Whether the same work may succeed when it is run again at once: serialization failure or deadlock.

    A standby reports its recovery conflicts as 40001 and 40P01 too.
    """
    return sqlstate(error) in {"40001", "40P01"}
