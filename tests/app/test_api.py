"""What teachers and students do with the API, from end to end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lms_app.domain.enrollments import EnrollmentId
from lms_app.domain.identity import Role
from lms_app.job_kinds import JobType
from lms_app.jobs.handlers import Tools, handle
from tests.app.conftest import (
    ADMIN,
    COURSES,
    OTHER_STUDENT,
    STUDENT,
    TEACHER,
    services_of,
)
from tests.app.school import outbox, walk

pytestmark = pytest.mark.local


def test_pages_of_the_catalogue_hold_each_course_once_whatever_their_size(call_as):
    ids = [item["id"] for item in walk(call_as(None), "/api/courses", 7)]
    assert ids == sorted(set(ids))
    assert ids == [item["id"] for item in walk(call_as(None), "/api/courses", 100)]
    assert len(ids) >= COURSES


def test_a_page_is_stable_while_courses_are_added(call_as):
    first = call_as(None).get("/api/courses?limit=10").json
    call_as(TEACHER).post("/api/courses", {"title": "In between", "is_published": True})
    second = call_as(None).get(f"/api/courses?limit=10&cursor={first['next']}").json
    assert second["items"][0]["id"] > first["items"][-1]["id"]
    assert len({item["id"] for item in first["items"] + second["items"]}) == 20


def test_active_users_are_listed_newest_first_without_the_inactive_ones(call_as):
    users = walk(call_as(ADMIN), "/api/users", 100)
    assert all(user["is_active"] for user in users)
    times = [user["created_at"] for user in users]
    assert times == sorted(times, reverse=True)
    assert len({user["id"] for user in users}) == len(users) > 9000


def test_what_has_not_changed_is_answered_304_without_a_body(call_as, course, school_cluster):
    visitor = call_as(None)
    answer = visitor.get(f"/api/courses/{course}")
    again = visitor.get(f"/api/courses/{course}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    call_as(TEACHER)("PATCH", f"/api/courses/{course}", {"title": "Chemistry II"})
    school_cluster.wait_for_replay()
    changed = visitor.get(f"/api/courses/{course}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (changed.status_code, changed.json["title"]) == (200, "Chemistry II")


def test_the_catalogue_may_be_kept_by_shared_caches_and_a_draft_by_none(call_as, school_cluster):
    assert "public" in call_as(None).get("/api/courses").headers["Cache-Control"]
    draft = call_as(TEACHER).post("/api/courses", {"title": "Draft"}).json["id"]
    school_cluster.wait_for_replay()
    kept = call_as(TEACHER).get(f"/api/courses/{draft}").headers["Cache-Control"]
    assert "public" not in kept
    assert "no-store" in call_as(STUDENT).get(f"/api/courses/{draft}").headers["Cache-Control"]


def test_a_change_made_to_an_older_version_is_refused(call_as, course):
    teacher = call_as(TEACHER)
    tag = teacher.get(f"/api/courses/{course}").headers["ETag"]
    url = f"/api/courses/{course}"
    assert teacher("PATCH", url, {"title": "A"}, headers={"If-Match": tag}).status_code == 200
    assert teacher("PATCH", url, {"title": "B"}, headers={"If-Match": tag}).status_code == 412
    assert teacher.get(url).json["title"] == "A"


def test_enrolling_twice_is_enrolling_once(call_as, course, school_cluster):
    student = call_as(STUDENT)
    first = student.post("/api/enrollments", {"course_id": course})
    second = student.post("/api/enrollments", {"course_id": course})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json == second.json
    assert first.headers["Location"] == f"/api/enrollments/{STUDENT}-{course}"
    assert student.get(first.headers["Location"]).json == first.json
    assert school_cluster.primary.query("SELECT count(*) FROM enrollments WHERE course_id = %s", course) == [(1,)]


def test_enrolling_from_many_places_at_once_makes_one_row_and_one_201(call_as, course):
    statuses: list[int] = []

    def enrol() -> None:
        statuses.append(call_as(OTHER_STUDENT).post("/api/enrollments", {"course_id": course}).status_code)

    threads = [threading.Thread(target=enrol) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 7 + [201]


def test_a_request_repeated_with_its_key_is_carried_out_once_and_answered_alike(call_as, course, school_cluster):
    teacher = call_as(TEACHER)
    answers = [teacher.post("/api/courses", {"title": "Once"}, headers={"Idempotency-Key": "k-once"}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true", "true"]
    assert school_cluster.primary.query("SELECT count(*) FROM courses WHERE title = 'Once'") == [(1,)]
    other = teacher.post("/api/courses", {"title": "Another"}, headers={"Idempotency-Key": "k-once"})
    assert other.status_code == 422
    stranger = call_as(ADMIN).post("/api/courses", {"title": "Once"}, headers={"Idempotency-Key": "k-once"})
    assert stranger.json["id"] != answers[0].json["id"], "a key is its user's own"


def test_a_key_sent_many_times_at_once_is_carried_out_once(call_as, school_cluster):
    answers: list[Any] = []

    def create() -> None:
        answers.append(call_as(TEACHER).post("/api/courses", {"title": "Rush"}, headers={"Idempotency-Key": "rush"}))

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert school_cluster.primary.query("SELECT count(*) FROM courses WHERE title = 'Rush'") == [(1,)]


def test_a_failed_request_does_not_use_up_its_key(call_as, school_cluster):
    student = call_as(STUDENT)
    key = {"Idempotency-Key": "draft-first"}
    draft = call_as(TEACHER).post("/api/courses", {"title": "Soon"}).json["id"]
    school_cluster.wait_for_replay()
    assert student.post("/api/enrollments", {"course_id": draft}, headers=key).status_code == 404
    call_as(TEACHER)("PATCH", f"/api/courses/{draft}", {"is_published": True})
    school_cluster.wait_for_replay()
    assert student.post("/api/enrollments", {"course_id": draft}, headers=key).status_code == 201


def test_progress_is_seen_at_once_never_falls_and_is_told_to_the_analytics(call_as, course, school_cluster):
    student = call_as(STUDENT)
    url = student.post("/api/enrollments", {"course_id": course}).headers["Location"]
    assert student("PATCH", url, {"progress_percentage": 40}).json["progress_percentage"] == 40
    assert student("PATCH", url, {"progress_percentage": 30}).json["progress_percentage"] == 40
    assert student.get(url).json["progress_percentage"] == 40
    assert student("PATCH", url, {"progress_percentage": 101}).status_code == 422
    told = [job for job in outbox(school_cluster, "progress_update") if job["enrollment_id"] == f"{STUDENT}-{course}"]
    assert told == [{"enrollment_id": f"{STUDENT}-{course}", "progress_data": {"progress_percentage": 40}}]
    progress = {item["course_id"]: item for item in walk(student, "/api/users/me/progress", 100)}
    assert progress[course] == {"course_id": course, "progress_percentage": 40, "status": "active"}
    assert student.get("/api/enrollments?limit=100").json["items"]


def test_modules_done_make_the_progress_and_doing_one_twice_counts_once(call_as, course):
    student = call_as(STUDENT)
    url = student.post("/api/enrollments", {"course_id": course}).headers["Location"]
    module_ids = [module["id"] for module in student.get(f"/api/courses/{course}").json["modules"]]
    seen = [
        student("PUT", f"{url}/modules/{module_id}").json["progress_percentage"]
        for module_id in (module_ids[0], module_ids[0], module_ids[2], module_ids[1])
    ]
    assert seen == [33, 33, 66, 100]
    assert student("PUT", f"{url}/modules/1").status_code == 404, "another course's module"


def test_which_modules_are_done_is_told_to_their_student(call_as, course):
    student = call_as(STUDENT)
    url = student.post("/api/enrollments", {"course_id": course}).headers["Location"]
    module_ids = [module["id"] for module in student.get(f"/api/courses/{course}").json["modules"]]
    assert student.get(f"{url}/modules").json == {"module_ids": []}
    for module_id in (module_ids[2], module_ids[0]):
        student("PUT", f"{url}/modules/{module_id}")
    assert student.get(f"{url}/modules").json == {"module_ids": [module_ids[0], module_ids[2]]}
    assert student.get(f"/api/enrollments/{STUDENT}-999999/modules").status_code == 404


def test_a_dropped_course_can_be_taken_up_again_with_its_progress(call_as, course):
    student = call_as(STUDENT)
    url = student.post("/api/enrollments", {"course_id": course}).headers["Location"]
    student("PATCH", url, {"progress_percentage": 50})
    assert student("DELETE", url).status_code == 204
    assert student.get(url).json["status"] == "dropped"
    assert student("PATCH", url, {"progress_percentage": 60}).status_code == 409
    again = student.post("/api/enrollments", {"course_id": course})
    assert (again.status_code, again.json["status"], again.json["progress_percentage"]) == (200, "active", 50)


def test_modules_keep_their_order_without_gaps(call_as, course):
    teacher = call_as(TEACHER)
    ids = [module["id"] for module in teacher.get(f"/api/courses/{course}").json["modules"]]
    wanted = [ids[2], ids[0], ids[1]]
    moved = teacher("PUT", f"/api/courses/{course}/modules/order", {"module_ids": wanted}).json["modules"]
    assert [(module["id"], module["sequence_order"]) for module in moved] == list(zip(wanted, (1, 2, 3), strict=True))
    for wrong in (ids[:2], [*ids, ids[0]], [ids[0], ids[0], ids[1]], []):
        assert teacher("PUT", f"/api/courses/{course}/modules/order", {"module_ids": wrong}).status_code == 422
    assert teacher("DELETE", f"/api/courses/{course}/modules/{wanted[0]}").status_code == 204
    left = teacher.get(f"/api/courses/{course}").json["modules"]
    assert [(module["id"], module["sequence_order"]) for module in left] == [(ids[0], 1), (ids[1], 2)]


def test_modules_added_at_once_get_different_places(call_as, course):
    def add() -> None:
        call_as(TEACHER).post(f"/api/courses/{course}/modules", {"title": "At once"})

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    teacher = call_as(TEACHER)
    teacher.post(f"/api/courses/{course}/modules", {"title": "Last"})
    assert [m["sequence_order"] for m in teacher.get(f"/api/courses/{course}").json["modules"]] == list(range(1, 11))


def test_an_announcement_is_queued_for_each_student_who_has_not_dropped_the_course(call_as, course, school_cluster):
    urls = {s: call_as(s).post("/api/enrollments", {"course_id": course}).headers["Location"] for s in (5, 6, 7)}
    call_as(7)("DELETE", urls[7])
    school_cluster.wait_for_replay()
    answer = call_as(TEACHER).post(f"/api/courses/{course}/announcements", {"message": "No school on Monday"})
    assert (answer.status_code, answer.json) == (202, {"queued_for": 2})
    told = [job for job in outbox(school_cluster, "notification") if "Monday" in job["notification"]["message"]]
    assert sorted(job["user_id"] for job in told) == [5, 6]


def test_notifications_are_read_once_and_filtered(call_as, school_cluster):
    school_cluster.primary.query(
        "INSERT INTO notifications (user_id, kind, message) VALUES (11, 'x', 'a'), (11, 'x', 'b')"
    )
    school_cluster.wait_for_replay()
    pupil = call_as(11)
    items = pupil.get("/api/notifications").json["items"]
    assert [item["message"] for item in items] == ["b", "a"]
    for _ in range(2):
        assert pupil.post(f"/api/notifications/{items[0]['id']}/read").status_code == 204
    assert [item["message"] for item in pupil.get("/api/notifications?unread=true").json["items"]] == ["a"]


def test_all_notifications_are_read_at_once_and_nobody_elses(call_as, school_cluster):
    school_cluster.primary.query(
        "INSERT INTO notifications (user_id, kind, message) VALUES (12, 'x', 'a'), (12, 'x', 'b'), (13, 'x', 'c')"
    )
    pupil, other = call_as(12), call_as(13)
    assert pupil.post("/api/notifications/read").status_code == 204
    school_cluster.wait_for_replay()
    first = pupil.get("/api/notifications").json["items"]
    assert [item["read_at"] is not None for item in first] == [True, True]
    assert pupil.post("/api/notifications/read").status_code == 204
    assert pupil.get("/api/notifications").json["items"] == first, "the first time counts"
    assert [item["message"] for item in other.get("/api/notifications?unread=true").json["items"]] == ["c"]


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status"),
    [
        ("POST", "/api/enrollments", b"{", "application/json", 400),
        ("POST", "/api/enrollments", b"course_id=1", "application/x-www-form-urlencoded", 415),
        ("POST", "/api/enrollments", b'{"course_id": 1, "user_id": 2}', "application/json", 422),
        ("POST", "/api/enrollments", b'{"course_id": "\\u0000"}', "application/json", 422),
        ("POST", "/api/enrollments", b" " * 300_000, "application/json", 413),
        ("GET", "/api/courses/9223372036854775808", None, None, 404),
        ("GET", "/api/courses?limit=1e9", None, None, 422),
        ("GET", "/api/courses?cursor=WyJ4Il0", None, None, 422),
        ("GET", "/api/nothing", None, None, 404),
        ("DELETE", "/api/courses", None, None, 405),
    ],
)
def test_a_bad_request_is_answered_with_a_problem_document(call_as, method, path, body, content_type, status):  # noqa: PLR0917
    answer = call_as(STUDENT)(method, path, data=body, content_type=content_type)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["type"].startswith("/problems/")
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unexpected_error_tells_nothing_of_the_inside(call_as, school_app, monkeypatch):
    monkeypatch.setattr("lms_app.domain.courses.published", lambda *_, **__: 1 / 0)
    answer = call_as(None).get("/api/courses")
    assert (answer.status_code, answer.json["title"]) == (500, "The server failed")
    assert "division" not in answer.text


def test_an_enrolments_id_is_read_back_as_it_is_written():
    assert EnrollmentId.parse(str(EnrollmentId(7, 12))) == EnrollmentId(7, 12)
    assert Role("student") is Role.STUDENT


def test_a_course_done_to_the_last_percent_is_completed_by_the_job_and_its_user_told(
    call_as, course, school_app, school_cluster
):
    """The job as its worker does it; the way there through the broker is tested with the queue."""
    student = call_as(STUDENT)
    url = student.post("/api/enrollments", {"course_id": course}).headers["Location"]
    student("PATCH", url, {"progress_percentage": 100})
    tools = Tools(services=services_of(school_app), send_mail=None, mail_from="")
    jobs = "SELECT job_id, job_type, payload FROM outbox WHERE job_type = %s AND payload::text LIKE %s"
    ((job_id, job_type, payload),) = school_cluster.primary.query(jobs, "progress_update", f"%{STUDENT}-{course}%")
    for _ in range(2):
        handle(tools, JobType(job_type), job_id, payload)
    ((job_id, job_type, payload),) = school_cluster.primary.query(jobs, "notification", f"%course {course}.%")
    handle(tools, JobType(job_type), job_id, payload)
    school_cluster.wait_for_replay()
    done = student.get(url).json
    assert (done["status"], done["progress_percentage"]) == ("completed", 100)
    assert done["completed_at"] is not None
    assert f"course {course}." in student.get("/api/notifications").json["items"][0]["message"]
    assert student("DELETE", url).status_code == 409, "a completed course stays completed"
    assert student("PATCH", url, {"progress_percentage": 100}).json["status"] == "completed"
