"""Completion reports: each student's progress by course, as CSV or JSON; a job makes the long ones."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import IO, Literal
from uuid import UUID

import orjson
from sqlalchemy import Connection, Select, bindparam, func, insert, literal, select, tuple_, update
from typing_extensions import TypedDict

from lms_app.db.outbox import enqueue
from lms_app.db.tables import enrollments, reports, users
from lms_app.domain.enrollments import EnrollmentStatus, Percentage
from lms_app.domain.identity import Identity
from lms_app.domain.shapes import Shape
from lms_app.domain.storage import MediaStore
from lms_app.errors import NotFoundError
from lms_app.job_kinds import Report as ReportJob
from lms_app.shards.databases import Databases

DIRECT_ROWS = 5_000
"""Most rows of a report that is answered at once; a job makes larger ones."""
Format = Literal["csv", "json"]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv", "json": "application/json"}


class Report(TypedDict):
    """A report that a job makes."""

    id: UUID
    course_id: int | None
    format: Format
    status: Literal["queued", "done", "failed"]
    row_count: int | None
    created_at: datetime
    finished_at: datetime | None


class CompletionRow(TypedDict):
    """A line of a completion report."""

    course_id: int
    user_id: int
    name: str
    email: str
    progress_percentage: Percentage
    status: EnrollmentStatus
    enrolled_at: datetime
    completed_at: datetime | None


Line = tuple[int, int, str, str, int, str, datetime, datetime | None]
"""The values of a CompletionRow: a report of a whole school is written without a dictionary for each line."""
FIELDS = tuple(CompletionRow.__annotations__)
REPORT = Shape(Report, reports)
_ONE = select(*REPORT.columns, reports.c.owner_id).where(reports.c.id == bindparam("report_id"))
_CHUNK = 5_000


def _rows(course_id: int | None) -> Select[*Line]:
    """Users and their enrolments lie in the same database, so each database joins its own."""
    statement = select(
        enrollments.c.course_id,
        enrollments.c.user_id,
        users.c.name,
        users.c.email,
        enrollments.c.progress_percentage,
        enrollments.c.status,
        enrollments.c.enrolled_at,
        enrollments.c.completed_at,
    ).join(users, users.c.id == enrollments.c.user_id)
    if course_id is not None:
        statement = statement.where(enrollments.c.course_id == course_id)
    return statement.order_by(enrollments.c.course_id, enrollments.c.user_id)


def size(databases: Databases, course_id: int) -> int:
    """Return the number of rows that the report on a course has, counted on all shards."""
    count = select(func.count()).select_from(enrollments).where(enrollments.c.course_id == course_id)
    return sum(databases.read_every_shard(lambda connection: connection.execute(count).scalar_one()))


def of_course(databases: Databases, course_id: int) -> list[Line]:
    """Return all rows of one course, shard by shard."""
    statement = _rows(course_id)
    found = databases.read_every_shard(lambda connection: connection.execute(statement).all())
    return list(chain.from_iterable(found))


def as_csv(rows: Iterable[Line]) -> Iterator[str]:
    """Yield rows as CSV after a heading. An apostrophe precedes text that a spreadsheet would read as a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def as_json(rows: Iterable[Line]) -> Iterator[str]:
    """Yield rows as one JSON array of objects."""
    separator = "["
    for row in rows:
        yield separator + orjson.dumps(dict(zip(FIELDS, row, strict=True))).decode()
        separator = ","
    yield "]" if separator == "," else "[]"


WRITERS: dict[Format, Callable[[Iterable[Line]], Iterator[str]]] = {"csv": as_csv, "json": as_json}


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + value
    return value.isoformat() if hasattr(value, "isoformat") else value


def order(connection: Connection, who: Identity, course_id: int | None, format_: Format) -> Report:
    """Insert a report and queue the job that makes it. The caller has checked who may have it."""
    row = connection.execute(
        insert(reports).values(owner_id=who.user_id, course_id=course_id, format=format_).returning(*REPORT.columns)
    ).one()
    enqueue(connection, ReportJob(report_id=row.id))
    return REPORT.one(row)


def find(connection: Connection, report_id: UUID, who: Identity) -> Report:
    """Return a report that this user ordered; admins get any report. Raises NotFoundError."""
    row = connection.execute(_ONE, {"report_id": report_id}).one_or_none()
    if row is None or not (who.is_admin or row.owner_id == who.user_id):
        raise NotFoundError(f"there is no report {report_id}")
    return REPORT.one(row)


def key_of(found: Report) -> str:
    """Return the object's key in the bucket."""
    return f"reports/{found['id']}.{found['format']}"


def generate(databases: Databases, store: MediaStore, report_id: UUID) -> int:
    """Make a report and upload it; returns its number of rows. A second run replaces the first one's file.

    Rows go in chunks from the databases to a file on disk and from there to S3, so memory stays small. Raises
    NotFoundError for a report that was deleted.
    """
    row = databases.catalogue.read_primary(
        lambda connection: connection.execute(_ONE, {"report_id": report_id}).one_or_none()
    )
    if row is None:
        raise NotFoundError(f"there is no report {report_id}")
    report = REPORT.one(row)
    with tempfile.TemporaryFile() as file:
        rows = _write(databases, report, file)
        file.seek(0)
        store.put(key_of(report), file, content_type=MEDIA_TYPES[report["format"]])
    finished = (
        update(reports).where(reports.c.id == report_id).values(status="done", row_count=rows, finished_at=func.now())
    )
    databases.catalogue.write(lambda connection: connection.execute(finished))
    return rows


def give_up(connection: Connection, report_id: UUID) -> None:
    """Mark a queued report as failed. Should a job make it after all, it becomes done."""
    failed = (
        update(reports)
        .where(reports.c.id == report_id, reports.c.status == "queued")
        .values(status="failed", finished_at=func.now())
    )
    connection.execute(failed)


def _write(databases: Databases, report: Report, file: IO[bytes]) -> int:
    count = 0

    def rows() -> Iterator[Line]:
        nonlocal count
        for database in databases.user_databases():
            after = (0, 0)
            while chunk := database.read(_chunk(report["course_id"], after)):
                count += len(chunk)
                yield from chunk
                after = (chunk[-1][0], chunk[-1][1])

    for text in WRITERS[report["format"]](rows()):
        file.write(text.encode())
    return count


def _chunk(course_id: int | None, after: tuple[int, int]) -> Callable[[Connection], Sequence[Line]]:
    keys = tuple_(enrollments.c.course_id, enrollments.c.user_id)
    statement = _rows(course_id).where(keys > tuple_(literal(after[0]), literal(after[1]))).limit(_CHUNK)
    return lambda connection: connection.execute(statement).all()
