"""The queues and exchanges on the broker.

Each job queue is a quorum queue that dead-letters to `<queue>.dead`. A job that failed waits in a delay queue, one for
each delay, whose messages go back where they came from when their time is up. Nothing is ever requeued in place, so
that no poisonous job goes round at full speed.

Whoever runs the broker may have declared the queues with other limits, or put a policy on them: what is there is left
as it is, and only what is missing is made.
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
"""Deliveries of one message before it is dead-lettered: for jobs that take their worker process with them."""
QUORUM: Mapping[str, object] = {"x-queue-type": "quorum"}
JOB_ARGUMENTS = {
    **QUORUM,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # what at-least-once needs; a full queue leaves jobs in the outbox
    "x-max-length": 100_000,
}


def dead_letter_queue(queue: Queue) -> str:
    """The name of the queue of this queue's dead letters."""
    return f"{queue.value}.dead"


def delay_exchange(seconds: float) -> str:
    """The exchange, and the queue bound to it, whose messages come back after so many seconds."""
    return f"retry.{seconds:g}s"


def ensure(connection: Any, delays: Sequence[float]) -> None:
    """Make what is missing. Raises what kombu raises when the broker is lost."""
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
            "x-dead-letter-exchange": "",  # with the routing key that it came with: back to its queue
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
    """The queue as Celery knows it: a quorum queue that is not its to declare."""
    return kombu.Queue(
        queue.value, kombu.Exchange(""), routing_key=queue.value, queue_arguments=dict(QUORUM), no_declare=True
    )
