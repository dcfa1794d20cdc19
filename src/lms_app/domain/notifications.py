"""Notifications of a user, and announcements to everybody in a course."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from typing_extensions import TypedDict

from lms_app.db.database import Database
from lms_app.db.tables import enrollments, notifications, outbox
from lms_app.domain import pages
from lms_app.domain.shapes import Shape
from lms_app.errors import NotFoundError
from lms_app.job_kinds import JobType
from lms_app.shards.databases import Databases


class Notification(TypedDict):
    """Something a user is told."""

    id: int
    kind: str
    message: str
    created_at: datetime
    read_at: datetime | None


class NotificationPage(TypedDict):
    """A page of notifications."""

    items: list[Notification]
    next: str | None


NOTIFICATION = Shape(Notification, notifications)
NEWEST = (
    select(*NOTIFICATION.columns)
    .where(notifications.c.user_id == bindparam("user_id"), notifications.c.id < bindparam("before"))
    .order_by(notifications.c.id.desc())
    .limit(bindparam("limit"))
)
NEWEST_UNREAD = NEWEST.where(notifications.c.read_at.is_(None))
_LAST = 2**63 - 1
COUNTED = {"preserve_rowcount": True}
"""SQLAlchemy discards the number of inserted rows without this option."""


def of_user(database: Database, user_id: int, *, unread: bool, cursor: str | None, limit: int) -> NotificationPage:
    """Return one page of a user's notifications, the newest first."""
    keys = pages.decode(cursor, int)
    parameters = {"user_id": user_id, "before": keys[0] if keys else _LAST, "limit": limit + 1}
    statement = NEWEST_UNREAD if unread else NEWEST
    rows = database.read(lambda connection: connection.execute(statement, parameters).all())
    return pages.page(rows, limit, NOTIFICATION.one, lambda row: [row.id])


def mark_read(connection: Connection, user_id: int, notification_id: int) -> None:
    """Set the time of reading, unless it is set. Raises NotFoundError, also for another user's notification."""
    changed = connection.execute(
        update(notifications)
        .where(notifications.c.id == notification_id, notifications.c.user_id == user_id)
        .values(read_at=func.coalesce(notifications.c.read_at, func.now()))
    )
    if not changed.rowcount:
        raise NotFoundError(f"there is no notification {notification_id}")


def mark_all_read(connection: Connection, user_id: int) -> None:
    """Set the time of reading of all of a user's notifications that have none."""
    connection.execute(
        update(notifications)
        .where(notifications.c.user_id == user_id, notifications.c.read_at.is_(None))
        .values(read_at=func.now())
    )


def announce(databases: Databases, course_id: int, message: str) -> int:
    """Queue a notification for each student of a course, with one statement a shard; returns their number."""
    told = {"kind": "announcement", "message": message}
    payload = func.jsonb_build_object(
        text("'user_id'"), enrollments.c.user_id, text("'notification'"), cast(literal(told, JSONB), JSONB)
    )
    statement = insert(outbox).from_select(
        ["job_type", "payload"],
        select(literal(JobType.NOTIFICATION.value), payload).where(
            enrollments.c.course_id == cast(literal(course_id), BigInteger), enrollments.c.status != "dropped"
        ),
    )
    return sum(
        database.write(lambda connection: connection.execute(statement, execution_options=COUNTED).rowcount)
        for database in databases.user_databases()
    )
