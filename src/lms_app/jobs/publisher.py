"""Publishes jobs to the broker and waits for its confirmations."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import kombu
from celery import Celery

from lms_app.job_kinds import JobType
from lms_app.jobs import topology
from lms_app.observability import metrics

log = logging.getLogger(__name__)

CONFIRM_S = 10.0
PERSISTENT = 2


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job to publish. `tries` were made before; `delay`, in seconds, is one of the configured delays."""

    job_type: JobType
    job_id: UUID
    payload: Mapping[str, object]
    tries: int = 0
    delay: float | None = None


class NotPublishedError(Exception):
    """The broker is out of reach or did not confirm all jobs. It may still have a job that is not in `confirmed`."""

    def __init__(self, reason: str, confirmed: Collection[UUID]) -> None:
        super().__init__(f"RabbitMQ did not take a job: {reason}")
        self.confirmed = confirmed


class RefusedError(Exception):
    """The broker returned a message or answered it with a nack."""


class Publisher:
    """A connection to the broker, opened when it is needed and again after a loss. For one thread alone."""

    def __init__(self, celery: Celery, url: str, delays: Sequence[float]) -> None:
        self._celery = celery
        self._url = url
        self._delays = delays
        self._connection: Any = None
        self._producer: Any = None
        self._confirms = _Confirms()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def publish(self, jobs: Sequence[Job]) -> None:
        """Publish jobs and wait until the broker has confirmed all. Raises NotPublishedError with the confirmed ids."""
        self._confirms.begin()
        try:
            self._connect()
            for job in jobs:
                self._confirms.expect(job.job_id)
                self._send(job)
            self._confirms.wait(self._connection)
        except Exception as error:  # kombu lets exceptions of sockets, amqp and vine through
            self.close()
            raise NotPublishedError(str(error), self._confirms.confirmed) from error
        finally:
            for job in jobs:
                result = "confirmed" if job.job_id in self._confirms.confirmed else "failed"
                metrics.queue_publish.labels(job.job_type.queue.value, result).inc()

    def close(self) -> None:
        """Close the connection; a broker that is gone is no error."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:
                log.debug("closing the broker's connection: %s", error)

    def _send(self, job: Job) -> None:
        task = self._celery.amqp.as_task_v2(
            str(job.job_id), job.job_type.value, kwargs=dict(job.payload), retries=job.tries
        )
        self._producer.publish(
            task.body,
            exchange="" if job.delay is None else topology.delay_exchange(job.delay),
            routing_key=job.job_type.queue.value,
            headers=task.headers,
            serializer="json",
            delivery_mode=PERSISTENT,
            mandatory=True,
            **task.properties,
        )

    def _connect(self) -> None:
        if self._producer is None:
            self._connection = kombu.Connection(
                self._url,
                connect_timeout=5,
                heartbeat=0,
                transport_options={"read_timeout": CONFIRM_S, "write_timeout": CONFIRM_S},
            )
            topology.ensure(self._connection, self._delays)
            channel = self._connection.channel()
            self._confirms.watch(channel)
            self._producer = kombu.Producer(channel)


class _Confirms:
    """The broker's answers to the messages of a batch.

    They are waited for together: one wait for its disks is enough for all of them. The broker numbers the messages of a
    channel from 1, and returns a message that has no queue before it confirms it.
    """

    def __init__(self) -> None:
        self.confirmed: set[UUID] = set()
        self._refused: dict[UUID, str] = {}
        self._waiting: dict[int, UUID] = {}
        self._last = 0

    def watch(self, channel: Any) -> None:
        """Switch confirmations on for a new channel, whose messages the broker counts from 1."""
        self._last = 0
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)

    def begin(self) -> None:
        """Forget the answers of the batch before."""
        self.confirmed, self._refused, self._waiting = set(), {}, {}

    def expect(self, job_id: UUID) -> None:
        """Note which job the next message of the channel is."""
        self._last += 1
        self._waiting[self._last] = job_id

    def wait(self, connection: Any) -> None:
        """Wait until all messages are answered. Raises TimeoutError, and RefusedError when one was refused."""
        while self._waiting:
            connection.drain_events(timeout=CONFIRM_S)
        if self._refused:
            raise RefusedError(next(iter(self._refused.values())))

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self.confirmed.update(job_id for job_id in self._answered(tag, multiple) if job_id not in self._refused)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._refused.update(dict.fromkeys(self._answered(tag, multiple), "its queue is full or has no leader"))

    def _on_return(self, error: Exception, _exchange: str, queue: str, message: Any) -> None:
        self._refused[UUID(message.properties["correlation_id"])] = f"{queue}: {error}"

    def _answered(self, tag: int, multiple: bool) -> list[UUID]:
        tags = [waiting for waiting in self._waiting if waiting <= tag] if multiple else [tag]
        return [self._waiting.pop(each) for each in tags]
