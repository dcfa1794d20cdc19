"""What the tests of jobs do with the LMS's processes, and the jobs they write."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from lms_app.app import make_services
from lms_app.db.database import Database
from lms_app.db.outbox import enqueue
from lms_app.job_kinds import JobType, Queue
from lms_app.settings import load_settings
from tests.app.platform.processes import Process, running, wait_until
from tests.app.servers.postgres import Server
from tests.app.servers.rabbitmq import RabbitMqServer

ENROLLED = "INSERT INTO enrollments (user_id, course_id) VALUES (7, 3)"


class Lms:
    """What a test does with the LMS's processes and sees of their work."""

    def __init__(
        self, environment: dict[str, str], server: Server, broker: RabbitMqServer, folder: Path, mail: Path
    ) -> None:
        self.environment = environment
        self.server = server
        self.broker = broker
        self.folder = folder
        self.mail = mail

    def write(self, job_type: JobType, payload: dict[str, Any]) -> uuid.UUID:
        """Write a job as a use case does, in a transaction on the database."""
        return self.database.write(lambda connection: enqueue(connection, job_type.payload.model_validate(payload)))

    @cached_property
    def database(self) -> Database:
        return make_services(load_settings(self.environment_of_settings())).databases.catalogue

    def environment_of_settings(self) -> dict[str, str]:
        return {name: value for name, value in self.environment.items() if name.startswith("LMS_")}

    def outbox(self) -> int:
        return int(self.server.query("SELECT count(*) FROM outbox")[0][0])

    def notifications(self) -> list[str]:
        return [row[0] for row in self.server.query("SELECT message FROM notifications ORDER BY id")]

    def processed(self) -> int:
        return int(self.server.query("SELECT count(*) FROM processed_jobs")[0][0])

    @contextmanager
    def relay(self) -> Iterator[Process]:
        with running(["flask", "relay"], self.environment, self.folder / "relay.log") as process:
            yield process

    @contextmanager
    def worker(self, queue: Queue, **extra: str) -> Iterator[Process]:
        log = self.folder / f"{queue.value}-{uuid.uuid4().hex[:6]}.log"
        with running(["flask", "worker", queue.value], self.environment | extra, log) as process:
            _wait_until_ready(process)
            yield process


class Crew:
    """The LMS's background processes: each is started when it is first asked for, and kept for the tests that follow.

    One that a test has killed, or that is asked for with another environment, is started anew.
    """

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._running: dict[str, tuple[dict[str, str], Process]] = {}

    def relay(self) -> Process:
        return self._start("relay", ["flask", "relay"], {})

    def workers(self, *queues: Queue) -> list[Process]:
        """Give the worker of each queue, once they are all ready."""
        workers = [self._start(queue.value, ["flask", "worker", queue.value], {}) for queue in queues]
        for worker in workers:
            _wait_until_ready(worker)
        return workers

    def worker(self, queue: Queue, **extra: str) -> Process:
        worker = self._start(queue.value, ["flask", "worker", queue.value], extra)
        _wait_until_ready(worker)
        return worker

    def new_worker(self, queue: Queue) -> Process:
        """Give a worker that has done nothing yet, in place of the one that runs."""
        self._end(queue.value)
        return self.worker(queue)

    def close(self) -> None:
        for name in list(self._running):
            self._end(name)

    def _start(self, name: str, arguments: list[str], extra: dict[str, str]) -> Process:
        if name in self._running:
            known, process = self._running[name]
            if known == extra and process.popen.poll() is None:
                return process
            self._end(name)
        log = self._folder / f"{name}-{uuid.uuid4().hex[:6]}.log"
        process = Process(arguments, self._environment | extra, log)
        self._running[name] = extra, process
        return process

    def _end(self, name: str) -> None:
        if name in self._running:
            self._running.pop(name)[1].kill()


def _wait_until_ready(worker: Process) -> None:
    wait_until(lambda: "ready." in worker.said(), 30, log=worker)


def said(text: str) -> dict[str, Any]:
    return {"user_id": 7, "notification": {"kind": "note", "message": text}}


def progress(percent: int) -> dict[str, Any]:
    return {"enrollment_id": "7-3", "progress_data": {"progress_percentage": percent}}


def slow_down(server: Server, table: str, seconds: float) -> None:
    """Make every insert or update of a table take its time, so that a worker can be killed in the middle of a job."""
    server.query(
        f"CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$"
    )
    server.query(f"CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION slow()")


def at_full_speed(server: Server, table: str) -> None:
    server.query(f"DROP TRIGGER IF EXISTS slow ON {table}")


def delete_queue(broker: RabbitMqServer, name: str) -> None:
    with broker.connection() as connection, connection.channel() as channel:
        channel.queue_delete(name)
