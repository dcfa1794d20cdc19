"""How many connections a database server must take: one sum for PostgreSQL, which takes them, and PgBouncer's share."""

from __future__ import annotations

from watoto_infra.derived.background import BACKGROUND
from watoto_infra.derived.lms_environment import lms_environment
from watoto_infra.errors import RenderError
from watoto_infra.rendering.inputs import Inputs

POOL_SIZE = 40
RESERVE = 5
"""PgBouncer's connections to one server, and those a waiting client may get beyond them."""
SUPERUSER_RESERVED = 5
BESIDE = {"exporter": 3, "migration and moving of rows": 4, "pgBackRest": 2, "people": 6}
"""Connections to one server beside the app's and the dump's. Replication has its own (``max_wal_senders``)."""
LEAST = 200
"""pgtune's number for a web application."""
MOST = 5_000
"""Where RDS stops too: each connection is a process."""


def most_app_servers(inputs: Inputs) -> int:
    """Most app servers of all services together."""
    return sum(group.max_size for group in inputs.settings.app.groups)


def app_connections(inputs: Inputs) -> int:
    """Most connections of all app servers and background processes to one database."""
    one = lms_environment(inputs.settings, inputs.machine)
    per_server = one.web_workers * one.db_pool_size
    return most_app_servers(inputs) * per_server + len(BACKGROUND) * one.db_pool_size


def dump_jobs(inputs: Inputs) -> int:
    """Processes of a backup or dump, each of which has a connection; pg_dump itself has one more."""
    return max(2, inputs.database_machine.cores // 2)


def max_connections(inputs: Inputs) -> int:
    """Give ``max_connections`` of every server: any may be the primary one day, and none may have fewer than it.

    Raises ``RenderError`` where the app may open more than a server can take.
    """
    app = POOL_SIZE + RESERVE if inputs.settings.database.pgbouncer else app_connections(inputs)
    needed = app + dump_jobs(inputs) + 1 + sum(BESIDE.values()) + SUPERUSER_RESERVED
    if needed > MOST:
        raise RenderError(
            f"{most_app_servers(inputs)} app servers may open {app:,} connections to one database: with what else "
            f"connects it would have to take {needed:,}, and takes {MOST:,}",
            hint="set database.pgbouncer, or lower app.max_size or database.pool.max_size",
        )
    return max(LEAST, needed)
