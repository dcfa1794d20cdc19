"""The outbox: a job is written in the transaction of the change that it follows from, so both happen or neither.

No broker is needed to write it; the relay publishes it as soon as there is one.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import Connection, bindparam, insert
from sqlalchemy.dialects.postgresql import insert as upsert

from lms_app.db.tables import outbox, processed_jobs
from lms_app.job_kinds import Payload

_INSERT = insert(outbox).values(
    job_id=bindparam("job_id"), job_type=bindparam("job_type"), payload=bindparam("payload")
)
_DONE = (
    upsert(processed_jobs)
    .values(job_id=bindparam("job_id"))
    .on_conflict_do_nothing()
    .returning(processed_jobs.c.job_id)
)


def enqueue(connection: Connection, payload: Payload) -> UUID:
    """Write a job beside the statements of this transaction and return its id."""
    job_id = uuid4()
    connection.execute(
        _INSERT, {"job_id": job_id, "job_type": payload.job_type.value, "payload": payload.model_dump(mode="json")}
    )
    return job_id


def first_time(connection: Connection, job_id: UUID) -> bool:
    """Note in this transaction that a job has its effect; False when it had its effect before.

    Of two workers with the same job, the second waits here until the first one's transaction has ended.
    """
    return connection.execute(_DONE, {"job_id": job_id}).one_or_none() is not None
