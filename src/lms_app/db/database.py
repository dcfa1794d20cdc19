"""One database: writes go to its primary, reads to its replicas, and both survive the loss of a server.

Work is given as a function of a connection, because it is run again when a server was lost or when it lost a race to
another transaction. So it must have no effect besides its statements.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lms_app.db import freshness
from lms_app.db.engines import EngineOptions, lost_a_race, make_engine, refuses_writes, server_is_gone, sqlstate
from lms_app.db.freshness import Lsn
from lms_app.db.guard import Guard
from lms_app.db.replicas import NEVER, Replica
from lms_app.db.unavailable import DatabaseUnavailableError, OutcomeUnknownError, PlacementError
from lms_app.db.urls import DatabaseUrls

log = logging.getLogger(__name__)
T = TypeVar("T")

_COMMIT = "COMMIT; SELECT pg_current_wal_flush_lsn()::text"
_NEWEST_HEARTBEAT = text("SELECT max(ts) FROM watoto_heartbeat")
ATTEMPTS = 3
"""Number of tries, the first included, of a write that certainly changed nothing."""


class SwallowedError(Exception):
    """Work caught the error of one of its statements and went on: PostgreSQL answers its COMMIT with a rollback."""


class Database:
    """The primary and the replicas behind one name of the shard map. Safe to share between threads."""

    def __init__(self, name: str, urls: DatabaseUrls, options: EngineOptions, *, max_lag: float) -> None:
        self.name = name
        self.primary: Engine = make_engine(urls.primary_url.get_secret_value(), options, read_write=True)
        self.replicas = tuple(
            Replica(f"{name}/replica-{n}", make_engine(url.get_secret_value(), options, read_write=False))
            for n, url in enumerate(urls.replica_urls, start=1)
        )
        self._guard = Guard(self.primary)
        self._max_lag = max_lag
        self._turn = itertools.count()
        self._newest_heartbeat = NEVER
        self._probed = not self.replicas
        self._first_probe = threading.Lock()

    def engines(self) -> Iterator[tuple[str, Engine]]:
        """Yield each engine with its name, ``<database>/primary`` or ``<database>/replica-N``."""
        yield f"{self.name}/primary", self.primary
        for replica in self.replicas:
            yield replica.name, replica.engine

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run reading work on a replica that has replayed this context's writes, else on the primary.

        Raises DatabaseUnavailableError when no server answers or no connection becomes free in time.
        """
        if not self._probed:
            self._probe_once()
        if self.replicas and not freshness.primary_only():
            wanted = freshness.mark(self.name)
            turn = next(self._turn)
            for n in range(len(self.replicas)):
                replica = self.replicas[(turn + n) % len(self.replicas)]
                if not replica.answers:
                    continue
                try:
                    with replica.engine.connect() as connection:
                        if not wanted or replica.has_replayed(wanted, connection):
                            return work(connection)
                except PoolTimeoutError as error:
                    raise self._exhausted() from error
                except (DBAPIError, PlacementError) as error:
                    # A replica with another placement may only lag behind: ask the primary.
                    if isinstance(error, PlacementError) or server_is_gone(error):
                        replica.lost(error)
                    elif not lost_a_race(error):
                        raise self._translated(error) from error
        return self._read_primary(work)

    def read_primary(self, work: Callable[[Connection], T]) -> T:
        """Run reading work on the primary, which shows every committed write. Raises as `read` does."""
        return self._read_primary(work)

    def _read_primary(self, work: Callable[[Connection], T]) -> T:
        for attempt in itertools.count(1):
            connected = False
            try:
                with self.primary.connect() as connection:
                    connected = True
                    return work(connection)
            except PoolTimeoutError as error:
                raise self._exhausted() from error
            except DBAPIError as error:
                stale = connected and (server_is_gone(error) or lost_a_race(error))
                if not stale or attempt == ATTEMPTS:
                    raise self._translated(error) from error
        raise AssertionError

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run work in one transaction on the primary and note the WAL position that a replica must have replayed.

        It is run again when it certainly changed nothing: the connection broke before the commit, the server has become
        a standby, or a deadlock or serialization failure ended it. Raises DatabaseUnavailableError and
        OutcomeUnknownError.
        """
        for attempt in itertools.count(1):
            connected = False
            try:
                with self.primary.connect() as connection:
                    connected = True
                    value = self._begin_and_run(connection, work)
                    lsn = self._commit(connection)
            except PoolTimeoutError as error:
                raise self._exhausted() from error
            except DBAPIError as error:
                demoted = refuses_writes(error)
                if demoted:
                    self.primary.dispose()
                repeatable = demoted or (connected and (server_is_gone(error) or lost_a_race(error)))
                if not repeatable or attempt == ATTEMPTS:
                    raise self._translated(error) from error
            else:
                freshness.note_write(self.name, lsn)
                return value
        raise AssertionError

    def _begin_and_run(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        driver: Any = connection.connection.driver_connection
        # Takes a fifth of SQLAlchemy's time. After a failure SQLAlchemy tries too: its exception names the cause.
        if driver.pgconn.exec_(b"BEGIN").status != ExecStatus.COMMAND_OK:
            connection.exec_driver_sql("BEGIN")
        try:
            return work(connection)
        except BaseException:
            self._roll_back(connection)
            raise

    def _commit(self, connection: Connection) -> Lsn:
        """Commit and ask for the WAL position in one round trip. SQLAlchemy cannot: it reads one result a statement."""
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        try:
            cursor.execute(_COMMIT, prepare=False)
        except psycopg.Error as error:
            connection.invalidate()
            raise OutcomeUnknownError(self.name, "the connection broke while committing") from error
        if cursor.statusmessage != "COMMIT":
            raise SwallowedError(f"database {self.name}: the work went on after a statement had failed; it was undone")
        cursor.nextset()
        return freshness.parse_lsn(cursor.fetchone()[0])

    def _roll_back(self, connection: Connection) -> None:
        if connection.invalidated:
            return
        try:
            connection.exec_driver_sql("ROLLBACK")
        except SQLAlchemyError:
            connection.invalidate()

    def probe(self) -> None:
        """Read the primary's newest heartbeat and probe every replica. Never raises."""
        try:
            with self._guard.probing(), self.primary.connect() as connection:
                newest: datetime | None = connection.execute(_NEWEST_HEARTBEAT).scalar()
            self._newest_heartbeat = max(self._newest_heartbeat, newest or NEVER)
        except SQLAlchemyError:
            log.debug("the primary of %s shows no heartbeat", self.name)
        for replica in self.replicas:
            replica.probe(self._newest_heartbeat, max_lag=self._max_lag)

    def cut_frozen(self) -> None:
        """Cut the connections to servers that have not answered a probe for `FROZEN_SECONDS`."""
        if self._guard.cut_if_frozen():
            log.warning("the primary of %s does not answer; its connections were cut", self.name)
        for replica in self.replicas:
            if replica.guard.cut_if_frozen():
                log.warning("replica %s does not answer; its connections were cut", replica.name)

    def _probe_once(self) -> None:
        with self._first_probe:
            if not self._probed:
                self.probe()
                self._probed = True

    def dispose(self, *, close: bool = True) -> None:
        """Drop all pooled connections. After a fork give `close=False`: the sockets belong to the parent."""
        for _, engine in self.engines():
            engine.dispose(close=close)

    def _exhausted(self) -> DatabaseUnavailableError:
        return DatabaseUnavailableError(self.name, "no connection became free in time")

    def _translated(self, error: DBAPIError) -> Exception:
        """Return DatabaseUnavailableError for an error about the server's state, and any other error as it is."""
        if server_is_gone(error) or refuses_writes(error) or lost_a_race(error):
            return DatabaseUnavailableError(
                self.name, "the server cannot be reached or is changing its role", retry_after=2
            )
        if sqlstate(error) in {"57014", "55P03", "53300"}:
            return DatabaseUnavailableError(self.name, "a statement or a lock took too long", retry_after=2)
        return error
