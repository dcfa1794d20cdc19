"""The checks that any user of the LMS can make, over its front door."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from functools import partial
from typing import Any

from watoto_infra.smoke.client import Client
from watoto_infra.smoke.journey import Account, Failed, Journey, Made, Skipped, needed, wait_for

JOB_SECONDS = 60.0
PRESIGNED_BYTES, DIRECT_BYTES = 1 << 20, 64 << 10
FILE_TYPE = "application/octet-stream"


def answers(journey: Journey) -> str:
    """The LMS answers, and says what it is."""
    document = journey.visitor.ask("GET", "/api/openapi.json").json()
    journey.reachable = True
    return f"{document['info']['title']} {document['info']['version']}"


def pages(journey: Journey) -> str:
    """A browser is given a page with a title, and the script that fills it."""
    journey.require_answer()
    shell = journey.visitor.ask("GET", "/")
    if not shell.header("Content-Type").startswith("text/html"):
        raise Failed(f"/ is no page but {shell.header('Content-Type')}")
    text = shell.body.decode(errors="replace")
    title, script = re.search(r"<title>([^<]+)</title>", text), re.search(r'<script[^>]* src="(/[^"]+)"', text)
    if title is None or script is None:
        raise Failed("the page at / has no title" if title is None else "the page at / has no script")
    kind = journey.visitor.ask("GET", script[1]).header("Content-Type")
    if "javascript" not in kind:
        raise Failed(f"the page's script {script[1]} is {kind}, which no browser runs")
    return f"{title[1]}, with its script"


def sign_in(journey: Journey) -> str:
    """The account signs in, and the session is its own. On the stack's machine an administrator is made first."""
    journey.require_answer()
    if journey.account is None and journey.inside is not None:
        journey.account = Account(f"smoke-admin-{secrets.token_hex(4)}@smoke.watoto.invalid", secrets.token_urlsafe(24))
        journey.inside.make_admin(journey.account)
    account = needed(journey.account, "an account: --account and --password-file")
    me, user = _signed_in(journey.visitor, account)
    journey.me, journey.is_admin = me, user["role"] == "admin"
    if journey.inside is not None:
        journey.made.append(_deactivation(me, user))
    return f"as {user['role']}, user {user['id']}"


def accounts(journey: Journey) -> str:
    """An administrator makes a teacher and a student, and both sign in."""
    me = needed(journey.me, "a session")
    if not journey.may_make:
        raise Skipped("makes accounts and a course: --setup allows it")
    if not journey.is_admin:
        raise Skipped("only an administrator can make accounts")
    teacher, student = make_account(journey, me, "teacher"), make_account(journey, me, "student")
    journey.teacher, _ = _signed_in(journey.visitor, teacher)
    journey.student, _ = _signed_in(journey.visitor, student)
    return "teacher and student"


def make_account(journey: Journey, admin: Client, purpose: str) -> Account:
    """Make a teacher's account or, for any other purpose, a student's."""
    own = needed(journey.account, "an account")
    account = Account(_address(own.email, purpose), secrets.token_urlsafe(24))
    body = {
        "email": account.email,
        "password": account.password,
        "name": f"Smoke {purpose}",
        "role": "teacher" if purpose == "teacher" else "student",
    }
    journey.made.append(_deactivation(admin, admin.ask("POST", "/api/users", body, expect=(201,)).json()))
    return account


def list_courses(journey: Journey) -> str:
    """Anybody sees the published courses."""
    journey.require_answer()
    page = journey.visitor.ask("GET", "/api/courses").json()
    ids = [course["id"] for course in page["items"]]
    if ids != sorted(ids):
        raise Failed("the list is not in the order of ids")
    return f"{len(ids)} on the first page"


def course_in_detail(journey: Journey) -> str:
    """A course shows its modules in order: the teacher's new one or, where none may be made, the first there is."""
    journey.require_answer()
    if journey.teacher is None:
        items = journey.visitor.ask("GET", "/api/courses").json()["items"]
        if not items:
            raise Skipped("there is no published course")
        shown = journey.visitor.ask("GET", f"/api/courses/{items[0]['id']}").json()
    else:
        shown = _new_course(journey, journey.teacher)
    order = [module["sequence_order"] for module in shown["modules"]]
    if order != sorted(order):
        raise Failed(f"the modules of course {shown['id']} are not in order: {order}")
    return f"course {shown['id']} with {len(order)} modules"


def enrol(journey: Journey) -> str:
    """A student enrols once, however often they ask, and sees it at once."""
    student = needed(journey.student, "a student's account")
    body = {"course_id": needed(journey.course_id, "a course")}
    first = student.ask("POST", "/api/enrollments", body, expect=(201,)).json()
    again = student.ask("POST", "/api/enrollments", body, expect=(200,)).json()
    mine = student.ask("GET", "/api/enrollments").json()["items"]
    if [enrollment["id"] for enrollment in mine] != [first["id"]] or again["id"] != first["id"]:
        raise Failed(f"enrolled as {first['id']}, but listed are {[enrollment['id'] for enrollment in mine]}")
    journey.enrollment_id = first["id"]
    return f"enrolment {first['id']}; asked twice, enrolled once"


def upload_presigned(journey: Journey) -> str:
    """A teacher uploads straight to the file store, with a URL made for that file."""
    teacher, content = needed(journey.teacher, "a teacher's account"), os.urandom(PRESIGNED_BYTES)
    upload = _announced(journey, teacher, "presigned.bin", len(content))
    teacher.send("PUT", upload["url"], content, dict(upload["headers"]))
    media = upload["media"]["id"]
    teacher.ask("POST", f"/api/media/{media}/completion")
    journey.files[media] = content
    return f"{len(content)} bytes"


def upload_direct(journey: Journey) -> str:
    """A teacher uploads a small file through the LMS."""
    teacher, content = needed(journey.teacher, "a teacher's account"), os.urandom(DIRECT_BYTES)
    media = _announced(journey, teacher, "direct.bin", len(content))["media"]["id"]
    teacher.put_content(f"/api/media/{media}/content", content, FILE_TYPE)
    journey.files[media] = content
    return f"{len(content)} bytes"


def download(journey: Journey) -> str:
    """A student of the course gets each file as it was uploaded."""
    student = needed(journey.student, "a student's account")
    if not journey.files:
        raise Skipped("needs an uploaded file")
    for media, content in journey.files.items():
        link = student.ask("GET", f"/api/media/{media}/content", expect=(302,)).header("Location")
        got = student.send("GET", link).body
        if hashlib.sha256(got).digest() != hashlib.sha256(content).digest():
            raise Failed(f"file {media} came back different: {len(got)} bytes for {len(content)}")
    return f"{len(journey.files)} files, SHA-256 equal"


def job_done(journey: Journey) -> str:
    """Two jobs follow one another: the completed course is noted, and its student is told."""
    student = needed(journey.student, "a student's account")
    enrollment = needed(journey.enrollment_id, "an enrolment")
    student.ask("PATCH", f"/api/enrollments/{enrollment}", {"progress_percentage": 100})

    def told() -> str | None:
        for notification in student.ask("GET", "/api/notifications").json()["items"]:
            if notification["kind"] == "course_completed":
                return str(notification["message"])
        return None

    message = wait_for(told, JOB_SECONDS, "the student was not told of the completed course")
    status = student.ask("GET", f"/api/enrollments/{enrollment}").json()["status"]
    if status != "completed":
        raise Failed(f"the student was told, but the enrolment is {status}")
    return message


def report(journey: Journey) -> str:
    """A teacher gets the course's report, with the student in it."""
    teacher = needed(journey.teacher, "a teacher's account")
    needed(journey.enrollment_id, "an enrolment")
    rows = teacher.ask("GET", f"/api/courses/{journey.course_id}/report?format=json").json()
    if len(rows) != 1:
        raise Failed(f"one student takes the course, the report has {len(rows)} lines")
    return "one line for the one student"


def _signed_in(visitor: Client, account: Account) -> tuple[Client, dict[str, Any]]:
    body = {"email": account.email, "password": account.password}
    session = visitor.ask("POST", "/api/auth/sign-in", body).json()
    caller = visitor.signed_in(session["token"])
    shown = caller.ask("GET", "/api/users/me").json()
    if shown["email"] != account.email.lower():
        raise Failed(f"signed in as {account.email}, the LMS says {shown['email']}")
    return caller, shown


def _address(admin: str, purpose: str) -> str:
    """Give an address of one's own for an account, which reaches the administrator's own mailbox."""
    mailbox, _, domain = admin.partition("@")
    return f"{mailbox}+{purpose}-{secrets.token_hex(4)}@{domain}"


def _deactivation(admin: Client, user: dict[str, Any]) -> Made:
    path = f"/api/users/{user['id']}"
    return Made(f"account {user['email']}", partial(admin.ask, "PATCH", path, {"is_active": False}))


def _new_course(journey: Journey, teacher: Client) -> dict[str, Any]:
    body = {"title": "Smoke test", "description": "Made by `watoto smoke`.", "is_published": True}
    course = teacher.ask("POST", "/api/courses", body, expect=(201,)).json()
    path = f"/api/courses/{course['id']}"
    journey.made.append(Made(f"course {course['id']}", partial(teacher.ask, "DELETE", path, expect=(204,))))
    for title in ("First", "Second"):
        teacher.ask("POST", f"{path}/modules", {"title": title}, expect=(201,))
    shown: dict[str, Any] = teacher.ask("GET", path).json()
    if [module["title"] for module in shown["modules"]] != ["First", "Second"]:
        raise Failed(f"course {course['id']} does not show the two modules it was given")
    journey.course_id = course["id"]
    return shown


def _announced(journey: Journey, teacher: Client, filename: str, size: int) -> dict[str, Any]:
    body = {"filename": filename, "content_type": FILE_TYPE, "size_bytes": size}
    course = needed(journey.course_id, "a course")
    upload: dict[str, Any] = teacher.ask("POST", f"/api/courses/{course}/media", body, expect=(201,)).json()
    media = upload["media"]["id"]
    journey.made.append(Made(f"file {media}", partial(teacher.ask, "DELETE", f"/api/media/{media}", expect=(204, 404))))
    return upload
