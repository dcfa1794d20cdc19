"""The way of a job to its queue: relays, full and deleted queues, queues that others declared."""

from __future__ import annotations

import time
from functools import partial

import pytest

from lms_app.job_kinds import JobType, Queue
from tests.app.platform.jobs import Lms, delete_queue, said
from tests.app.platform.processes import running, wait_until

pytestmark = pytest.mark.local


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


def test_celery_adds_no_delay_queues_of_its_own(lms: Lms):
    with lms.worker(Queue.NOTIFICATION), lms.broker.connection() as connection:
        for name in ("celery_delayed_0", "celery_delayed_27"):
            with pytest.raises(connection.channel_errors, match="NOT_FOUND"):
                connection.channel().queue_declare(name, passive=True)
