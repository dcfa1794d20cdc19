"""Jobs on a real RabbitMQ and PostgreSQL: whatever is killed or sent, each job is done once and the queue goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest

from lms_app.app import make_services
from lms_app.db.database import Database
from lms_app.jobs.kinds import JobType, Queue
from lms_app.jobs.mail import mailer
from lms_app.jobs.outbox import enqueue
from lms_app.settings import load_settings
from tests.app.platform.processes import Process, running, wait_until
from tests.app.servers.moto import CREDENTIALS, MotoServer
from tests.app.servers.postgres import Server
from tests.app.servers.rabbitmq import RabbitMqServer, free_port

pytestmark = pytest.mark.local

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
        return self.database.write(lambda connection: enqueue(connection, job_type, payload))

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


@pytest.fixture
def lms(lms_environment, database_server: Server, broker: RabbitMqServer, tmp_path: Path) -> Iterator[Lms]:
    lms = Lms(lms_environment, database_server, broker, tmp_path)
    yield lms
    lms.database.dispose()


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


def test_each_kind_of_job_goes_through_its_queue_to_its_worker_and_is_done(lms: Lms):
    lms.server.query(ENROLLED)
    welcome = lms.write(JobType.WELCOME_EMAIL, {"user_id": 7, "email": "amina@school.example"})
    lms.write(JobType.NOTIFICATION, said("hello"))
    lms.write(JobType.PROGRESS_UPDATE, progress(40))
    with lms.relay(), lms.worker(Queue.EMAIL), lms.worker(Queue.NOTIFICATION), lms.worker(Queue.ANALYTICS) as last:
        wait_until(lambda: lms.processed() == 3, log=last)
    message = (lms.mail / f"{welcome}.eml").read_text()
    assert "To: amina@school.example" in message
    assert "Hello Amina" in message
    assert (lms.mail / f"{welcome}.eml").stat().st_mode & 0o077 == 0
    assert lms.notifications() == ["hello"]
    assert lms.server.query("SELECT progress_percentage, status FROM enrollments") == [(40, "active")]
    assert lms.outbox() == 0


def test_a_job_and_its_cause_are_written_together_or_not_at_all(lms: Lms):
    def work(connection: Any) -> None:
        enqueue(connection, JobType.NOTIFICATION, said("never"))
        raise LookupError("the use case failed")

    with pytest.raises(LookupError):
        lms.database.write(work)
    assert lms.outbox() == 0


def test_a_payload_that_no_worker_could_read_is_refused_where_it_is_written(lms: Lms):
    with pytest.raises(ValueError, match="email"):
        lms.write(JobType.WELCOME_EMAIL, {"user_id": 7, "e_mail": "x"})


def outage(lms: Lms, *, seconds: float, every: float) -> None:
    """Kill the broker for a while under a steady flow of jobs."""
    written: list[str] = []

    def write() -> None:
        written.append(f"job {len(written)}")
        lms.write(JobType.NOTIFICATION, said(written[-1]))

    with lms.relay() as relay, lms.worker(Queue.NOTIFICATION) as worker:
        for _ in range(5):
            write()
        wait_until(lambda: len(lms.notifications()) == 5, log=worker)
        lms.broker.kill()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            write()
            time.sleep(every)
        assert relay.popen.poll() is None
        assert worker.popen.poll() is None
        lms.broker.start()
        write()
        wait_until(lambda: len(lms.notifications()) >= len(written), 60, log=worker)
        time.sleep(0.5)
    assert sorted(lms.notifications()) == sorted(written), "each once"
    assert lms.outbox() == 0


def test_a_broker_that_is_killed_and_comes_back_loses_no_job_and_doubles_none(lms: Lms):
    outage(lms, seconds=3, every=0.1)


@pytest.mark.long
def test_a_broker_that_is_gone_for_30_seconds_loses_no_job_and_doubles_none(lms: Lms):
    outage(lms, seconds=30, every=0.1)


def test_a_worker_killed_in_a_job_leaves_it_to_the_next_and_it_is_done_once(lms: Lms):
    slow_down(lms.server, "notifications", 3)
    try:
        lms.write(JobType.NOTIFICATION, said("once"))
        with lms.relay(), lms.worker(Queue.NOTIFICATION) as doomed:
            wait_until(lambda: _busy(lms.server), log=doomed)
            doomed.kill()
        at_full_speed_soon(lms.server)
        with lms.worker(Queue.NOTIFICATION) as heir:
            wait_until(lambda: lms.notifications() == ["once"], 30, log=heir)
    finally:
        at_full_speed(lms.server, "notifications")


def _busy(server: Server) -> bool:
    return bool(server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def at_full_speed_soon(server: Server) -> None:
    wait_until(lambda: not _busy(server))
    at_full_speed(server, "notifications")


def test_a_worker_process_killed_in_a_job_is_replaced_and_the_job_is_done_once(lms: Lms):
    slow_down(lms.server, "notifications", 2)
    try:
        lms.write(JobType.NOTIFICATION, said("once"))
        with lms.relay(), lms.worker(Queue.NOTIFICATION) as worker:
            wait_until(lambda: _busy(lms.server), log=worker)
            os.kill(worker.children()[-1], signal.SIGKILL)
            wait_until(lambda: lms.notifications() == ["once"], 30, log=worker)
    finally:
        at_full_speed(lms.server, "notifications")
    time.sleep(0.5)
    assert lms.notifications() == ["once"]


def test_a_stopping_worker_finishes_the_job_at_hand(lms: Lms):
    slow_down(lms.server, "notifications", 1.5)
    try:
        lms.write(JobType.NOTIFICATION, said("finished"))
        with lms.relay(), lms.worker(Queue.NOTIFICATION) as worker:
            wait_until(lambda: _busy(lms.server), log=worker)
            assert worker.terminate() == 0
            assert lms.notifications() == ["finished"]
    finally:
        at_full_speed(lms.server, "notifications")
    assert lms.broker.depth(Queue.NOTIFICATION.value) == 0


def test_a_job_that_always_fails_waits_between_tries_becomes_a_dead_letter_and_the_queue_goes_on(lms: Lms):
    poison = {"user_id": 7, "email": "amina@school.example"}
    lms.mail.touch()  # a file where the folder should be: mail cannot be written
    started = time.monotonic()
    job_id = lms.write(JobType.WELCOME_EMAIL, poison)
    with lms.relay(), lms.worker(Queue.EMAIL) as worker:
        wait_until(lambda: lms.broker.depth("email_queue.dead") == 1, log=worker)
        assert time.monotonic() - started > 0.6, "two delays of 0.3 s"
        assert worker.said().count(f"{job_id} failed, again in 0.3 s") == 2
        lms.mail.unlink()
        after = lms.write(JobType.WELCOME_EMAIL, poison)
        wait_until((lms.mail / f"{after}.eml").exists, log=worker)
    dead = lms.broker.take("email_queue.dead")
    assert dead.headers["id"] == str(job_id)
    assert "email_queue" in str(dead.headers["x-death"])


def celery_message(task: str, arguments: list[Any], payload: dict[str, Any], job_id: str = "") -> dict[str, Any]:
    headers = {"task": task, "id": job_id or str(uuid.uuid4()), "lang": "py"}
    return {"body": json.dumps([arguments, payload, {}]).encode(), "headers": headers}


UNREADABLE: dict[str, dict[str, Any]] = {
    "no JSON": {"body": b"{not json"},
    "no text": {"body": b"\xff\xfe\x00"},
    "not Celery's form": {"body": b'{"type": "welcome_email"}'},
    "a pickle": {"body": b"cos\nsystem\n", "content_type": "application/x-python-serialize"},
    "a known job, no JSON": {"body": b"{not json", "headers": celery_message("notification", [], {})["headers"]},
    "a payload that is none": celery_message("notification", [], {"user_id": "who"}),
    "an id that is none": celery_message("notification", [], said("x"), "no uuid"),
    "positional arguments": celery_message("notification", [1, 2], {}),
    "an unknown job": celery_message("no_such_job", [], {}),
}


def test_messages_that_cannot_be_read_become_dead_letters_and_the_queue_goes_on(lms: Lms):
    with lms.relay(), lms.worker(Queue.NOTIFICATION) as worker:
        for message in UNREADABLE.values():
            lms.broker.publish(Queue.NOTIFICATION.value, **message)
        lms.write(JobType.NOTIFICATION, said("the next one"))
        wait_until(lambda: lms.notifications() == ["the next one"], log=worker)
        wait_until(lambda: lms.broker.depth("notification_queue.dead") == len(UNREADABLE), log=worker)
    bodies = [lms.broker.take("notification_queue.dead").body for _ in UNREADABLE]
    dead = {body if isinstance(body, bytes) else body.encode() for body in bodies}
    assert dead == {message["body"] for message in UNREADABLE.values()}
    assert lms.broker.depth(Queue.NOTIFICATION.value) == 0


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_a_completion_counts_once_even_when_its_job_is_delivered_again(lms: Lms):
    lms.server.query(ENROLLED)
    port = free_port()
    metrics = {"LMS_METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(lms.folder / "metrics")}
    with lms.relay(), lms.worker(Queue.ANALYTICS, **metrics) as worker, lms.worker(Queue.NOTIFICATION):
        assert scrape(port)["course_completions_total"] == 0
        job_id = lms.write(JobType.PROGRESS_UPDATE, progress(100))
        wait_until(lambda: lms.processed() >= 1, log=worker)
        for _ in range(3):
            lms.broker.publish(
                Queue.ANALYTICS.value,
                **celery_message("progress_update", [], progress(100), str(job_id)),
            )
        lms.write(JobType.PROGRESS_UPDATE, progress(100))
        lms.write(JobType.PROGRESS_UPDATE, progress(30))
        done = 'jobs_processed_total{job="progress_update",outcome="done"}'
        wait_until(lambda: scrape(port).get(done) == 6, log=worker)
        assert scrape(port)["course_completions_total"] == 1
        os.kill(worker.children()[-1], signal.SIGKILL)
        lms.write(JobType.PROGRESS_UPDATE, progress(100))
        wait_until(lambda: scrape(port).get(done) == 7, log=worker)
        assert scrape(port)["course_completions_total"] == 1, "a replaced process goes on counting"
        wait_until(lambda: len(lms.notifications()) == 1)
    assert lms.server.query("SELECT progress_percentage, status FROM enrollments") == [(100, "completed")]
    assert lms.notifications() == ["You have completed course 3."]


def test_queues_that_others_declared_with_other_limits_are_used_as_they_are(lms: Lms):
    name = Queue.NOTIFICATION.value
    with lms.broker.connection() as connection, connection.channel() as channel:
        channel.queue_delete(name)
        channel.queue_declare(name, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    try:
        lms.write(JobType.NOTIFICATION, said("hello"))
        with lms.relay(), lms.worker(Queue.NOTIFICATION) as worker:
            wait_until(lambda: lms.notifications() == ["hello"], log=worker)
    finally:
        delete_queue(lms.broker, name)


def test_two_relays_publish_each_job_once(lms: Lms):
    for number in range(300):
        lms.write(JobType.NOTIFICATION, said(str(number)))
    with lms.relay(), running(["flask", "relay"], lms.environment, lms.folder / "relay2.log"):
        wait_until(lambda: lms.outbox() == 0, 30)
    wait_until(lambda: lms.broker.depth(Queue.NOTIFICATION.value) == 300)


def test_a_relay_that_is_killed_again_and_again_loses_no_job_and_each_is_done_once(lms: Lms):
    with lms.worker(Queue.NOTIFICATION) as worker:
        for number in range(150):
            lms.write(JobType.NOTIFICATION, said(str(number)))
        for _ in range(3):
            left = lms.outbox()
            with lms.relay() as relay:
                wait_until(partial(progressed, lms, left), log=relay)
                relay.kill()
        with lms.relay():
            wait_until(lambda: lms.outbox() == 0, 30)
            wait_until(lambda: lms.broker.depth(Queue.NOTIFICATION.value) == 0, 30)
        wait_until(lambda: len(lms.notifications()) >= 150, 30, log=worker)
        time.sleep(0.5)
    assert sorted(lms.notifications(), key=int) == [str(number) for number in range(150)]


def progressed(lms: Lms, left: int) -> bool:
    """Whether a relay has published something: a batch is under way, or done."""
    return lms.outbox() < left or bool(lms.broker.depth(Queue.NOTIFICATION.value)) or len(lms.notifications()) > 0


def test_a_queue_that_is_deleted_under_a_running_relay_is_made_again_and_no_job_is_lost(lms: Lms):
    name = Queue.NOTIFICATION.value
    with lms.relay() as relay:
        lms.write(JobType.NOTIFICATION, said("first"))
        wait_until(lambda: lms.broker.depth(name) == 1, log=relay)
        delete_queue(lms.broker, name)
        lms.write(JobType.NOTIFICATION, said("second"))
        wait_until(lambda: lms.broker.depth(name) == 1, log=relay)
        assert "NO_ROUTE" in relay.said()
        assert lms.outbox() == 0
        assert relay.terminate(10) == 0


def test_a_full_queue_leaves_jobs_in_the_outbox_until_there_is_room(lms: Lms):
    name = Queue.NOTIFICATION.value
    limits = {"x-queue-type": "quorum", "x-max-length": 5, "x-overflow": "reject-publish"}
    delete_queue(lms.broker, name)
    with lms.broker.connection() as connection, connection.channel() as channel:
        channel.queue_declare(name, durable=True, auto_delete=False, arguments=limits)
    try:
        with lms.relay() as relay:
            for number in range(40):  # the limit is soft: what is under way when it is reached still gets in
                lms.write(JobType.NOTIFICATION, said(str(number)))
                if number % 10 == 9:
                    wait_until(lambda: lms.outbox() == 0 or "its queue is full" in relay.said(), log=relay)
            assert "its queue is full" in relay.said()
            assert lms.outbox() > 0
            with lms.worker(Queue.NOTIFICATION) as worker:
                wait_until(lambda: len(lms.notifications()) == 40, 60, log=worker)
    finally:
        delete_queue(lms.broker, name)
    assert lms.outbox() == 0


def delete_queue(broker: RabbitMqServer, name: str) -> None:
    with broker.connection() as connection, connection.channel() as channel:
        channel.queue_delete(name)


def test_celery_adds_no_delay_queues_of_its_own(lms: Lms):
    with lms.worker(Queue.NOTIFICATION), lms.broker.connection() as connection:
        for name in ("celery_delayed_0", "celery_delayed_27"):
            with pytest.raises(connection.channel_errors, match="NOT_FOUND"):
                connection.channel().queue_declare(name, passive=True)


def test_an_ordered_report_is_made_by_its_worker(lms: Lms, file_store: MotoServer):
    lms.server.query(ENROLLED)
    lms.environment |= {"LMS_MEDIA_BUCKET": file_store.bucket, "LMS_S3_ENDPOINT_URL": file_store.url} | CREDENTIALS
    report_id = str(uuid.uuid4())
    lms.server.query("INSERT INTO reports (id, owner_id, course_id, format) VALUES (%s, 1, 3, 'csv')", report_id)
    lms.write(JobType.REPORT, {"report_id": report_id})
    lms.write(JobType.REPORT, {"report_id": str(uuid.uuid4())})
    with lms.relay(), lms.worker(Queue.ANALYTICS) as worker:
        wait_until(lambda: lms.server.query("SELECT status FROM reports") == [("done",)], log=worker)
        wait_until(lambda: worker.said().count("Task report") >= 2, log=worker)
    assert "amina@school.example" in file_store.body(f"reports/{report_id}.csv").decode()
    assert lms.broker.depth("analytics_queue.dead") == 0, "a report that was deleted is no failure"


def test_a_report_that_is_given_up_is_shown_as_failed_and_is_done_when_made_after_all(lms: Lms, file_store: MotoServer):
    there = {"LMS_MEDIA_BUCKET": file_store.bucket, "LMS_S3_ENDPOINT_URL": file_store.url} | CREDENTIALS
    nowhere = there | {"LMS_S3_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    report_id = str(uuid.uuid4())
    lms.server.query("INSERT INTO reports (id, owner_id, course_id, format) VALUES (%s, 1, 3, 'csv')", report_id)
    state = "SELECT status, finished_at IS NOT NULL FROM reports"
    lms.write(JobType.REPORT, {"report_id": report_id})
    with lms.relay(), lms.worker(Queue.ANALYTICS, **nowhere) as worker:
        wait_until(lambda: lms.broker.depth("analytics_queue.dead") == 1, 60, log=worker)
        wait_until(lambda: lms.server.query(state) == [("failed", True)], log=worker)
    lms.write(JobType.REPORT, {"report_id": report_id})
    with lms.relay(), lms.worker(Queue.ANALYTICS, **there) as worker:
        wait_until(lambda: lms.server.query(state) == [("done", True)], log=worker)


def test_the_email_worker_refuses_to_start_without_a_way_to_send(lms: Lms):
    environment = {name: value for name, value in lms.environment.items() if name != "LMS_MAIL_URL"}
    with running(["flask", "worker", "email_queue"], environment, lms.folder / "log") as process:
        assert process.popen.wait(20) == 1
    assert "LMS_MAIL_URL" in process.said()
    assert "Traceback" not in process.said()


def test_mail_goes_out_by_smtp_with_an_id_that_tells_a_second_copy(tmp_path: Path):
    received: list[bytes] = []
    with _smtp_server(received) as port:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@x.example", "b@y.example", "Hi"
        message.set_content("hello")
        job_id = uuid.uuid4()
        mailer(f"smtp://127.0.0.1:{port}")(message, job_id)
    assert f"Message-ID: <{job_id}@watoto.invalid>".encode() in received[0]


@contextmanager
def _smtp_server(received: list[bytes]) -> Iterator[int]:
    """The smallest server that takes one message (RFC 5321)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:

            def answer(text: bytes) -> None:
                stream.write(text + b"\r\n")
                stream.flush()

            answer(b"220 ready")
            while line := stream.readline():
                command = line[:4].upper()
                if command == b"DATA":
                    answer(b"354 go on")
                    body = b""
                    while (part := stream.readline()) != b".\r\n":
                        body += part
                    received.append(body)
                answer(b"221 bye" if command == b"QUIT" else b"250 ok")
                if command == b"QUIT":
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)
    listener.close()
