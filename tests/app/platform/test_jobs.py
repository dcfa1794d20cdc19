"""Jobs on a real RabbitMQ and PostgreSQL: whatever is killed or sent, each job is done once and the queue goes on."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
import uuid
from typing import Any

import pytest

from lms_app.db.outbox import enqueue
from lms_app.job_kinds import JobType, Notification, Queue
from tests.app.platform.jobs import ENROLLED, Crew, Lms, at_full_speed, progress, said, slow_down
from tests.app.platform.processes import wait_until
from tests.app.servers.postgres import Server
from tests.app.servers.rabbitmq import free_port

pytestmark = pytest.mark.local


def test_each_kind_of_job_goes_through_its_queue_to_its_worker_and_is_done(lms: Lms, crew: Crew):
    lms.server.query(ENROLLED)
    welcome = lms.write(JobType.WELCOME_EMAIL, {"user_id": 7, "email": "amina@school.example"})
    lms.write(JobType.NOTIFICATION, said("hello"))
    lms.write(JobType.PROGRESS_UPDATE, progress(40))
    crew.relay()
    *_, last = crew.workers(Queue.EMAIL, Queue.NOTIFICATION, Queue.ANALYTICS)
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
        enqueue(connection, Notification.model_validate(said("never")))
        raise LookupError("the use case failed")

    with pytest.raises(LookupError):
        lms.database.write(work)
    assert lms.outbox() == 0


def test_a_payload_that_no_worker_could_read_is_refused_where_it_is_written(lms: Lms):
    with pytest.raises(ValueError, match="email"):
        lms.write(JobType.WELCOME_EMAIL, {"user_id": 7, "e_mail": "x"})


def outage(lms: Lms, crew: Crew, *, seconds: float, every: float) -> None:
    """Kill the broker for a while under a steady flow of jobs."""
    written: list[str] = []

    def write() -> None:
        written.append(f"job {len(written)}")
        lms.write(JobType.NOTIFICATION, said(written[-1]))

    relay, worker = crew.relay(), crew.worker(Queue.NOTIFICATION)
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


def test_a_broker_that_is_killed_and_comes_back_loses_no_job_and_doubles_none(lms: Lms, crew: Crew):
    outage(lms, crew, seconds=3, every=0.1)


@pytest.mark.long
def test_a_broker_that_is_gone_for_30_seconds_loses_no_job_and_doubles_none(lms: Lms, crew: Crew):
    outage(lms, crew, seconds=30, every=0.1)


def test_a_worker_killed_in_a_job_leaves_it_to_the_next_and_it_is_done_once(lms: Lms, crew: Crew):
    slow_down(lms.server, "notifications", 3)
    try:
        lms.write(JobType.NOTIFICATION, said("once"))
        crew.relay()
        doomed = crew.worker(Queue.NOTIFICATION)
        wait_until(lambda: _busy(lms.server), log=doomed)
        doomed.kill()
        at_full_speed_soon(lms.server)
        heir = crew.worker(Queue.NOTIFICATION)
        wait_until(lambda: lms.notifications() == ["once"], 30, log=heir)
    finally:
        at_full_speed(lms.server, "notifications")


def _busy(server: Server) -> bool:
    return bool(server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def at_full_speed_soon(server: Server) -> None:
    wait_until(lambda: not _busy(server))
    at_full_speed(server, "notifications")


def test_a_worker_process_killed_in_a_job_is_replaced_and_the_job_is_done_once(lms: Lms, crew: Crew):
    slow_down(lms.server, "notifications", 2)
    try:
        lms.write(JobType.NOTIFICATION, said("once"))
        crew.relay()
        worker = crew.worker(Queue.NOTIFICATION)
        wait_until(lambda: _busy(lms.server), log=worker)
        os.kill(worker.children()[-1], signal.SIGKILL)
        wait_until(lambda: lms.notifications() == ["once"], 30, log=worker)
    finally:
        at_full_speed(lms.server, "notifications")
    time.sleep(0.5)
    assert lms.notifications() == ["once"]


def test_a_stopping_worker_finishes_the_job_at_hand(lms: Lms, crew: Crew):
    slow_down(lms.server, "notifications", 1.5)
    try:
        lms.write(JobType.NOTIFICATION, said("finished"))
        crew.relay()
        worker = crew.worker(Queue.NOTIFICATION)
        wait_until(lambda: _busy(lms.server), log=worker)
        assert worker.terminate() == 0
        assert lms.notifications() == ["finished"]
    finally:
        at_full_speed(lms.server, "notifications")
    assert lms.broker.depth(Queue.NOTIFICATION.value) == 0


def test_a_job_that_always_fails_waits_between_tries_becomes_a_dead_letter_and_the_queue_goes_on(lms: Lms, crew: Crew):
    poison = {"user_id": 7, "email": "amina@school.example"}
    lms.mail.touch()  # a file where the folder should be: mail cannot be written
    crew.relay()
    worker = crew.worker(Queue.EMAIL)
    started = time.monotonic()
    job_id = lms.write(JobType.WELCOME_EMAIL, poison)
    wait_until(lambda: lms.broker.depth("email_queue.dead") == 1, log=worker)
    assert time.monotonic() - started > 0.6, "two delays of 0.3 s"
    assert worker.said().count(f"{job_id} failed, again in 0.3 s") == 2
    lms.mail.unlink()
    after = lms.write(JobType.WELCOME_EMAIL, poison)
    wait_until((lms.mail / f"{after}.eml").exists, log=worker)
    dead = lms.broker.take("email_queue.dead")
    assert dead.headers["id"] == str(job_id)
    assert "email_queue" in str(dead.headers["x-death"])


def test_a_job_of_a_worker_whose_map_is_not_in_force_waits_as_long_as_that_lasts_and_is_done_once(lms: Lms, crew: Crew):
    worker, relay = crew.new_worker(Queue.NOTIFICATION), crew.relay()
    lms.write(JobType.WELCOME_EMAIL, {"user_id": 7, "email": "amina@school.example"})
    wait_until(lambda: lms.outbox() == 0, log=relay)  # it has its connection now; the worker has none yet
    lms.server.query("UPDATE shard_placement SET also = 'elsewhere' WHERE shard = 0")
    try:
        job_id = lms.write(JobType.NOTIFICATION, said("patience"))
        # Twice is as often as a job may fail.
        wait_until(lambda: worker.said().count(f"{job_id} failed, again in 0.3 s") > 3, log=worker)
        assert lms.notifications() == []
    finally:
        lms.server.query("UPDATE shard_placement SET also = NULL")
    wait_until(lambda: lms.notifications() == ["patience"], log=worker)
    assert lms.broker.depth("notification_queue.dead") == 0


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


def test_messages_that_cannot_be_read_become_dead_letters_and_the_queue_goes_on(lms: Lms, crew: Crew):
    crew.relay()
    worker = crew.worker(Queue.NOTIFICATION)
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


def test_a_completion_counts_once_even_when_its_job_is_delivered_again(lms: Lms, crew: Crew):
    lms.server.query(ENROLLED)
    port = free_port()
    metrics = {"LMS_METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(lms.folder / "metrics")}
    crew.relay()
    crew.worker(Queue.NOTIFICATION)
    worker = crew.worker(Queue.ANALYTICS, **metrics)
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
