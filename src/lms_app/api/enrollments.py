"""`/api/enrollments`: enrolling in courses and getting on with them."""

from __future__ import annotations

from flask import Response
from sqlalchemy import Connection

from lms_app.api.contract import SIGNED_IN, Reply, Resource, me
from lms_app.api.courses import visible_course
from lms_app.api.idempotency import Outcome, once
from lms_app.api.models import Enrollment, EnrollmentIn
from lms_app.caching import user
from lms_app.domain import enrollments
from lms_app.errors import ConflictError, NotFoundError
from lms_app.services import services

resource = Resource("enrollments")


@resource.endpoint(
    "POST",
    "/api/enrollments",
    SIGNED_IN,
    "Enrol in a course; enrolling again changes nothing",
    {
        201: Reply(description="Enrolled.", model=Enrollment, headers={"Location": "The enrolment."}),
        200: Reply(description="Enrolled before.", model=Enrollment, headers={"Location": "The enrolment."}),
    },
    body=EnrollmentIn,
    idempotency_key=True,
    errors=(NotFoundError, ConflictError),
)
def enrol(body: EnrollmentIn) -> Response:
    """Idempotent by user and course, with or without a key."""
    lms, who = services(), me()
    if not visible_course(lms, body.course_id)["is_published"]:
        raise ConflictError(f"course {body.course_id} is not open yet")

    def work(connection: Connection) -> Outcome:
        shown, is_new = enrollments.enrol(connection, who.user_id, body.course_id)
        return Outcome(201 if is_new else 200, shown, {"Location": f"/api/enrollments/{shown['id']}"})

    with lms.caches.changing(user(who.user_id)):
        return once(lms.databases.of_user(who.user_id), who.user_id, work)
