"""Moves jobs from the outboxes of all databases to the broker. Any number of relays may run; each row goes through one.

A row is deleted once the broker has confirmed its job. A relay that dies in between leaves the row, and the job is
published again: delivery is at least once, and handlers give a second delivery no effect.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.exc import SQLAlchemyError

from lms_app.db.database import Database
from lms_app.db.tables import outbox
from lms_app.db.unavailable import DatabaseUnavailableError
from lms_app.job_kinds import JobType
from lms_app.jobs.publisher import Job, NotPublishedError, Publisher
from lms_app.shards.databases import Databases

log = logging.getLogger(__name__)

BATCH = 100
IDLE_S = 0.2
TROUBLE_S = 1.0

_NEXT = (
    select(outbox.c.id, outbox.c.job_id, outbox.c.job_type, outbox.c.payload)
    .where(outbox.c.job_type.in_([kind.value for kind in JobType]))  # a newer version's job is left for its relay
    .order_by(outbox.c.id)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_DELETE = delete(outbox).where(outbox.c.job_id.in_(bindparam("job_ids", expanding=True)))


class Relay:
    """Relays the outboxes of all databases, one after the other."""

    def __init__(self, databases: Databases, publisher: Publisher) -> None:
        self._databases = databases
        self._publisher = publisher

    def run(self, stop: threading.Event) -> None:
        """Relay until `stop` is set. A lost broker or database is tried again after `TROUBLE_S`."""
        while not stop.is_set():
            pause = IDLE_S
            for database in self._databases:
                try:
                    while self.relay(database) == BATCH and not stop.is_set():
                        pause = 0
                except (NotPublishedError, DatabaseUnavailableError, SQLAlchemyError) as error:
                    log.warning("the outbox of %s waits: %s", database.name, str(error).splitlines()[0])
                    pause = TROUBLE_S
            stop.wait(pause)

    def relay(self, database: Database) -> int:
        """Publish one batch and return its size. Confirmed rows are deleted before NotPublishedError is raised."""

        def work(connection: Connection) -> tuple[int, NotPublishedError | None]:
            rows = connection.execute(_NEXT).all()
            jobs = [Job(job_type=JobType(row.job_type), job_id=row.job_id, payload=row.payload) for row in rows]
            confirmed: Collection[UUID] = [job.job_id for job in jobs]
            failure = None
            try:
                if jobs:
                    self._publisher.publish(jobs)
            except NotPublishedError as error:
                confirmed, failure = error.confirmed, error
            if confirmed:
                connection.execute(_DELETE, {"job_ids": list(confirmed)})
            return len(rows), failure

        count, failure = database.write(work)
        if failure is not None:
            raise failure
        return count
