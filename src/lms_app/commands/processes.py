"""`flask relay`, `flask worker QUEUE` and `flask heartbeat`: the processes behind the web servers."""

from __future__ import annotations

import signal
import sys
import threading

import click
from flask.cli import with_appcontext

from lms_app.commands.operation import Operation
from lms_app.commands.shards import refuse_if_misplaced
from lms_app.db import heartbeat
from lms_app.job_kinds import Queue
from lms_app.jobs.handlers import Tools
from lms_app.jobs.mail import mailer
from lms_app.jobs.publisher import Publisher
from lms_app.jobs.relay import Relay
from lms_app.jobs.worker import Runner, make_celery, run_worker
from lms_app.observability import logs, metrics, side_server
from lms_app.services import services


@click.command("relay")
@with_appcontext
def relay() -> None:
    """Hand the jobs of all outboxes to the broker until told to stop (SIGTERM, SIGINT)."""
    lms = services()
    settings = lms.settings
    refuse_if_misplaced(settings)
    logs.configure(settings.log_level)
    metrics.prepare_folder()
    metrics.enter("relay")
    stop = _told_to_stop()
    side_server.start(settings.metrics_port)
    url = settings.amqp_url.get_secret_value()
    with Publisher(make_celery(settings), url, settings.job_retry_delays_s) as publisher:
        Relay(lms.databases, publisher).run(stop)


@click.command("worker")
@click.argument("queue", type=click.Choice([queue.value for queue in Queue]))
@with_appcontext
def worker(queue: str) -> None:
    """Do the jobs of one queue until told to stop (SIGTERM: the one at hand is finished first)."""
    settings = services().settings
    if queue == Queue.EMAIL and settings.mail_url is None:
        raise click.ClickException("the worker of email_queue needs LMS_MAIL_URL: smtp://host:port or file:///folder")
    refuse_if_misplaced(settings)
    logs.configure(settings.log_level)
    side_server.start(settings.metrics_port)
    tools = Tools(
        services=services(),
        send_mail=None if settings.mail_url is None else mailer(settings.mail_url.get_secret_value()),
        mail_from=settings.mail_from,
    )
    celery = make_celery(settings)
    publisher = Publisher(celery, settings.amqp_url.get_secret_value(), settings.job_retry_delays_s)
    Runner(tools, publisher, settings.job_retry_delays_s).add_tasks(celery)
    run_worker(celery, Queue(queue), concurrency=settings.worker_concurrency)


@click.command("heartbeat", cls=Operation)
@click.option("--interval", type=click.FloatRange(min=0.1), default=heartbeat.INTERVAL_SECONDS, show_default=True)
@click.option("--once", is_flag=True, help="Write one heartbeat to every database and end.")
@with_appcontext
def beat(interval: float, *, once: bool) -> None:
    """Write the heartbeat of every database until told to stop (SIGTERM, SIGINT)."""
    databases = services().databases
    refuse_if_misplaced(services().settings)
    if once:
        for database in databases:
            heartbeat.beat(database)
        return
    stop = _told_to_stop()
    side_server.start(services().settings.metrics_port)
    heartbeat.run(databases, stop, interval=interval)
    sys.stderr.flush()


def _told_to_stop() -> threading.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


COMMANDS = (relay, worker, beat)
