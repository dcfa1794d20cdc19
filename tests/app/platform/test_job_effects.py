"""What jobs leave behind: reports in the file store, mail."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from lms_app.job_kinds import JobType, Queue
from lms_app.jobs.mail import mailer
from tests.app.platform.jobs import ENROLLED, Lms
from tests.app.platform.processes import running, wait_until
from tests.app.servers.moto import CREDENTIALS, MotoServer

pytestmark = pytest.mark.local


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
