"""The schema of one database: brings it up to date with Alembic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from lms_app.db.engines import EngineOptions, make_engine
from lms_app.db.urls import DatabaseUrls

_LOCK = 0x7761746F746F  # "watoto": one migration at a time per database
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class MigrationBusyError(Exception):
    """Another process has been migrating the same database for too long."""


def upgrade(urls: DatabaseUrls, options: EngineOptions, *, wait_seconds: float = 300.0) -> None:
    """Upgrade a database to the newest revision. Safe to run from several machines at once: they take turns.

    No statement timeout applies: building an index takes as long as it takes. Raises MigrationBusyError when the turn
    does not come within `wait_seconds`.
    """
    options = replace(options, statement_timeout_ms=0, pool_size=2, application_name="watoto-lms-migrate")
    engine = make_engine(urls.primary_url.get_secret_value(), options, read_write=True)
    try:
        with (
            engine.connect() as lock_holder,
            _one_at_a_time(lock_holder, wait_seconds),
            engine.connect() as connection,
        ):
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


@contextmanager
def _one_at_a_time(connection: Connection, wait_seconds: float) -> Iterator[None]:
    # Polls instead of waiting in the server: a waiting session holds a snapshot, and CREATE INDEX CONCURRENTLY in the
    # session that has the lock would wait for its end.
    deadline = time.monotonic() + wait_seconds
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar_one():
        if time.monotonic() > deadline:
            raise MigrationBusyError(f"another migration has been running for {wait_seconds:.0f} s")
        time.sleep(0.2)
    try:
        yield
    finally:
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")
