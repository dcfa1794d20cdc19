"""Files of a course: who may put and get them, and where they lie."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from lms_app.db.tables import courses, media
from lms_app.domain import enrollments, pages
from lms_app.domain.courses import may_edit
from lms_app.domain.enrollments import EnrollmentId
from lms_app.domain.identity import Identity
from lms_app.errors import ForbiddenError, NotFoundError
from lms_app.shards.databases import Databases

COLUMNS = (
    media.c.id,
    media.c.course_id,
    media.c.owner_id,
    media.c.filename,
    media.c.content_type,
    media.c.size_bytes,
    media.c.status,
    media.c.created_at,
)
_ONE = (
    select(*COLUMNS, courses.c.teacher_id)
    .join(courses, courses.c.id == media.c.course_id)
    .where(media.c.id == bindparam("media_id"))
)
_READY = (
    select(*COLUMNS)
    .where(media.c.course_id == bindparam("course_id"), media.c.status == "ready", media.c.id > bindparam("after"))
    .order_by(media.c.id)
    .limit(bindparam("limit"))
)
_FIRST = UUID(int=0)


def key_of(found: dict[str, Any]) -> str:
    """Return the object's key in the bucket."""
    return f"media/{found['course_id']}/{found['id']}"


def add(connection: Connection, course_id: int, who: Identity, values: dict[str, Any]) -> dict[str, Any]:
    """Make a place for a file; it shows up once its content is there. The caller has checked the course."""
    row = connection.execute(
        insert(media).values(course_id=course_id, owner_id=who.user_id, **values).returning(*COLUMNS)
    ).one()
    return pages.as_dicts([row])[0]


def find(databases: Databases, media_id: UUID, who: Identity, *, to_change: bool = False) -> dict[str, Any]:
    """Return a file that this user may see: its course's teacher, admins and the course's students.

    Raises NotFoundError to those who may not even know of it, ForbiddenError to students who would change it.
    """
    read = databases.catalogue.read_primary if to_change else databases.catalogue.read
    rows = read(lambda connection: connection.execute(_ONE, {"media_id": media_id}).all())
    if not rows:
        raise NotFoundError(f"there is no file {media_id}")
    found = pages.as_dicts(rows)[0]
    if may_edit(found.pop("teacher_id"), who):
        return found
    if found["status"] != "ready" or not is_enrolled(databases, who, found["course_id"]):
        raise NotFoundError(f"there is no file {media_id}")
    if to_change:
        raise ForbiddenError("files are changed by the course's teacher")
    return found


def is_enrolled(databases: Databases, who: Identity, course_id: int) -> bool:
    """Whether the user takes the course."""

    def read(connection: Connection) -> bool:
        try:
            found = enrollments.find(connection, EnrollmentId(who.user_id, course_id))
        except NotFoundError:
            return False
        return bool(found["status"] != "dropped")

    return databases.of_user(who.user_id).read(read)


def of_course(databases: Databases, course_id: int, *, cursor: str | None, limit: int) -> dict[str, Any]:
    """One page of a course's files. The caller has checked who asks."""
    keys = pages.decode(cursor, UUID)
    parameters = {"course_id": course_id, "after": keys[0] if keys else _FIRST, "limit": limit + 1}
    rows = databases.catalogue.read(lambda connection: connection.execute(_READY, parameters).all())
    return pages.page(rows, limit, lambda row: [row.id])


def arrived(connection: Connection, media_id: UUID, size_bytes: int) -> dict[str, Any]:
    """Note that the content is there."""
    row = connection.execute(
        update(media).where(media.c.id == media_id).values(status="ready", size_bytes=size_bytes).returning(*COLUMNS)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no file {media_id}")
    return pages.as_dicts([row])[0]


def remove(connection: Connection, media_id: UUID) -> None:
    """Forget a file."""
    connection.execute(delete(media).where(media.c.id == media_id))
