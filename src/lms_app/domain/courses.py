"""Courses and what a visitor may see of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from lms_app.db.database import Database
from lms_app.db.tables import course_modules, courses
from lms_app.domain import pages
from lms_app.domain.identity import Identity
from lms_app.errors import ForbiddenError, NotFoundError

SUMMARY = (courses.c.id, courses.c.title, courses.c.description, courses.c.teacher_id, courses.c.updated_at)
PUBLISHED_PAGE = (
    select(*SUMMARY)
    .where(courses.c.is_published, courses.c.id > bindparam("after"))
    .order_by(courses.c.id)
    .limit(bindparam("limit"))
)
TAUGHT_PAGE = (
    select(*SUMMARY, courses.c.is_published)
    .where(courses.c.teacher_id == bindparam("teacher_id"), courses.c.id > bindparam("after"))
    .order_by(courses.c.id)
    .limit(bindparam("limit"))
)
DETAIL = (
    select(
        *SUMMARY,
        courses.c.is_published,
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


def published(catalogue: Database, *, cursor: str | None, limit: int) -> dict[str, Any]:
    """One page of the courses that are open to everybody, by id."""
    keys = pages.decode(cursor, int)
    parameters = {"after": keys[0] if keys else 0, "limit": limit + 1}
    rows = catalogue.read(lambda connection: connection.execute(PUBLISHED_PAGE, parameters).all())
    return pages.page(rows, limit, lambda row: [row.id])


def taught(catalogue: Database, teacher_id: int, *, cursor: str | None, limit: int) -> dict[str, Any]:
    """One page of a teacher's own courses, drafts included."""
    keys = pages.decode(cursor, int)
    parameters = {"teacher_id": teacher_id, "after": keys[0] if keys else 0, "limit": limit + 1}
    rows = catalogue.read(lambda connection: connection.execute(TAUGHT_PAGE, parameters).all())
    return pages.page(rows, limit, lambda row: [row.id])


def detail(catalogue: Database, course_id: int) -> dict[str, Any] | None:
    """A course with its modules in order, drafts too; none when there is no such course."""
    return catalogue.read(lambda connection: read(connection, course_id))


def read(connection: Connection, course_id: int) -> dict[str, Any] | None:
    """As `detail`, within a transaction."""
    rows = connection.execute(DETAIL, {"course_id": course_id}).all()
    if not rows:
        return None
    first = rows[0]
    return {
        "id": first.id,
        "title": first.title,
        "description": first.description,
        "teacher_id": first.teacher_id,
        "updated_at": first.updated_at.isoformat(),
        "is_published": first.is_published,
        "modules": [
            {"id": row.module_id, "title": row.module_title, "sequence_order": row.sequence_order}
            for row in rows
            if row.module_id is not None
        ],
    }


def may_see(course: dict[str, Any], who: Identity | None) -> bool:
    """Published courses are everybody's; a draft is its teacher's and the admins'."""
    return course["is_published"] or (who is not None and may_edit(course["teacher_id"], who))


def may_edit(teacher_id: int, who: Identity) -> bool:
    """A course is changed by the teacher whose it is, and by admins."""
    return who.is_admin or who.user_id == teacher_id


def require_editor(connection: Connection, course_id: int, who: Identity, *, lock: bool = False) -> None:
    """Raise NotFoundError or ForbiddenError unless this user may change the course.

    With `lock` the course's row is held to the end of the transaction: changes to its modules follow one another.
    """
    statement = OWNER.with_for_update() if lock else OWNER
    row = connection.execute(statement, {"course_id": course_id}).one_or_none()
    if row is None or not (row.is_published or may_edit(row.teacher_id, who)):
        raise NotFoundError(f"there is no course {course_id}")
    if not may_edit(row.teacher_id, who):
        raise ForbiddenError(f"course {course_id} is another teacher's")


def create(connection: Connection, who: Identity, values: dict[str, Any]) -> dict[str, Any]:
    """Insert a course of this teacher; returns it as `detail` shows it."""
    row = connection.execute(
        insert(courses).values(**values, teacher_id=who.user_id).returning(*SUMMARY, courses.c.is_published)
    ).one()
    return {**pages.as_dicts([row])[0], "modules": []}


def change(connection: Connection, course_id: int, values: dict[str, Any]) -> None:
    """Change some fields of a course. The caller holds its lock."""
    connection.execute(update(courses).where(courses.c.id == course_id).values(**values, updated_at=func.now()))


def touch(connection: Connection, course_id: int) -> None:
    """Note that something that a course's page shows has changed."""
    connection.execute(update(courses).where(courses.c.id == course_id).values(updated_at=func.now()))


def remove(connection: Connection, course_id: int, who: Identity) -> None:
    """Delete a course with its modules and media rows; enrolments keep their history and show it as gone."""
    require_editor(connection, course_id, who, lock=True)
    connection.execute(delete(courses).where(courses.c.id == course_id))
