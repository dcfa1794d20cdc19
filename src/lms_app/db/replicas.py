"""The state of a read replica as one process knows it: whether it answers, its WAL position and its lag."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lms_app.db.freshness import Lsn, parse_lsn
from lms_app.db.guard import Guard

log = logging.getLogger(__name__)

_REPLAYED = "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text"
"""After a promotion the server's own position counts: it has all that there is."""
_PROBE = f"SELECT {_REPLAYED}, (SELECT max(ts) FROM watoto_heartbeat)"  # noqa: S608 (both parts are constants)
NEVER = datetime.min.replace(tzinfo=UTC)


class Replica:
    """One read replica. Its state is written by the watcher and by readers that find it gone, without a lock."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.guard = Guard(engine)
        self.answers = True
        self.lag_seconds = 0.0
        self._replayed = Lsn(0)

    def probe(self, newest_heartbeat: datetime, *, max_lag: float) -> bool:
        """Read the replica's position and newest heartbeat; returns whether it may be read from.

        Lag is the difference between the newest heartbeat known of the primary and the newest one replayed here. It
        grows when the link is cut, stays 0 on an idle primary, and a lost primary does not make its replicas look late.
        """
        try:
            with self.guard.probing(), self.engine.connect() as connection:
                lsn, heartbeat = connection.exec_driver_sql(_PROBE).one()
        except PoolTimeoutError:
            return self.answers  # all connections are in use: the replica is busy and not lost
        except SQLAlchemyError as error:
            self.lost(error)
            return False
        self._replayed = parse_lsn(lsn)
        self.lag_seconds = max(0.0, (newest_heartbeat - (heartbeat or NEVER)).total_seconds())
        usable = self.lag_seconds <= max_lag
        if usable != self.answers:
            log.warning("replica %s is %s", self.name, "back" if usable else f"late by {self.lag_seconds:.0f} s")
        self.answers = usable
        return usable

    def has_replayed(self, lsn: Lsn, connection: Connection) -> bool:
        """Whether it has replayed up to this position. Asks the server only beyond the last known position."""
        if lsn <= self._replayed:
            return True
        self._replayed = parse_lsn(connection.exec_driver_sql(f"SELECT {_REPLAYED}").scalar_one())
        return lsn <= self._replayed

    def lost(self, error: DBAPIError | SQLAlchemyError) -> None:
        """Read from it no more until a probe succeeds."""
        if self.answers:
            log.warning("replica %s is left out: %s", self.name, str(error).splitlines()[0])
        self.answers = False
