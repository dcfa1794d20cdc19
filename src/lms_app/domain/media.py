"""Files of a course: their rows, and who may see and change them. `storage` has their content."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from typing_extensions import TypedDict

from lms_app.db.database import Database
from lms_app.db.tables import courses, media
from lms_app.domain import enrollments, pages
from lms_app.domain.courses import may_edit
from lms_app.domain.enrollments import EnrollmentId
from lms_app.domain.identity import Identity
from lms_app.domain.shapes import Shape
from lms_app.errors import ForbiddenError, NotFoundError
from lms_app.shards.databases import Databases


class Media(TypedDict):
    """A file of a course."""

    id: UUID
    course_id: int
    owner_id: int
    filename: str
    content_type: str
    size_bytes: int | None
    status: Literal["pending", "ready"]
    created_at: datetime


class MediaPage(TypedDict):
    """A page of files."""

    items: list[Media]
    next: str | None


MEDIA = Shape(Media, media)
_ONE = (
    select(*MEDIA.columns, courses.c.teacher_id)
    .join(courses, courses.c.id == media.c.course_id)
    .where(media.c.id == bindparam("media_id"))
)
_READY = (
    select(*MEDIA.columns)
    .where(media.c.course_id == bindparam("course_id"), media.c.status == "ready", media.c.id > bindparam("after"))
    .order_by(media.c.id)
    .limit(bindparam("limit"))
)
_FIRST = UUID(int=0)


def key_of(found: Media) -> str:
    """Return the object's key in the bucket."""
    return f"media/{found['course_id']}/{found['id']}"


def add(connection: Connection, course_id: int, who: Identity, *, filename: str, content_type: str) -> Media:
    """Insert a file that is `pending` until its content is uploaded. The caller has checked the course."""
    row = connection.execute(
        insert(media)
        .values(course_id=course_id, owner_id=who.user_id, filename=filename, content_type=content_type)
        .returning(*MEDIA.columns)
    ).one()
    return MEDIA.one(row)


def find(databases: Databases, media_id: UUID, who: Identity, *, to_change: bool = False) -> Media:
    """Return a file that this user may see: its course's teacher, admins and the course's students.

    Raises NotFoundError for other users, and ForbiddenError for students with `to_change`.
    """
    read = databases.catalogue.read_primary if to_change else databases.catalogue.read
    row = read(lambda connection: connection.execute(_ONE, {"media_id": media_id}).one_or_none())
    if row is None:
        raise NotFoundError(f"there is no file {media_id}")
    found = MEDIA.one(row)
    if may_edit(row.teacher_id, who):
        return found
    if found["status"] != "ready" or not is_enrolled(databases, who, found["course_id"]):
        raise NotFoundError(f"there is no file {media_id}")
    if to_change:
        raise ForbiddenError("files are changed by the course's teacher")
    return found


def is_enrolled(databases: Databases, who: Identity, course_id: int) -> bool:
    """Whether the user has an enrolment in the course that was not dropped."""

    def read(connection: Connection) -> bool:
        try:
            found = enrollments.find(connection, EnrollmentId(who.user_id, course_id))
        except NotFoundError:
            return False
        return found["status"] != "dropped"

    return databases.of_user(who.user_id).read(read)


def of_course(catalogue: Database, course_id: int, *, cursor: str | None, limit: int) -> MediaPage:
    """Return one page of a course's uploaded files. The caller has checked who asks."""
    keys = pages.decode(cursor, UUID)
    parameters = {"course_id": course_id, "after": keys[0] if keys else _FIRST, "limit": limit + 1}
    rows = catalogue.read(lambda connection: connection.execute(_READY, parameters).all())
    return pages.page(rows, limit, MEDIA.one, lambda row: [row.id])


def arrived(connection: Connection, media_id: UUID, size_bytes: int) -> Media:
    """Make a file `ready` once its content is uploaded. Raises NotFoundError."""
    row = connection.execute(
        update(media)
        .where(media.c.id == media_id)
        .values(status="ready", size_bytes=size_bytes)
        .returning(*MEDIA.columns)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no file {media_id}")
    return MEDIA.one(row)


def remove(connection: Connection, media_id: UUID) -> None:
    """Delete a file's row; the caller has deleted its content."""
    connection.execute(delete(media).where(media.c.id == media_id))
