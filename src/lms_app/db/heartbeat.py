"""The heartbeat: a row with the time and the WAL position, written to every database every five seconds.

Replication lag, the age of the WAL archive and the proof of a point-in-time restore are read from it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from lms_app.db.database import Database
from lms_app.db.housekeeping import tidy
from lms_app.db.unavailable import DatabaseUnavailableError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
TIDY_SECONDS = 3600.0
_BEAT = text(
    """
    INSERT INTO watoto_heartbeat (ts, lsn) VALUES (clock_timestamp(), pg_current_wal_insert_lsn())
    ON CONFLICT (ts) DO NOTHING
    """
)
_NEWEST = text("SELECT max(ts) FROM watoto_heartbeat")


def beat(database: Database) -> None:
    """Write one heartbeat. Raises what `Database.write` raises."""
    database.write(lambda connection: connection.execute(_BEAT))


def newest(database: Database) -> datetime | None:
    """Return the time of the newest heartbeat on the primary; None before the first."""
    when: datetime | None = database.read_primary(lambda connection: connection.execute(_NEWEST).scalar())
    return when


def run(databases: Iterable[Database], stop: threading.Event, *, interval: float = INTERVAL_SECONDS) -> None:
    """Write heartbeats to each database and tidy it every hour, until `stop` is set. After a failure it goes on."""
    threads = [
        threading.Thread(target=_run_one, args=(database, stop, interval), name=f"heartbeat-{database.name}")
        for database in databases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _run_one(database: Database, stop: threading.Event, interval: float) -> None:
    tidied = float("-inf")
    while True:
        try:
            beat(database)
            if time.monotonic() - tidied > TIDY_SECONDS:
                tidy(database)
                tidied = time.monotonic()
        except (DatabaseUnavailableError, SQLAlchemyError) as error:
            log.warning("no heartbeat on %s: %s", database.name, str(error).splitlines()[0])
        if stop.wait(interval):
            return
