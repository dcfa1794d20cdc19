"""`flask relay` and `flask worker QUEUE`: the processes behind the web servers."""

from __future__ import annotations

import signal
import threading

import click
from flask import Flask
from flask.cli import with_appcontext

from lms_app.jobs.handlers import Tools
from lms_app.jobs.kinds import Queue
from lms_app.jobs.mail import mailer
from lms_app.jobs.publisher import Publisher
from lms_app.jobs.relay import Relay
from lms_app.jobs.worker import Runner, make_celery, run_worker
from lms_app.observability import logs, metrics, side_server
from lms_app.services import services
from lms_app.shard_commands import refuse_if_misplaced


def register(app: Flask) -> None:
    """Add the commands to an app."""
    app.cli.add_command(relay)
    app.cli.add_command(worker)


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
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
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
