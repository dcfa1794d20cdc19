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

    def __init__(self, environment: dict[str, str], server: Server, broker: RabbitMqServer, folder: Path) -> None:
        self.environment = environment
        self.server = server
        self.broker = broker
        self.folder = folder
        self.mail = folder / "mail"

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
            wait_until(lambda: "ready." in process.said(), 30, log=process)
            yield process


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
