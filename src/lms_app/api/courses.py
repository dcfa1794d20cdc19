"""`/api/courses`: the catalogue, and what teachers do with their courses."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response

from lms_app.api.contract import ANYONE, Reply, Resource
from lms_app.api.models import CourseDetail, CoursePage, PageQuery
from lms_app.api.responses import conditional
from lms_app.api.sessions import current_identity
from lms_app.caching import COURSES, course, headers
from lms_app.domain import courses
from lms_app.errors import NotFoundError
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
    """One page, the same for everybody."""
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


def visible_course(lms: Services, course_id: int) -> dict[str, Any]:
    """Return a course that the present user may see. Raises NotFoundError."""

    def load() -> Any:
        return orjson.loads(orjson.dumps(courses.detail(lms.databases.catalogue, course_id)))

    found: dict[str, Any] | None = lms.caches.get_or_load(f"course:{course_id}", load, namespaces=[course(course_id)])
    if found is None or not courses.may_see(found, None if found["is_published"] else current_identity()):
        raise NotFoundError(f"there is no course {course_id}")
    return found
