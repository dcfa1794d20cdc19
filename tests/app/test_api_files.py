"""Files and reports through the API, from end to end."""

from __future__ import annotations

import csv
import io
import urllib.request
from uuid import UUID

import pytest

from lms_app.domain import reports
from tests.app.conftest import ADMIN, OTHER_STUDENT, STUDENT, TEACHER, Cluster, services_of
from tests.app.school import outbox
from tests.app.servers.moto import MotoServer

pytestmark = pytest.mark.local


def test_a_file_goes_straight_to_the_store_and_back(call_as, course, school_cluster: Cluster, file_store: MotoServer):
    teacher, student = call_as(TEACHER), call_as(STUDENT)
    student.post("/api/enrollments", {"course_id": course})
    body = b"%PDF-1.7" + b"x" * 1000
    announced = {"filename": 'no"tes.pdf', "content_type": "application/pdf", "size_bytes": len(body)}
    upload = teacher.post(f"/api/courses/{course}/media", announced).json
    url = f"/api/media/{upload['media']['id']}"
    assert teacher.post(f"{url}/completion").status_code == 409, "nothing is there yet"
    assert student.get(url).status_code == 404, "students see what is there"
    put = urllib.request.Request(upload["url"], body, upload["headers"], method="PUT")
    assert urllib.request.urlopen(put).status == 200
    done = teacher.post(f"{url}/completion").json
    assert (done["status"], done["size_bytes"]) == ("ready", len(body))
    school_cluster.wait_for_replay()  # it was another user who wrote
    link = student.get(f"{url}/content")
    assert link.status_code == 302
    with urllib.request.urlopen(link.headers["Location"]) as answer:
        assert answer.read() == body
        assert answer.headers["Content-Disposition"] == 'attachment; filename="no_tes.pdf"'
    assert [item["id"] for item in student.get(f"/api/courses/{course}/media").json["items"]] == [done["id"]]
    assert teacher("DELETE", url).status_code == 204
    assert teacher.get(url).status_code == 404


def test_a_small_file_is_streamed_through_up_to_the_limit(call_as, course, file_store, school_app):
    teacher = call_as(TEACHER)
    limit = services_of(school_app).settings.upload_direct_max_bytes
    announced = {"filename": "v.mp4", "content_type": "video/mp4", "size_bytes": 9 << 20}
    made = teacher.post(f"/api/courses/{course}/media", announced).json["media"]
    url = f"/api/media/{made['id']}/content"
    body = bytes(9 << 20)  # more than one part
    put = teacher("PUT", url, data=body, content_type="video/mp4")
    assert (put.status_code, put.json["size_bytes"]) == (200, len(body))
    assert file_store.body(f"media/{course}/{made['id']}") == body
    assert teacher("PUT", url, data=b"x", content_type="text/html").status_code == 415
    assert teacher("PUT", url, data=bytes(limit + 1), content_type="video/mp4").status_code == 413


def test_a_course_report_is_csv_or_json_and_no_cell_is_a_formula(call_as, course, school_cluster):
    school_cluster.primary.query("UPDATE users SET name = '=HYPERLINK(\"evil\")' WHERE id = %s", STUDENT)
    call_as(STUDENT).post("/api/enrollments", {"course_id": course})
    call_as(OTHER_STUDENT).post("/api/enrollments", {"course_id": course})
    school_cluster.wait_for_replay()
    teacher = call_as(TEACHER)
    lines = list(csv.DictReader(io.StringIO(teacher.get(f"/api/courses/{course}/report").text)))
    assert [line["user_id"] for line in lines] == [str(STUDENT), str(OTHER_STUDENT)]
    assert lines[0]["name"].startswith("'=")
    rows = teacher.get(f"/api/courses/{course}/report?format=json").json
    assert [row["user_id"] for row in rows] == [STUDENT, OTHER_STUDENT]
    empty = teacher.post("/api/courses", {"title": "Empty"}).json["id"]
    assert teacher.get(f"/api/courses/{empty}/report?format=json").json == []


def test_a_long_report_is_made_by_a_job_with_every_line_once(call_as, school_app, school_cluster, file_store):
    admin = call_as(ADMIN)
    ordered = admin.post("/api/reports", {"format": "csv"})
    assert ordered.status_code == 202
    url = ordered.headers["Location"]
    assert admin.get(f"{url}/content").status_code == 409
    (job,) = [job for job in outbox(school_cluster, "report") if job["report_id"] == ordered.json["id"]]
    lms = services_of(school_app)
    assert lms.media is not None
    for _ in range(2):  # a redelivered job makes it again
        rows = reports.generate(lms.databases, lms.media, UUID(job["report_id"]))
    school_cluster.wait_for_replay()
    assert admin.get(url).json["status"] == "done"
    with urllib.request.urlopen(admin.get(f"{url}/content").headers["Location"]) as answer:
        lines = list(csv.DictReader(io.TextIOWrapper(answer, "utf-8", newline="")))
    keys = [(line["course_id"], line["user_id"]) for line in lines]
    assert len(keys) == len(set(keys)) == rows
    sql = "SELECT count(*) FROM enrollments JOIN users ON users.id = enrollments.user_id"
    assert school_cluster.primary.query(sql) == [(rows,)]
