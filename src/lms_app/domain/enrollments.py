"""Enrolments: one per user and course, in the user's database.

Its public id is ``<user_id>-<course_id>``: it says where the row is, survives any re-sharding, and makes enrolling
twice the same as enrolling once.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from typing_extensions import TypedDict

from lms_app.db.database import Database
from lms_app.db.outbox import enqueue
from lms_app.db.tables import enrollments, module_completions
from lms_app.domain import pages
from lms_app.domain.shapes import AnyRow, Shape
from lms_app.errors import ConflictError, NotFoundError
from lms_app.job_kinds import Progress, ProgressUpdate
from lms_app.shards.databases import Databases

COMPLETE = 100
Percentage = Annotated[int, Field(ge=0, le=COMPLETE)]
EnrollmentKey = Annotated[str, Field(description="`<user_id>-<course_id>`", pattern=r"^\d+-\d+$")]
EnrollmentStatus = Literal["active", "completed", "dropped"]


class Enrollment(TypedDict):
    """A user's enrolment in a course."""

    id: EnrollmentKey
    user_id: int
    course_id: int
    progress_percentage: Percentage
    status: EnrollmentStatus
    enrolled_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class EnrollmentPage(TypedDict):
    """A page of enrolments."""

    items: list[Enrollment]
    next: str | None


class ModulesDone(TypedDict):
    """The modules that a user is through with."""

    module_ids: list[int]


class CourseProgress(TypedDict):
    """How far a user is in a course."""

    course_id: int
    progress_percentage: Percentage
    status: EnrollmentStatus


class ProgressPage(TypedDict):
    """A page of a user's progress."""

    items: list[CourseProgress]
    next: str | None


COURSE_PROGRESS = Shape(CourseProgress, enrollments)
COLUMNS = (
    enrollments.c.user_id,
    enrollments.c.course_id,
    enrollments.c.progress_percentage,
    enrollments.c.status,
    enrollments.c.enrolled_at,
    enrollments.c.updated_at,
    enrollments.c.completed_at,
)
_new = postgresql_insert(enrollments).values(user_id=bindparam("user_id"), course_id=bindparam("course_id"))
ENROL = _new.on_conflict_do_update(
    index_elements=["course_id", "user_id"],
    set_={"status": "active", "updated_at": func.now()},
    where=enrollments.c.status == "dropped",
).returning(*COLUMNS, literal_column("xmax = 0").label("is_new"))
"""Inserts an enrolment or makes a dropped one active; gives no row for an active one. (A new row's xmax is 0.)"""
ONE = select(*COLUMNS).where(
    enrollments.c.user_id == bindparam("user_id"), enrollments.c.course_id == bindparam("course_id")
)
ENROLLMENT_ID = "[1-9][0-9]{0,17}-[1-9][0-9]{0,17}"
"""Two ids that fit a bigint."""


class EnrollmentId(NamedTuple):
    """An enrolment's public id, ``<user_id>-<course_id>``, in its two parts."""

    user_id: int
    course_id: int

    @classmethod
    def parse(cls, text: str) -> EnrollmentId:
        """Read ``<user_id>-<course_id>``. Raises NotFoundError for anything else."""
        if re.fullmatch(ENROLLMENT_ID, text) is None:
            raise NotFoundError("there is no such enrolment")
        user_id, course_id = text.split("-")
        return cls(int(user_id), int(course_id))

    def __str__(self) -> str:
        return f"{self.user_id}-{self.course_id}"


def shown(row: AnyRow) -> Enrollment:
    """Return a row of `COLUMNS` as the API shows it."""
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


def enrol(connection: Connection, user_id: int, course_id: int) -> tuple[Enrollment, bool]:
    """Enrol a user; returns the enrolment and whether it is new. The caller has checked that the course is open."""
    keys = {"user_id": user_id, "course_id": course_id}
    row = connection.execute(ENROL, keys).one_or_none()
    if row is not None:
        return shown(row), row.is_new
    return shown(connection.execute(ONE, keys).one()), False


BY_PROGRESS = (
    select(*COLUMNS)
    .where(enrollments.c.user_id == bindparam("user_id"))
    .order_by(enrollments.c.progress_percentage.desc(), enrollments.c.course_id.desc())
    .limit(bindparam("limit"))
)
"""A user's enrolments, the furthest first; served by idx_enrollments_user_progress."""
BY_PROGRESS_AFTER = BY_PROGRESS.where(
    tuple_(enrollments.c.progress_percentage, enrollments.c.course_id)
    < tuple_(bindparam("progress"), bindparam("course_id"))
)
PROGRESS = (
    select(*COURSE_PROGRESS.columns)
    .where(enrollments.c.user_id == bindparam("user_id"), enrollments.c.course_id > bindparam("after"))
    .order_by(enrollments.c.course_id)
    .limit(bindparam("limit"))
)
"""How far a user is in each course; idx_user_courses_covering holds all of it."""
OF_COURSE = (
    select(*COLUMNS)
    .where(enrollments.c.course_id == bindparam("course_id"), enrollments.c.user_id > bindparam("after"))
    .order_by(enrollments.c.user_id)
    .limit(bindparam("limit"))
)
_RAISE = (
    update(enrollments)
    .where(
        enrollments.c.user_id == bindparam("of_user"),
        enrollments.c.course_id == bindparam("of_course"),
        enrollments.c.status == "active",
        enrollments.c.progress_percentage < bindparam("progress"),
    )
    .values(progress_percentage=bindparam("progress"), updated_at=func.now())
    .returning(*COLUMNS)
)
_DROP = (
    update(enrollments)
    .where(
        enrollments.c.user_id == bindparam("of_user"),
        enrollments.c.course_id == bindparam("of_course"),
        enrollments.c.status == "active",
    )
    .values(status="dropped", updated_at=func.now())
)
_DONE_MODULES = select(func.count()).where(
    module_completions.c.user_id == bindparam("user_id"),
    module_completions.c.course_id == bindparam("course_id"),
    module_completions.c.module_id == any_(bindparam("module_ids", type_=ARRAY(BigInteger))),
)

_DONE_MODULE_IDS = (
    select(module_completions.c.module_id)
    .where(
        module_completions.c.user_id == bindparam("user_id"), module_completions.c.course_id == bindparam("course_id")
    )
    .order_by(module_completions.c.module_id)
)


def find(connection: Connection, key: EnrollmentId) -> Enrollment:
    """Return an enrolment. Raises NotFoundError."""
    row = connection.execute(ONE, key._asdict()).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no enrolment {key}")
    return shown(row)


def of_user(database: Database, user_id: int, *, cursor: str | None, limit: int) -> EnrollmentPage:
    """Return one page of a user's enrolments, the furthest first."""
    keys = pages.decode(cursor, int, int)
    statement, parameters = BY_PROGRESS, {"user_id": user_id, "limit": limit + 1}
    if keys is not None:
        statement, parameters = BY_PROGRESS_AFTER, parameters | {"progress": keys[0], "course_id": keys[1]}
    rows = database.read(lambda connection: connection.execute(statement, parameters).all())
    return pages.page(rows, limit, shown, lambda row: [row.progress_percentage, row.course_id])


def progress(database: Database, user_id: int, *, cursor: str | None, limit: int) -> ProgressPage:
    """Return one page of a user's progress, by course id."""
    keys = pages.decode(cursor, int)
    parameters = {"user_id": user_id, "after": keys[0] if keys else 0, "limit": limit + 1}
    rows = database.read(lambda connection: connection.execute(PROGRESS, parameters).all())
    return pages.page(rows, limit, COURSE_PROGRESS.one, lambda row: [row.course_id])


def of_course(databases: Databases, course_id: int, *, cursor: str | None, limit: int) -> EnrollmentPage:
    """Return one page of a course's enrolments by user id, merged from all shards."""
    keys = pages.decode(cursor, int)
    parameters = {"course_id": course_id, "after": keys[0] if keys else 0, "limit": limit + 1}
    found = databases.read_every_shard(lambda connection: connection.execute(OF_COURSE, parameters).all())
    merged = heapq.merge(*found, key=lambda row: row.user_id)
    return pages.page(list(islice(merged, limit + 1)), limit, shown, lambda row: [row.user_id])


def record_progress(connection: Connection, key: EnrollmentId, percentage: int) -> Enrollment:
    """Raise an active enrolment's progress, and queue the job that completes the course at 100.

    Progress never falls: a value that is not higher changes nothing, so repeated and overtaken requests do no harm.
    Raises NotFoundError, and ConflictError for an enrolment that was dropped.
    """
    parameters = {"of_user": key.user_id, "of_course": key.course_id, "progress": percentage}
    row = connection.execute(_RAISE, parameters).one_or_none()
    if row is None:
        found = find(connection, key)
        if found["status"] == "dropped":
            raise ConflictError("the enrolment was dropped; enrol again first")
        return found
    data = Progress(progress_percentage=percentage)
    enqueue(connection, ProgressUpdate(enrollment_id=str(key), progress_data=data))
    return shown(row)


def complete_module(
    connection: Connection, key: EnrollmentId, module_id: int, module_ids: Collection[int]
) -> Enrollment:
    """Note that the user has done a module; progress is the share of `module_ids`, the course's, that are done."""
    find(connection, key)
    done = postgresql_insert(module_completions).values(**key._asdict(), module_id=module_id).on_conflict_do_nothing()
    connection.execute(done)
    count = connection.execute(_DONE_MODULES, {**key._asdict(), "module_ids": list(module_ids)}).scalar_one()
    return record_progress(connection, key, COMPLETE * count // len(module_ids))


def modules_done(connection: Connection, key: EnrollmentId) -> ModulesDone:
    """Return the ids of the modules that the user has done, also of modules that have left the course since.

    Raises NotFoundError for an enrolment that does not exist.
    """
    find(connection, key)
    return {"module_ids": list(connection.execute(_DONE_MODULE_IDS, key._asdict()).scalars())}


def drop(connection: Connection, key: EnrollmentId) -> None:
    """Leave a course; progress is kept for a return. Raises NotFoundError, and ConflictError when it is completed."""
    if connection.execute(_DROP, {"of_user": key.user_id, "of_course": key.course_id}).rowcount:
        return
    if find(connection, key)["status"] == "completed":
        raise ConflictError("a completed course cannot be dropped")
