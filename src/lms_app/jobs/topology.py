"""The queues and exchanges on the broker.

Each job queue is a quorum queue that dead-letters to `<queue>.dead`. A job that failed waits in a delay queue, one for
each delay, whose messages go back where they came from when their time is up. Nothing is ever requeued in place, so
that no job that always fails goes round at full speed.

The broker's operator may have declared queues with other limits, or set a policy on them. So existing queues are left
as they are, and only missing ones are declared.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import kombu

from lms_app.job_kinds import Queue

log = logging.getLogger(__name__)

DEAD_LETTER_EXCHANGE = "dlx"
DELIVERY_LIMIT = 5
"""Deliveries of a message before it is dead-lettered: the limit for jobs that kill their worker process."""
QUORUM: Mapping[str, object] = {"x-queue-type": "quorum"}
JOB_ARGUMENTS = {
    **QUORUM,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # at-least-once requires it; a full queue leaves jobs in the outbox
    "x-max-length": 100_000,
}


def dead_letter_queue(queue: Queue) -> str:
    """Return the name of the queue that holds this queue's dead letters."""
    return f"{queue.value}.dead"


def delay_exchange(seconds: float) -> str:
    """Return the name of the exchange, and of its queue, whose messages go back to their queue after this delay."""
    return f"retry.{seconds:g}s"


def ensure(connection: Any, delays: Sequence[float]) -> None:
    """Declare the exchanges and queues that are missing. Raises kombu's exceptions when the broker is lost."""
    with connection.channel() as channel:
        channel.exchange_declare(DEAD_LETTER_EXCHANGE, "direct", durable=True, auto_delete=False)
        for seconds in delays:
            channel.exchange_declare(delay_exchange(seconds), "fanout", durable=True, auto_delete=False)
    for queue in Queue:
        _ensure_queue(connection, dead_letter_queue(queue), QUORUM, bind=(DEAD_LETTER_EXCHANGE, queue.value))
        _ensure_queue(connection, queue.value, JOB_ARGUMENTS)
    for seconds in delays:
        name = delay_exchange(seconds)
        arguments = {
            **QUORUM,
            "x-message-ttl": int(seconds * 1000),
            "x-dead-letter-exchange": "",  # the default exchange, with the message's own routing key: back to its queue
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        _ensure_queue(connection, name, arguments, bind=(name, ""))


def _ensure_queue(
    connection: Any, name: str, arguments: Mapping[str, object], *, bind: tuple[str, str] | None = None
) -> None:
    channel = connection.channel()
    try:
        try:
            channel.queue_declare(name, passive=True)
        except connection.channel_errors:
            channel = connection.channel()
            channel.queue_declare(name, durable=True, auto_delete=False, arguments=dict(arguments))
            log.info("made the queue %s", name)
        if bind is not None:
            channel.queue_bind(name, *bind)
    finally:
        channel.close()


def celery_queue(queue: Queue) -> kombu.Queue:
    """Return the queue for Celery: a quorum queue that `ensure` declares and Celery does not."""
    return kombu.Queue(
        queue.value, kombu.Exchange(""), routing_key=queue.value, queue_arguments=dict(QUORUM), no_declare=True
    )
