"""Who may do what to whose things: every endpoint, every role, one's own and other people's objects."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from flask import Flask

from lms_app.api.resources import resources
from lms_app.domain.identity import Identity, Role, Sessions
from tests.app.conftest import Caller, Cluster
from tests.app.servers.moto import MotoServer

pytestmark = pytest.mark.local

WHO = ("nobody", "student", "other_student", "teacher", "other_teacher", "admin")
"""`student` takes the course, `teacher` teaches it."""
LIFETIME = timedelta(hours=1)
_ids = itertools.count(5_000_001)


class Row(NamedTuple):
    """One request, and the status each of WHO gets for it, in that order."""

    method: str
    path: str
    body: dict[str, Any] | None
    statuses: tuple[int, int, int, int, int, int]
    rule: str = ""
    """Which route it is, where the path's values hide that."""


ALL_200 = (200, 200, 200, 200, 200, 200)
SIGNED_IN_200 = (401, 200, 200, 200, 200, 200)
SIGNED_IN_204 = (401, 204, 204, 204, 204, 204)
OWNER = (401, 403, 403, 200, 403, 200)
COURSE_BODY = {"title": "New"}
USER_BODY = {"email": "new@school.example", "password": "a long password", "name": "New"}
PASSWORDS = {"current_password": "wrong", "new_password": "another long one"}

TABLE = [
    # accounts
    Row("POST", "/api/auth/register", USER_BODY, (201, 201, 201, 201, 201, 201)),
    Row("POST", "/api/auth/sign-in", {"email": "no@school.example", "password": "x"}, (401,) * 6),
    Row("POST", "/api/auth/sign-out", None, SIGNED_IN_204),
    Row("GET", "/api/users/me", None, SIGNED_IN_200),
    Row("PATCH", "/api/users/me", {"name": "Me"}, SIGNED_IN_200),
    Row("PUT", "/api/users/me/password", PASSWORDS, (401, 409, 409, 409, 409, 409)),
    Row("GET", "/api/users/me/progress", None, SIGNED_IN_200),
    Row("GET", "/api/users", None, (401, 403, 403, 403, 403, 200)),
    Row("POST", "/api/users", USER_BODY | {"role": "admin"}, (401, 403, 403, 403, 403, 201)),
    Row("GET", "/api/users/{student}", None, (401, 200, 404, 404, 404, 200)),
    Row("PATCH", "/api/users/{student}", {"role": "admin"}, (401, 403, 403, 403, 403, 200)),
    Row("PATCH", "/api/users/{student}", {"is_active": False}, (401, 403, 403, 403, 403, 200)),
    # courses
    Row("GET", "/api/courses", None, ALL_200),
    Row("GET", "/api/courses/{course}", None, ALL_200),
    Row("GET", "/api/courses/{draft}", None, (404, 404, 404, 200, 404, 200)),
    Row("GET", "/api/teaching/courses", None, (401, 403, 403, 200, 200, 200)),
    Row("POST", "/api/courses", COURSE_BODY, (401, 403, 403, 201, 201, 201)),
    Row("PATCH", "/api/courses/{course}", COURSE_BODY, OWNER),
    Row("PATCH", "/api/courses/{draft}", COURSE_BODY, (401, 403, 403, 200, 404, 200)),
    Row("DELETE", "/api/courses/{course}", None, (401, 403, 403, 204, 403, 204)),
    # modules
    Row("GET", "/api/courses/{course}/modules/{module}", None, (401, 200, 403, 200, 403, 200)),
    Row("POST", "/api/courses/{course}/modules", COURSE_BODY, (401, 403, 403, 201, 403, 201)),
    Row("POST", "/api/courses/{draft}/modules", COURSE_BODY, (401, 403, 403, 201, 404, 201)),
    Row("PATCH", "/api/courses/{course}/modules/{module}", COURSE_BODY, OWNER),
    Row("PUT", "/api/courses/{course}/modules/order", {"module_ids": ["{module}"]}, OWNER),
    Row("DELETE", "/api/courses/{course}/modules/{module}", None, (401, 403, 403, 204, 403, 204)),
    # enrolments
    Row("POST", "/api/enrollments", {"course_id": "{course}"}, (401, 200, 201, 201, 201, 201)),
    Row("POST", "/api/enrollments", {"course_id": "{draft}"}, (401, 404, 404, 409, 404, 409)),
    Row("GET", "/api/enrollments", None, SIGNED_IN_200),
    Row("GET", "/api/courses/{course}/enrollments", None, OWNER),
    Row("GET", "/api/enrollments/{student}-{course}", None, (401, 200, 404, 200, 404, 200), "{enrollment_id}"),
    Row("GET", "/api/enrollments/{student}-{course}/modules", None, (401, 200, 404, 200, 404, 200), "{enrollment_id}"),
    Row(
        "PATCH",
        "/api/enrollments/{student}-{course}",
        {"progress_percentage": 10},
        (401, 200, 404, 404, 404, 404),
        "{enrollment_id}",
    ),
    Row(
        "PUT",
        "/api/enrollments/{student}-{course}/modules/{module}",
        None,
        (401, 200, 404, 404, 404, 404),
        "{enrollment_id}",
    ),
    Row("DELETE", "/api/enrollments/{student}-{course}", None, (401, 204, 404, 404, 404, 404), "{enrollment_id}"),
    # notifications
    Row("GET", "/api/notifications", None, SIGNED_IN_200),
    Row("POST", "/api/notifications/{notification}/read", None, (401, 204, 404, 404, 404, 404)),
    Row("POST", "/api/notifications/read", None, SIGNED_IN_204),
    Row("POST", "/api/courses/{course}/announcements", {"message": "Hi"}, (401, 403, 403, 202, 403, 202)),
    # media
    Row(
        "POST",
        "/api/courses/{course}/media",
        {"filename": "a.pdf", "content_type": "application/pdf", "size_bytes": 3},
        (401, 403, 403, 201, 403, 201),
    ),
    Row("GET", "/api/courses/{course}/media", None, (401, 200, 403, 200, 403, 200)),
    Row("GET", "/api/media/{media}", None, (401, 200, 404, 200, 404, 200)),
    Row("GET", "/api/media/{pending}", None, (401, 404, 404, 200, 404, 200)),
    Row("GET", "/api/media/{media}/content", None, (401, 302, 404, 302, 404, 302)),
    Row("PUT", "/api/media/{media}/content", None, (401, 403, 403, 415, 404, 415)),
    Row("POST", "/api/media/{pending}/completion", None, (401, 403, 403, 409, 404, 409)),
    Row("DELETE", "/api/media/{media}", None, (401, 403, 403, 204, 404, 204)),
    # reports
    Row("GET", "/api/courses/{course}/report", None, OWNER),
    Row("POST", "/api/reports", {"course_id": "{course}"}, (401, 403, 403, 202, 403, 202)),
    Row("POST", "/api/reports", {}, (401, 403, 403, 403, 403, 202)),
    Row("GET", "/api/reports/{report}", None, (401, 403, 403, 200, 404, 200)),
    Row("GET", "/api/reports/{report}/content", None, (401, 403, 403, 409, 404, 409)),
    Row("GET", "/api/openapi.json", None, ALL_200),
]
PARAMETERS = {
    "user_id": "student",
    "course_id": "course",
    "module_id": "module",
    "notification_id": "notification",
    "media_id": "media",
    "report_id": "report",
}


@dataclass
class World:
    """A course and the people around it, new for each request."""

    student: int
    other_student: int
    teacher: int
    other_teacher: int
    admin: int
    course: int
    draft: int
    module: int
    notification: int
    media: UUID
    pending: UUID
    report: UUID

    def fill(self, value: Any) -> Any:
        """Put the ids in the place of their names."""
        if isinstance(value, dict):
            return {key: self.fill(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.fill(part) for part in value]
        if not isinstance(value, str):
            return value
        filled = value.format_map(vars(self))
        return int(filled) if value.startswith("{") and filled.isdigit() else filled


@pytest.fixture(scope="module")
def app(school_cluster: Cluster, file_store: MotoServer) -> Flask:
    return school_cluster.app(
        database_replica_urls=None, media_bucket=file_store.bucket, s3_endpoint_url=file_store.url
    )


@pytest.fixture
def world(school_cluster: Cluster) -> World:
    people = {name: next(_ids) for name in WHO if name != "nobody"}
    course, draft, module, notification = (next(_ids) for _ in range(4))
    media, pending, report = uuid4(), uuid4(), uuid4()
    with school_cluster.primary.connect() as db, db.transaction():
        for name, user_id in people.items():
            role = name.removeprefix("other_")
            email = f"{user_id}@school.example"
            db.execute(
                "INSERT INTO accounts (user_id, email) OVERRIDING SYSTEM VALUE VALUES (%s, %s)", (user_id, email)
            )
            db.execute(
                "INSERT INTO users (id, email, name, role, password_hash) VALUES (%s, %s, %s, %s, '!')",
                (user_id, email, name, role),
            )
        for course_id, published in ((course, True), (draft, False)):
            db.execute(
                "INSERT INTO courses (id, title, teacher_id, is_published) OVERRIDING SYSTEM VALUE"
                " VALUES (%s, 'Course', %s, %s)",
                (course_id, people["teacher"], published),
            )
        db.execute(
            "INSERT INTO course_modules (id, course_id, sequence_order, title) OVERRIDING SYSTEM VALUE"
            " VALUES (%s, %s, 1, 'Module')",
            (module, course),
        )
        db.execute("INSERT INTO enrollments (user_id, course_id) VALUES (%s, %s)", (people["student"], course))
        db.execute(
            "INSERT INTO notifications (id, user_id, kind, message) OVERRIDING SYSTEM VALUE VALUES (%s, %s, 'x', 'x')",
            (notification, people["student"]),
        )
        for media_id, status in ((media, "ready"), (pending, "pending")):
            db.execute(
                "INSERT INTO media (id, owner_id, course_id, filename, content_type, status)"
                " VALUES (%s, %s, %s, 'a.pdf', 'application/pdf', %s)",
                (media_id, people["teacher"], course, status),
            )
        db.execute(
            "INSERT INTO reports (id, owner_id, course_id, format) VALUES (%s, %s, %s, 'csv')",
            (report, people["teacher"], course),
        )
        db.execute("DELETE FROM accounts WHERE email = 'new@school.example'")
        db.execute("DELETE FROM users WHERE email = 'new@school.example'")
    return World(
        **people,
        course=course,
        draft=draft,
        module=module,
        notification=notification,
        media=media,
        pending=pending,
        report=report,
    )


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
def test_each_role_gets_what_the_table_says_and_no_more(row: Row, who: str, app: Flask, world: World):
    user_id = None if who == "nobody" else getattr(world, who)
    role = None if user_id is None else Role(who.removeprefix("other_"))
    answer = Caller(app, user_id, role)(row.method, world.fill(row.path), world.fill(row.body))
    assert answer.status_code == row.statuses[WHO.index(who)], answer.get_data(as_text=True)[:500]


def test_the_table_names_every_endpoint():
    declared = {(endpoint.method, _named(endpoint.rule)) for resource in resources() for endpoint in resource.endpoints}
    tabled = {(row.method, _tabled(row)) for row in TABLE}
    assert declared == tabled


def _named(rule: str) -> str:
    parts = [part.split(":")[-1].rstrip(">") if part.startswith("<") else part for part in rule.split("/")]
    return "/".join("{" + PARAMETERS.get(part, part) + "}" if part.endswith("_id") else part for part in parts)


def _tabled(row: Row) -> str:
    path = row.path.replace("{student}-{course}", row.rule) if row.rule else row.path
    return path.replace("{draft}", "{course}").replace("{pending}", "{media}")


FORGERIES = {
    "another signature": lambda token: token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:],
    "another user": lambda token: "1." + token.split(".", 1)[1],
    "another role": lambda token: token.replace("student", "admin"),
    "no signature": lambda token: token.rsplit(".", 1)[0],
    "nothing": lambda _: "",
    "another key": lambda token: Sessions("another-key-" + "k" * 32, None, lifetime=LIFETIME).issue(  # type: ignore[arg-type]
        Identity(int(token.split(".")[0]), Role.STUDENT, 1)
    )[0],
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_nobody(forge: Callable[[str], str], app: Flask, world: World):
    caller = Caller(app, world.student, Role.STUDENT)
    assert caller.get("/api/users/me").status_code == 200
    token = caller.headers["Authorization"].removeprefix("Bearer ")
    caller.headers["Authorization"] = f"Bearer {forge(token)}"
    assert caller.get("/api/users/me").status_code == 401
