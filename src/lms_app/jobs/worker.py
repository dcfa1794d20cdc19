"""The workers: Celery on RabbitMQ's quorum queues.

A message is acknowledged after its job is done. Otherwise:
- the job fails: it is published to a delay queue and then acknowledged; after the last delay it becomes a dead letter;
- the payload or message cannot be read: it becomes a dead letter at once;
- the worker process dies: the broker delivers it again, `topology.DELIVERY_LIMIT` times, then it is a dead letter;
- the broker is lost: it delivers the message again to the next worker that connects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from uuid import UUID

from billiard import current_process
from celery import Celery, Task, signals
from celery.exceptions import Reject
from celery.worker.consumer import Consumer
from pydantic import ValidationError

from lms_app.db.unavailable import PlacementError
from lms_app.job_kinds import JobType, Queue
from lms_app.jobs import topology
from lms_app.jobs.handlers import HANDLERS, Tools, given_up, handle
from lms_app.jobs.publisher import Job, NotPublishedError, Publisher
from lms_app.observability import metrics, slots
from lms_app.settings import Settings

log = logging.getLogger(__name__)

TIME_LIMIT_S = 600
DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class JobConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer, with our queues made before it consumes and unreadable messages dead-lettered."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """Celery's steps without its delay queues, of which it would declare 28: `topology` has the LMS's own."""

        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if step != DELAYED_DELIVERY)

    def connect(self) -> Any:
        connection = super().connect()
        topology.ensure(connection, self.app.conf.job_delays)
        return connection

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        log.error("an unreadable message becomes a dead letter: %s", exc)
        message.reject_log_error(log, self.connection_errors)


def make_celery(settings: Settings) -> Celery:
    """Return the Celery app that knows the queues; it has no tasks yet and opens no connection."""
    celery = Celery("lms", broker=settings.amqp_url.get_secret_value(), set_as_current=False)
    celery.conf.update(
        job_delays=settings.job_retry_delays_s,
        task_queues=[topology.celery_queue(queue) for queue in Queue],
        task_create_missing_queues=False,
        task_default_queue=Queue.ANALYTICS.value,
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=False,
        task_reject_on_worker_lost=True,
        task_time_limit=TIME_LIMIT_S,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_consumer=f"{__name__}:JobConsumer",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=10,
        broker_transport_options={"confirm_publish": True},
    )
    return celery


class Runner:
    """Runs jobs, sends failed ones to a delay queue, and gives up jobs that failed too often or cannot be read.

    It is made before Celery forks its processes and connects to nothing until it is in one of them.
    """

    def __init__(self, tools: Tools, publisher: Publisher, delays: Sequence[float]) -> None:
        self._tools = tools
        self._publisher = publisher
        self._delays = delays

    def add_tasks(self, celery: Celery) -> None:
        """Register one task for each kind of job, under the kind's name."""
        for job_type in HANDLERS:
            celery.task(self._task(job_type), bind=True, name=job_type.value)

    def _task(self, job_type: JobType) -> Callable[..., None]:
        def run(task: Task, **payload: object) -> None:
            self._run(task.request, job_type, payload)

        return run

    def _run(self, request: Any, job_type: JobType, payload: Mapping[str, object]) -> None:
        self._tools.services.databases.watch()
        try:
            handle(self._tools, job_type, UUID(request.id), payload)
        except ValueError as error:  # pydantic's ValidationError is one: no retry will mend it
            self._give_up(job_type, request.id, payload, error)
        except PlacementError as error:  # users are being moved: the try does not count
            self._again(request, job_type, payload, error, tries=request.retries, delay=self._delays[0])
        except Exception as error:
            if request.retries >= len(self._delays):
                self._give_up(job_type, request.id, payload, error)
            delay = self._delays[request.retries]
            self._again(request, job_type, payload, error, tries=request.retries + 1, delay=delay)
        else:
            metrics.jobs_processed.labels(job_type.value, "done").inc()

    def _again(
        self,
        request: Any,
        job_type: JobType,
        payload: Mapping[str, object],
        error: Exception,
        *,
        tries: int,
        delay: float,
    ) -> None:
        log.warning("%s %s failed, again in %g s: %s", job_type.value, request.id, delay, _brief(error))
        again = Job(job_type=job_type, job_id=UUID(request.id), payload=payload, tries=tries, delay=delay)
        try:
            self._publisher.publish([again])
        except NotPublishedError as lost:
            raise Reject(lost, requeue=True) from lost
        metrics.jobs_processed.labels(job_type.value, "retried").inc()

    def _give_up(self, job_type: JobType, job_id: str, payload: Mapping[str, object], error: Exception) -> NoReturn:
        log.error("%s %s becomes a dead letter: %s", job_type.value, job_id, _brief(error))
        try:
            given_up(self._tools, job_type, payload)
        except Exception as lost:  # it becomes a dead letter all the same; housekeeping fails the report later
            log.warning("nobody could be told of it: %s", _brief(lost))
        metrics.jobs_processed.labels(job_type.value, "dead").inc()
        raise Reject(error, requeue=False) from error


def run_worker(celery: Celery, queue: Queue, *, concurrency: int) -> None:
    """Work on one queue until told to stop (SIGTERM: the job at hand is finished first)."""
    metrics.prepare_folder()
    metrics.enter("main")

    @signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def _take_slot(**_: object) -> None:
        metrics.enter(f"worker{current_process().index}")

    @signals.worker_process_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    def _leave(**_: object) -> None:
        metrics.forget_process(slots.current())

    celery.worker_main(
        [
            "worker",
            "--queues",
            queue.value,
            "--concurrency",
            str(concurrency),
            "--hostname",
            f"{queue.value}@%h",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel",
            "INFO",
        ]
    )


def _brief(error: Exception) -> str:
    """Return one line without any value of the payload, which may be personal data."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)
        )
    return f"{type(error).__name__}: {error}".splitlines()[0]
