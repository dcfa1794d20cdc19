"""Courses and what a visitor may see of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from typing_extensions import TypedDict

from lms_app.db.database import Database
from lms_app.db.tables import course_modules, courses
from lms_app.domain import pages
from lms_app.domain.identity import Identity
from lms_app.domain.shapes import AnyRow, IsoTime, Shape, given
from lms_app.errors import ForbiddenError, NotFoundError


class CourseSummary(TypedDict):
    """A course in a list."""

    id: int
    title: str
    description: str
    teacher_id: int
    updated_at: datetime


class CoursePage(TypedDict):
    """A page of courses."""

    items: list[CourseSummary]
    next: str | None


class TaughtCourse(CourseSummary):
    """A course of one's own."""

    is_published: bool


class TaughtCoursePage(TypedDict):
    """A page of one's own courses."""

    items: list[TaughtCourse]
    next: str | None


class ModuleSummary(TypedDict):
    """A module in its course."""

    id: int
    title: str
    sequence_order: int


class CourseDetail(TypedDict):
    """A course with its modules in order."""

    id: int
    title: str
    description: str
    teacher_id: int
    updated_at: IsoTime
    is_published: bool
    modules: list[ModuleSummary]


SUMMARY = Shape(CourseSummary, courses)
TAUGHT = Shape(TaughtCourse, courses)
PUBLISHED_PAGE = (
    select(*SUMMARY.columns)
    .where(courses.c.is_published, courses.c.id > bindparam("after"))
    .order_by(courses.c.id)
    .limit(bindparam("limit"))
)
TAUGHT_PAGE = (
    select(*TAUGHT.columns)
    .where(courses.c.teacher_id == bindparam("teacher_id"), courses.c.id > bindparam("after"))
    .order_by(courses.c.id)
    .limit(bindparam("limit"))
)
DETAIL = (
    select(
        *TAUGHT.columns,
        course_modules.c.id.label("module_id"),
        course_modules.c.title.label("module_title"),
        course_modules.c.sequence_order,
    )
    .outerjoin(course_modules, course_modules.c.course_id == courses.c.id)
    .where(courses.c.id == bindparam("course_id"))
    .order_by(course_modules.c.sequence_order, course_modules.c.id)
)
"""A course with its modules in order, in one statement; idx_course_modules_course_sequence serves the join."""
OWNER = select(courses.c.teacher_id, courses.c.is_published).where(courses.c.id == bindparam("course_id"))


def published(catalogue: Database, *, cursor: str | None, limit: int) -> CoursePage:
    """Return one page of the published courses, by id."""
    keys = pages.decode(cursor, int)
    parameters = {"after": keys[0] if keys else 0, "limit": limit + 1}
    rows = catalogue.read(lambda connection: connection.execute(PUBLISHED_PAGE, parameters).all())
    return pages.page(rows, limit, SUMMARY.one, lambda row: [row.id])


def taught(catalogue: Database, teacher_id: int, *, cursor: str | None, limit: int) -> TaughtCoursePage:
    """Return one page of a teacher's courses by id, drafts included."""
    keys = pages.decode(cursor, int)
    parameters = {"teacher_id": teacher_id, "after": keys[0] if keys else 0, "limit": limit + 1}
    rows = catalogue.read(lambda connection: connection.execute(TAUGHT_PAGE, parameters).all())
    return pages.page(rows, limit, TAUGHT.one, lambda row: [row.id])


def detail(connection: Connection, course_id: int) -> CourseDetail | None:
    """Return a course with its modules in order, a draft too; None when there is no such course."""
    rows = connection.execute(DETAIL, {"course_id": course_id}).all()
    if not rows:
        return None
    modules: list[ModuleSummary] = [
        {"id": row.module_id, "title": row.module_title, "sequence_order": row.sequence_order}
        for row in rows
        if row.module_id is not None
    ]
    return _detail(rows[0], modules)


def _detail(row: AnyRow, modules: list[ModuleSummary]) -> CourseDetail:
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description,
        "teacher_id": row.teacher_id,
        "updated_at": row.updated_at.isoformat(),
        "is_published": row.is_published,
        "modules": modules,
    }


def may_see(course: CourseDetail, who: Identity | None) -> bool:
    """Whether a visitor may see the course: a draft is seen by its teacher and by admins alone."""
    return course["is_published"] or (who is not None and may_edit(course["teacher_id"], who))


def may_edit(teacher_id: int, who: Identity) -> bool:
    """Whether a user may change a course of this teacher: the teacher may, and admins may."""
    return who.is_admin or who.user_id == teacher_id


def require_editor(connection: Connection, course_id: int, who: Identity, *, lock: bool = False) -> None:
    """Raise NotFoundError or ForbiddenError unless this user may change the course.

    With `lock` the course's row is locked to the end of the transaction, so that changes to its modules take turns.
    """
    statement = OWNER.with_for_update() if lock else OWNER
    row = connection.execute(statement, {"course_id": course_id}).one_or_none()
    if row is None or not (row.is_published or may_edit(row.teacher_id, who)):
        raise NotFoundError(f"there is no course {course_id}")
    if not may_edit(row.teacher_id, who):
        raise ForbiddenError(f"course {course_id} is another teacher's")


def create(connection: Connection, who: Identity, *, title: str, description: str, is_published: bool) -> CourseDetail:
    """Insert a course of this teacher; it has no modules yet."""
    row = connection.execute(
        insert(courses)
        .values(title=title, description=description, is_published=is_published, teacher_id=who.user_id)
        .returning(*TAUGHT.columns)
    ).one()
    return _detail(row, [])


def change(
    connection: Connection,
    course_id: int,
    *,
    title: str | None = None,
    description: str | None = None,
    is_published: bool | None = None,
) -> None:
    """Change what is given of a course. The caller holds its lock (`require_editor`)."""
    values = given(title=title, description=description, is_published=is_published)
    connection.execute(update(courses).where(courses.c.id == course_id).values(**values, updated_at=func.now()))


def touch(connection: Connection, course_id: int) -> None:
    """Set the course's time of change, after a change of its modules."""
    connection.execute(update(courses).where(courses.c.id == course_id).values(updated_at=func.now()))


def remove(connection: Connection, course_id: int, who: Identity) -> None:
    """Delete a course with its modules and media rows; enrolments stay. Raises NotFoundError, ForbiddenError."""
    require_editor(connection, course_id, who, lock=True)
    connection.execute(delete(courses).where(courses.c.id == course_id))
