"""`/api/courses`: the catalogue, and what teachers do with their courses."""

from __future__ import annotations

import orjson
from flask import Response
from sqlalchemy import Connection

from lms_app.api.contract import ANYONE, STAFF, Reply, Resource, me
from lms_app.api.fields import PageQuery
from lms_app.api.idempotency import Outcome, once
from lms_app.api.models import CourseChange, CourseIn
from lms_app.api.responses import conditional, entity_tag, nothing, require_match
from lms_app.api.sessions import current_identity
from lms_app.caching import COURSES, course, headers
from lms_app.domain import courses
from lms_app.domain.courses import CourseDetail, CoursePage, TaughtCoursePage
from lms_app.errors import ForbiddenError, NotFoundError, PreconditionFailedError
from lms_app.services import Services, services

resource = Resource("courses")


@resource.endpoint(
    "GET",
    "/api/courses",
    ANYONE,
    "List the published courses",
    {200: Reply(description="A page of courses, by id.", model=CoursePage)},
    query=PageQuery,
)
def list_courses(query: PageQuery) -> Response:
    """Every visitor gets the same bytes, so gateway and CDN may share them."""
    lms = services()

    def load() -> bytes:
        return orjson.dumps(courses.published(lms.databases.catalogue, cursor=query.cursor, limit=query.limit))

    body = lms.caches.get_or_load(f"courses:{query.limit}:{query.cursor or ''}", load, namespaces=[COURSES])
    return conditional(body, kept=headers.shared)


@resource.endpoint(
    "GET",
    "/api/courses/<id:course_id>",
    ANYONE,
    "Show a course with its modules in order",
    {200: Reply(description="The course.", model=CourseDetail)},
)
def show_course(course_id: int) -> Response:
    """A published course is the same for everybody; a draft is private."""
    found = visible_course(services(), course_id)
    return conditional(found, kept=headers.shared if found["is_published"] else headers.private)


def visible_course(lms: Services, course_id: int) -> CourseDetail:
    """Return a course that the present user may see. Raises NotFoundError."""

    def load() -> CourseDetail | None:
        return lms.databases.catalogue.read(lambda connection: courses.detail(connection, course_id))

    found = lms.caches.get_or_load(f"course:{course_id}", load, namespaces=[course(course_id)])
    if found is None or not courses.may_see(found, None if found["is_published"] else current_identity()):
        raise NotFoundError(f"there is no course {course_id}")
    return found


def editable_course(lms: Services, course_id: int) -> CourseDetail:
    """Return a course that the present user may change. Raises NotFoundError, ForbiddenError."""
    found = visible_course(lms, course_id)
    if not courses.may_edit(found["teacher_id"], me()):
        raise ForbiddenError(f"course {course_id} is another teacher's")
    return found


@resource.endpoint(
    "GET",
    "/api/teaching/courses",
    STAFF,
    "List one's own courses, drafts included",
    {200: Reply(description="A page, by id.", model=TaughtCoursePage)},
    query=PageQuery,
)
def list_taught(query: PageQuery) -> Response:
    """Not cached in the LMS: teachers see each change at once."""
    lms = services()
    return conditional(courses.taught(lms.databases.catalogue, me().user_id, cursor=query.cursor, limit=query.limit))


@resource.endpoint(
    "POST",
    "/api/courses",
    STAFF,
    "Make a course",
    {201: Reply(description="The course.", model=CourseDetail, headers={"Location": "The course."})},
    body=CourseIn,
    idempotency_key=True,
)
def create_course(body: CourseIn) -> Response:
    """The user who makes a course is its teacher, admins too."""
    lms, who = services(), me()

    def work(connection: Connection) -> Outcome:
        made = courses.create(
            connection, who, title=body.title, description=body.description, is_published=body.is_published
        )
        return Outcome(201, made, {"Location": f"/api/courses/{made['id']}"})

    answer = once(lms.databases.catalogue, who.user_id, work)
    # The id is known only now. Until then, "there is no such course" may have been cached under it.
    lms.caches.invalidate_course(orjson.loads(answer.data)["id"])
    return answer


@resource.endpoint(
    "PATCH",
    "/api/courses/<id:course_id>",
    STAFF,
    "Change a course",
    {200: Reply(description="The course as it is now.", model=CourseDetail)},
    body=CourseChange,
    errors=(PreconditionFailedError,),
)
def change_course(course_id: int, body: CourseChange) -> Response:
    """With `If-Match` the change is made only to the version that the client has read."""
    lms, who = services(), me()
    body.require_a_field()

    def work(connection: Connection) -> object:
        courses.require_editor(connection, course_id, who, lock=True)
        require_match(entity_tag(orjson.dumps(courses.detail(connection, course_id))))
        courses.change(
            connection, course_id, title=body.title, description=body.description, is_published=body.is_published
        )
        return courses.detail(connection, course_id)

    with lms.caches.changing(course(course_id), COURSES):
        return conditional(lms.databases.catalogue.write(work), kept=headers.not_kept)


@resource.endpoint(
    "DELETE", "/api/courses/<id:course_id>", STAFF, "Delete a course", {204: Reply(description="It is gone.")}
)
def delete_course(course_id: int) -> Response:
    """Its modules and files are deleted too; its students' enrolments stay."""
    lms, who = services(), me()
    with lms.caches.changing(course(course_id), COURSES):
        lms.databases.catalogue.write(lambda connection: courses.remove(connection, course_id, who))
    return nothing()
