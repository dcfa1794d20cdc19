"""Enrolments: one per user and course, in the user's database.

Its public id is ``<user_id>-<course_id>``: it says where the row is, survives any re-sharding, and makes enrolling
twice the same as enrolling once.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from lms_app.db.tables import enrollments
from lms_app.errors import NotFoundError

COLUMNS = (
    enrollments.c.user_id,
    enrollments.c.course_id,
    enrollments.c.progress_percentage,
    enrollments.c.status,
    enrollments.c.enrolled_at,
    enrollments.c.updated_at,
    enrollments.c.completed_at,
)
_new = insert(enrollments).values(user_id=bindparam("user_id"), course_id=bindparam("course_id"))
ENROL = _new.on_conflict_do_update(
    index_elements=["course_id", "user_id"],
    set_={"status": "active", "updated_at": func.now()},
    where=enrollments.c.status == "dropped",
).returning(*COLUMNS, literal_column("xmax = 0").label("is_new"))
"""Inserts, or takes up a dropped enrolment again; returns no row when there is one already. (A new row's xmax is 0.)"""
ONE = select(*COLUMNS).where(
    enrollments.c.user_id == bindparam("user_id"), enrollments.c.course_id == bindparam("course_id")
)
_ID = re.compile(r"([1-9]\d{0,18})-([1-9]\d{0,18})", re.ASCII)
_MOST = 2**63 - 1


class EnrollmentId(NamedTuple):
    """The two halves of an enrolment's public id."""

    user_id: int
    course_id: int

    @classmethod
    def parse(cls, text: str) -> EnrollmentId:
        """Read ``<user_id>-<course_id>``. Raises NotFoundError for anything else."""
        match = _ID.fullmatch(text)
        if match is None or max(numbers := [int(part) for part in match.groups()]) > _MOST:
            raise NotFoundError("there is no such enrolment")
        return cls(*numbers)

    def __str__(self) -> str:
        return f"{self.user_id}-{self.course_id}"


def shown(row: Any) -> dict[str, Any]:
    """An enrolment as the API shows it."""
    return {
        "id": f"{row.user_id}-{row.course_id}",
        "user_id": row.user_id,
        "course_id": row.course_id,
        "progress_percentage": row.progress_percentage,
        "status": row.status,
        "enrolled_at": row.enrolled_at,
        "updated_at": row.updated_at,
        "completed_at": row.completed_at,
    }


def enrol(connection: Connection, user_id: int, course_id: int) -> tuple[dict[str, Any], bool]:
    """Enrol a user; returns the enrolment and whether it is new. The caller has checked that the course is open."""
    keys = {"user_id": user_id, "course_id": course_id}
    row = connection.execute(ENROL, keys).one_or_none()
    if row is not None:
        return shown(row), row.is_new
    return shown(connection.execute(ONE, keys).one()), False
