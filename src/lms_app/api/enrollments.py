"""`/api/enrollments`: enrolling in courses and getting on with them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response
from sqlalchemy import Connection

from lms_app.api.contract import SIGNED_IN, STAFF, Reply, Resource, me
from lms_app.api.courses import editable_course, visible_course
from lms_app.api.fields import PageQuery
from lms_app.api.idempotency import Outcome, once
from lms_app.api.models import EnrollmentChange, EnrollmentIn
from lms_app.api.responses import conditional, nothing, reply
from lms_app.caching import user
from lms_app.domain import enrollments
from lms_app.domain.enrollments import Enrollment, EnrollmentId, EnrollmentPage, ModulesDone
from lms_app.errors import ConflictError, ForbiddenError, NotFoundError
from lms_app.services import Services, services

ENROLLMENT = "<enrollment:enrollment_id>"
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
    """Idempotent by user and course, with or without an `Idempotency-Key`."""
    lms, who = services(), me()
    if not visible_course(lms, body.course_id)["is_published"]:
        raise ConflictError(f"course {body.course_id} is not open yet")

    def work(connection: Connection) -> Outcome:
        shown, is_new = enrollments.enrol(connection, who.user_id, body.course_id)
        return Outcome(201 if is_new else 200, shown, {"Location": f"/api/enrollments/{shown['id']}"})

    with lms.caches.changing(user(who.user_id)):
        return once(lms.databases.of_user(who.user_id), who.user_id, work)


@resource.endpoint(
    "GET",
    "/api/enrollments",
    SIGNED_IN,
    "List one's enrolments, the furthest first",
    {200: Reply(description="A page.", model=EnrollmentPage)},
    query=PageQuery,
)
def list_enrollments(query: PageQuery) -> Response:
    """Reads the user's own database alone."""
    lms, user_id = services(), me().user_id
    database = lms.databases.of_user(user_id)
    return conditional(enrollments.of_user(database, user_id, cursor=query.cursor, limit=query.limit))


@resource.endpoint(
    "GET",
    "/api/courses/<id:course_id>/enrollments",
    STAFF,
    "List a course's enrolments, for its teacher",
    {200: Reply(description="A page by user, over all shards.", model=EnrollmentPage)},
    query=PageQuery,
)
def list_course_enrollments(course_id: int, query: PageQuery) -> Response:
    """Students are spread over all shards; each shard is asked for one page."""
    lms = services()
    editable_course(lms, course_id)
    return conditional(enrollments.of_course(lms.databases, course_id, cursor=query.cursor, limit=query.limit))


@resource.endpoint(
    "GET",
    f"/api/enrollments/{ENROLLMENT}",
    SIGNED_IN,
    "Show an enrolment: one's own, or one in one's course",
    {200: Reply(description="The enrolment.", model=Enrollment)},
)
def show_enrollment(enrollment_id: str) -> Response:
    """Other users get 404, whether or not the enrolment exists."""
    return _looked_up(enrollment_id, enrollments.find)


@resource.endpoint(
    "GET",
    f"/api/enrollments/{ENROLLMENT}/modules",
    SIGNED_IN,
    "List the modules that are done: in one's own enrolment, or in one in one's course",
    {200: Reply(description="The modules, those that have left the course included.", model=ModulesDone)},
)
def list_modules_done(enrollment_id: str) -> Response:
    """Other users get 404, whether or not the enrolment exists."""
    return _looked_up(enrollment_id, enrollments.modules_done)


@resource.endpoint(
    "PATCH",
    f"/api/enrollments/{ENROLLMENT}",
    SIGNED_IN,
    "Say how far one has got; 100 completes the course",
    {200: Reply(description="The enrolment as it is now.", model=Enrollment)},
    body=EnrollmentChange,
    errors=(ConflictError,),
)
def change_enrollment(enrollment_id: str, body: EnrollmentChange) -> Response:
    """Progress never falls, so this may be repeated."""
    key = _own(enrollment_id)
    return _change(key, lambda connection: enrollments.record_progress(connection, key, body.progress_percentage))


@resource.endpoint(
    "PUT",
    f"/api/enrollments/{ENROLLMENT}/modules/<id:module_id>",
    SIGNED_IN,
    "Be through with a module; the last one completes the course",
    {200: Reply(description="The enrolment as it is now.", model=Enrollment)},
    errors=(ConflictError,),
)
def complete_module(enrollment_id: str, module_id: int) -> Response:
    """Progress is the share of the course's modules that are done."""
    key = _own(enrollment_id)
    module_ids = {module["id"] for module in visible_course(services(), key.course_id)["modules"]}
    if module_id not in module_ids:
        raise NotFoundError(f"course {key.course_id} has no module {module_id}")
    return _change(key, lambda connection: enrollments.complete_module(connection, key, module_id, module_ids))


@resource.endpoint(
    "DELETE",
    f"/api/enrollments/{ENROLLMENT}",
    SIGNED_IN,
    "Drop a course",
    {204: Reply(description="It is dropped; its progress is kept for a return.")},
    errors=(ConflictError,),
)
def drop_enrollment(enrollment_id: str) -> Response:
    """Answers 409 for a completed course."""
    key = _own(enrollment_id)
    lms = services()
    with lms.caches.changing(user(key.user_id)):
        lms.databases.of_user(key.user_id).write(lambda connection: enrollments.drop(connection, key))
    return nothing()


def _looked_up(enrollment_id: str, find: Callable[[Connection, EnrollmentId], object]) -> Response:
    """Answer with the result of `find` for an enrolment of the user, or in a course that the user teaches."""
    lms, key = services(), EnrollmentId.parse(enrollment_id)
    if key.user_id != me().user_id and not _teaches(lms, key.course_id):
        raise NotFoundError(f"there is no enrolment {key}")
    return conditional(lms.databases.of_user(key.user_id).read(lambda connection: find(connection, key)))


def _own(enrollment_id: str) -> EnrollmentId:
    key = EnrollmentId.parse(enrollment_id)
    if key.user_id != me().user_id:
        raise NotFoundError(f"there is no enrolment {key}")
    return key


def _teaches(lms: Services, course_id: int) -> bool:
    try:
        editable_course(lms, course_id)
    except (NotFoundError, ForbiddenError):
        return False
    return True


def _change(key: EnrollmentId, work: Callable[[Connection], Enrollment]) -> Response:
    lms = services()
    with lms.caches.changing(user(key.user_id)):
        return reply(lms.databases.of_user(key.user_id).write(work))
