"""Hands jobs to the broker, and is sure that it has them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import kombu
from celery import Celery

from lms_app.jobs import topology
from lms_app.jobs.kinds import JobType
from lms_app.observability import metrics

log = logging.getLogger(__name__)

CONFIRM_S = 10.0
PERSISTENT = 2


class NotPublishedError(Exception):
    """The broker did not confirm a job, or cannot be reached; the job may be there all the same."""


class Publisher:
    """One connection to the broker, opened when it is needed and again after it was lost. Not for several threads."""

    def __init__(self, celery: Celery, url: str, delays: Sequence[float]) -> None:
        self._celery = celery
        self._url = url
        self._delays = delays
        self._connection: Any = None
        self._producer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def publish(
        self, job_type: JobType, job_id: UUID, payload: Mapping[str, Any], *, tries: int = 0, delay: float | None = None
    ) -> None:
        """Publish a job and wait until the broker has it safe. `tries` were made; it comes `delay` seconds later.

        Raises NotPublishedError.
        """
        queue = job_type.queue.value
        task = self._celery.amqp.as_task_v2(str(job_id), job_type.value, kwargs=dict(payload), retries=tries)
        try:
            self._ready().publish(
                task.body,
                exchange="" if delay is None else topology.delay_exchange(delay),
                routing_key=queue,
                headers=task.headers,
                serializer="json",
                delivery_mode=PERSISTENT,
                mandatory=True,
                confirm_timeout=CONFIRM_S,
                **task.properties,
            )
        except Exception as error:  # kombu lets through what sockets, amqp and vine raise
            metrics.queue_publish.labels(queue, "failed").inc()
            self.close()
            raise NotPublishedError(f"{job_type.value} {job_id}: {error}") from error
        metrics.queue_publish.labels(queue, "confirmed").inc()

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:
                log.debug("closing the broker's connection: %s", error)

    def _ready(self) -> Any:
        if self._producer is None:
            self._connection = connect(self._url)
            topology.ensure(self._connection, self._delays)
            self._producer = kombu.Producer(self._connection.channel())
        return self._producer


def connect(url: str) -> Any:
    """Return a connection that confirms what is published and gives up on a silent broker."""
    return kombu.Connection(
        url,
        connect_timeout=5,
        heartbeat=0,
        transport_options={"confirm_publish": True, "read_timeout": CONFIRM_S, "write_timeout": CONFIRM_S},
    )
