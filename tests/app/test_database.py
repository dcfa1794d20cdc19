"""What the LMS does when a database server is slow, gone, restarted or promoted."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lms_app.db import freshness, heartbeat
from lms_app.db.database import SwallowedError
from lms_app.db.unavailable import OutcomeUnknownError
from lms_app.domain.identity import Role
from tests.app.conftest import Caller, Cluster, services_of
from tests.app.servers.postgres import DATABASE, ROLE

pytestmark = pytest.mark.local
DEADLINE_SECONDS = 15.0


def wait_until(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def add_course(cluster: Cluster, title: str = "Algebra") -> int:
    sql = "INSERT INTO courses (title, teacher_id, is_published) VALUES (%s, 1, true) RETURNING id"
    course_id: int = cluster.primary.query(sql, title)[0][0]
    cluster.wait_for_replay()
    return course_id


def selects(server, like: str = "%FROM courses%") -> int:
    sql = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE query LIKE 'SELECT%%' AND query LIKE %s"
    count: int = server.query(sql, like)[0][0]
    return count


def test_no_request_fails_when_a_replica_is_killed_and_it_is_used_again_when_it_is_back(cluster):
    course_id = add_course(cluster)
    app = cluster.app()
    caller = Caller(app, None)
    failures, stop = [], threading.Event()

    def ask() -> None:
        mine = Caller(app, None)
        while not stop.is_set():
            if (status := mine.get(f"/api/courses/{course_id}").status_code) != 200:
                failures.append(status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: selects(cluster.replica) > 50)
        cluster.replica.stop(signal.SIGQUIT)
        before = selects(cluster.primary)
        wait_until(lambda: selects(cluster.primary) > before + 50)
        cluster.replica.start()
        replica = services_of(app).databases.catalogue.replicas[0]
        wait_until(lambda: replica.answers)
        before = selects(cluster.replica)
        wait_until(lambda: selects(cluster.replica) > before + 50)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert caller.get("/api/courses").status_code == 200


def test_a_frozen_replica_is_left_within_seconds_and_no_request_fails(cluster):
    course_id = add_course(cluster)
    app = cluster.app()
    assert Caller(app, None).get("/api/courses").status_code == 200
    answers: list[int] = []
    cluster.replica.freeze()
    try:
        started = time.monotonic()
        threads = [
            threading.Thread(
                target=lambda: answers.append(Caller(app, None).get(f"/api/courses/{course_id}").status_code)
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        assert answers == [200] * 4
        assert time.monotonic() - started < 10
    finally:
        cluster.replica.thaw()
    (replica,) = services_of(app).databases.catalogue.replicas
    wait_until(lambda: replica.answers)


def test_a_frozen_primary_makes_no_request_wait_for_ever(lone_cluster):
    course_id = add_course(lone_cluster)
    app = lone_cluster.app()
    student = Caller(app, 7, Role.STUDENT)
    assert student.post("/api/enrollments", {"course_id": course_id}).status_code == 201
    lone_cluster.primary.freeze()
    try:
        started = time.monotonic()
        assert student("DELETE", f"/api/enrollments/7-{course_id}").status_code == 503
        assert time.monotonic() - started < 15
    finally:
        lone_cluster.primary.thaw()
    wait_until(lambda: student("DELETE", f"/api/enrollments/7-{course_id}").status_code == 204)


def test_a_replica_that_lags_is_left_out_until_it_has_caught_up(cluster):
    app = cluster.app(replica_lag_max_s=6)
    database = services_of(app).databases.catalogue
    heartbeat.beat(database)
    cluster.wait_for_replay()
    database.probe()
    (replica,) = database.replicas
    assert replica.answers
    cluster.replica.suspend_replay()
    cluster.primary.query("INSERT INTO watoto_heartbeat VALUES (now() + interval '7 s', pg_current_wal_lsn())")
    database.probe()
    assert replica.lag_seconds > 6
    assert not replica.answers
    course_id = None
    sql = "INSERT INTO courses (title, teacher_id, is_published) VALUES ('New', 1, true) RETURNING id"
    course_id = cluster.primary.query(sql)[0][0]
    assert Caller(app, None).get(f"/api/courses/{course_id}").status_code == 200
    cluster.replica.resume_replay()
    wait_until(lambda: database.probe() or replica.answers)


def test_a_lost_heartbeat_writer_or_a_lost_primary_does_not_make_replicas_look_late(cluster):
    add_course(cluster)
    app = cluster.app(replica_lag_max_s=6)
    database = services_of(app).databases.catalogue
    cluster.primary.query("INSERT INTO watoto_heartbeat VALUES (now() - interval '1 day', pg_current_wal_lsn())")
    cluster.wait_for_replay()
    database.probe()
    assert database.replicas[0].answers
    cluster.primary.stop()
    database.probe()
    assert database.replicas[0].answers
    assert Caller(app, None).get("/api/courses").status_code == 200


def test_users_read_their_own_writes_while_the_replica_is_behind(cluster):
    course_id = add_course(cluster)
    app = cluster.app()
    student = Caller(app, 7, Role.STUDENT)
    another = Caller(app, 8, Role.STUDENT)
    assert student.get("/api/enrollments").json["items"] == []
    cluster.replica.suspend_replay()
    assert student.post("/api/enrollments", {"course_id": course_id}).status_code == 201
    assert [item["course_id"] for item in student.get("/api/enrollments").json["items"]] == [course_id]
    before = selects(cluster.replica, "%FROM enrollments%")
    another.get("/api/enrollments")
    assert selects(cluster.replica, "%FROM enrollments%") == before + 1, "others go on reading from the replica"


def test_the_position_of_a_write_travels_in_a_header_too_and_a_forged_one_is_ignored(cluster):
    course_id = add_course(cluster)
    cluster.replica.suspend_replay()
    first = Caller(cluster.app(), 7, Role.STUDENT)
    answer = first.post("/api/enrollments", {"course_id": course_id})
    elsewhere = Caller(cluster.app(), 7, Role.STUDENT)
    assert elsewhere.get("/api/enrollments").json["items"] == []
    known = {"Lms-Read-After": answer.headers["Lms-Read-After"]}
    assert len(elsewhere.get("/api/enrollments", headers=known).json["items"]) == 1
    forged = {"Lms-Read-After": answer.headers["Lms-Read-After"][:-2] + "xx"}
    assert elsewhere.get("/api/enrollments", headers=forged).json["items"] == []


def test_once_the_replica_has_replayed_the_write_it_serves_the_writer_again(cluster):
    course_id = add_course(cluster)
    app = cluster.app()
    student = Caller(app, 7, Role.STUDENT)
    student.post("/api/enrollments", {"course_id": course_id})
    cluster.wait_for_replay()
    before = selects(cluster.replica, "%FROM enrollments%")
    assert len(student.get("/api/enrollments").json["items"]) == 1
    assert selects(cluster.replica, "%FROM enrollments%") == before + 1


def test_while_the_primary_is_down_reads_go_on_and_writes_are_answered_503_and_after_its_restart_they_work(cluster):
    course_id = add_course(cluster)
    app = cluster.app()
    student = Caller(app, 7, Role.STUDENT)
    assert student.post("/api/enrollments", {"course_id": course_id}).status_code == 201
    another = add_course(cluster, "Biology")
    cluster.primary.stop()
    assert student.get("/api/courses").status_code == 200
    refused = student.post("/api/enrollments", {"course_id": another})
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.mimetype == "application/problem+json"
    cluster.primary.start()
    assert student.post("/api/enrollments", {"course_id": another}).status_code == 201


def test_a_primary_restarted_between_two_writes_is_not_noticed(cluster):
    first, second = add_course(cluster), add_course(cluster, "Biology")
    student = Caller(cluster.app(), 7, Role.STUDENT)
    assert student.post("/api/enrollments", {"course_id": first}).status_code == 201
    cluster.primary.stop()
    cluster.primary.start()
    assert student.post("/api/enrollments", {"course_id": second}).status_code == 201


def test_after_a_promotion_writes_go_to_the_new_primary_without_a_change_of_settings(cluster):
    course_id = add_course(cluster)
    hosts = ",".join(quote(str(server.socket), safe="") for server in (cluster.primary, cluster.replica))
    url = f"postgresql://{ROLE}:{cluster.primary.password}@{hosts}/{DATABASE}"
    app = cluster.app(database_primary_url=url)
    student = Caller(app, 7, Role.STUDENT)
    assert student.post("/api/enrollments", {"course_id": course_id}).status_code == 201
    cluster.wait_for_replay()
    cluster.primary.stop(signal.SIGQUIT)
    cluster.replica.promote()
    wait_until(lambda: student.get("/api/courses").status_code == 200)
    wait_until(
        lambda: Caller(app, 8, Role.STUDENT).post("/api/enrollments", {"course_id": course_id}).status_code == 201
    )
    assert cluster.replica.query("SELECT count(*) FROM enrollments") == [(2,)]


def test_a_primary_that_has_become_a_standby_is_left_for_the_new_one(cluster):
    """The old connection is alive, and refuses writes (25006)."""
    course_id = add_course(cluster)
    student = Caller(cluster.app(), 7, Role.STUDENT)
    student.post("/api/enrollments", {"course_id": course_id})
    cluster.primary.query("ALTER ROLE watoto_user SET default_transaction_read_only = on", database="postgres")
    database = services_of(student.client.application).databases.catalogue
    with database.primary.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")
    another = add_course(cluster, "Biology")
    assert student.post("/api/enrollments", {"course_id": another}).status_code == 503
    cluster.primary.query("ALTER ROLE watoto_user RESET default_transaction_read_only", database="postgres")
    assert student.post("/api/enrollments", {"course_id": another}).status_code == 201


def test_an_exhausted_pool_is_answered_503_with_retry_after_in_time(cluster):
    course_id = add_course(cluster)
    app = cluster.app(db_pool_size=2, db_pool_timeout_s=0.5, database_replica_urls=None)
    engine = services_of(app).databases.catalogue.primary
    held = [engine.connect() for _ in range(2)]
    started = time.monotonic()
    try:
        for request in (
            lambda: Caller(app, None).get("/api/courses"),
            lambda: Caller(app, 7, Role.STUDENT).post("/api/enrollments", {"course_id": course_id}),
        ):
            answer = request()
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
    finally:
        for connection in held:
            connection.close()
    assert 0.9 < time.monotonic() - started < 10
    assert Caller(app, None).get("/api/courses").status_code == 200


def test_a_pool_never_holds_more_than_its_size(cluster):
    add_course(cluster)
    app = cluster.app(db_pool_size=3, database_replica_urls=None)
    threads = [threading.Thread(target=lambda: Caller(app, None).get("/api/courses")) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sql = "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'watoto-lms'"
    assert 1 <= cluster.primary.query(sql)[0][0] <= 3


def test_statement_lock_and_idle_timeouts_are_in_force_on_every_connection(cluster):
    database = services_of(cluster.app(db_statement_timeout_s=2)).databases.catalogue
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    for engine in (database.primary, database.replicas[0].engine):
        with engine.connect() as connection:
            values = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
        assert values == ["2s", "5s", "1min"]


def test_a_statement_that_takes_too_long_is_ended_and_answered_503(cluster):
    app = cluster.app(db_statement_timeout_s=0.3, database_replica_urls=None)
    add_course(cluster)
    blocker = cluster.primary.connect()
    blocker.autocommit = False
    blocker.execute("LOCK TABLE courses IN ACCESS EXCLUSIVE MODE")
    started = time.monotonic()
    try:
        answer = Caller(app, None).get("/api/courses")
    finally:
        blocker.rollback()
        blocker.close()
    assert answer.status_code == 503
    assert time.monotonic() - started < 4, "its lock alone is waited for 5 s"


def test_work_that_fails_leaves_nothing_behind_and_its_connection_is_clean(cluster):
    database = services_of(cluster.app(db_pool_size=1)).databases.catalogue

    def work(connection) -> None:
        connection.execute(text("INSERT INTO courses (title, teacher_id) VALUES ('half', 1)"))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        database.write(work)
    assert database.read_primary(lambda c: c.execute(text("SELECT count(*) FROM courses")).scalar_one()) == 0
    with freshness.context():
        database.write(lambda c: c.execute(text("INSERT INTO courses (title, teacher_id) VALUES ('whole', 1)")))
        assert freshness.mark(database.name) > 0


def test_a_deadlock_is_run_again_and_both_writers_succeed(cluster):
    first, second = add_course(cluster, "A"), add_course(cluster, "B")
    database = services_of(cluster.app()).databases.catalogue
    meet = threading.Barrier(2, timeout=5)
    tries = []

    def write(order: tuple[int, int]) -> None:
        def work(connection) -> None:
            tries.append(order)
            connection.execute(text("UPDATE courses SET title = title || '+' WHERE id = :id"), {"id": order[0]})
            if len(tries) <= 2:
                meet.wait()
            connection.execute(text("UPDATE courses SET title = title || '+' WHERE id = :id"), {"id": order[1]})

        database.write(work)

    threads = [threading.Thread(target=write, args=(order,)) for order in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) >= 3, "one of them was the victim of a deadlock"
    assert cluster.primary.query("SELECT title FROM courses ORDER BY id") == [("A++",), ("B++",)]


def test_a_commit_whose_answer_is_lost_is_reported_as_unknown_and_not_repeated(lone_cluster):
    database = services_of(lone_cluster.app()).databases.catalogue
    runs = []

    def work(connection) -> None:
        runs.append(1)
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(text("INSERT INTO courses (title, teacher_id) VALUES ('once', 1)"))
        lone_cluster.primary.query("SELECT pg_terminate_backend(%s, 5000)", pid)

    with pytest.raises(OutcomeUnknownError):
        database.write(work)
    assert runs == [1]
    database.write(
        lambda connection: connection.execute(text("INSERT INTO courses (title, teacher_id) VALUES ('x', 1)"))
    )


def test_a_connection_lost_before_the_commit_is_replaced_and_the_work_run_again(lone_cluster):
    database = services_of(lone_cluster.app()).databases.catalogue
    runs = []

    def work(connection) -> None:
        runs.append(1)
        if len(runs) == 1:
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            lone_cluster.primary.query("SELECT pg_terminate_backend(%s, 5000)", pid)
        connection.execute(text("INSERT INTO courses (title, teacher_id) VALUES ('once', 1)"))

    database.write(work)
    assert len(runs) == 2
    assert lone_cluster.primary.query("SELECT count(*) FROM courses") == [(1,)]


def test_work_that_hides_a_failed_statement_is_not_taken_for_committed(lone_cluster):
    database = services_of(lone_cluster.app()).databases.catalogue

    def work(connection) -> None:
        connection.execute(text("INSERT INTO courses (title, teacher_id) VALUES ('lost', 1)"))
        with contextlib.suppress(DBAPIError):
            connection.execute(text("SELECT 1/0"))

    with pytest.raises(SwallowedError):
        database.write(work)
    assert lone_cluster.primary.query("SELECT count(*) FROM courses") == [(0,)]
