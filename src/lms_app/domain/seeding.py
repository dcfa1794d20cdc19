"""A school of made-up data for trials and load tests, written with COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from lms_app.db.database import Database
from lms_app.domain.identity import Role
from lms_app.shards.databases import Databases

DOMAIN = "seed.watoto.invalid"
MODULES_PER_COURSE = 10
USERS_PER_TEACHER = 100
ONE_INACTIVE_IN = 50
_DONE = 100
ACCOUNTS = "accounts (user_id, email)"
USERS = "users (id, email, name, role, password_hash, is_active, created_at)"
COURSES = "courses (id, title, description, teacher_id, is_published)"
MODULES = "course_modules (course_id, sequence_order, title, content)"
ENROLLMENTS = "enrollments (user_id, course_id, progress_percentage, status, completed_at)"
_SUBJECTS = (
    "Mathematics",
    "Reading",
    "Biology",
    "Physics",
    "History",
    "Geography",
    "Music",
    "Swahili",
    "English",
    "Art",
)


class NotEmptyError(Exception):
    """There are accounts already, and seeding never adds to existing data."""


@dataclass(frozen=True, kw_only=True)
class School:
    """The size of the school. The same numbers make the same school.

    User 1 is an administrator, every hundredth a teacher, the others students; one in fifty is no longer active.
    """

    users: int
    courses: int
    courses_per_user: int = 5
    password_hash: str

    def user(self, user_id: int, opened: datetime) -> tuple[object, ...]:
        """Return the columns of USERS, in their order."""
        joined = opened - timedelta(minutes=self.users - user_id)
        active = user_id % ONE_INACTIVE_IN != 1 or user_id == 1
        role = role_of(user_id).value
        return user_id, email_of(user_id), f"User {user_id}", role, self.password_hash, active, joined

    def course(self, course_id: int) -> tuple[object, ...]:
        """Return the columns of COURSES, in their order."""
        subject = _SUBJECTS[course_id % len(_SUBJECTS)]
        teachers = self.users // USERS_PER_TEACHER
        teacher = (course_id % teachers + 1) * USERS_PER_TEACHER if teachers else 1
        return course_id, f"{subject} {course_id}", f"All about {subject.lower()}.", teacher, True

    def modules(self, course_id: int) -> Iterator[tuple[object, ...]]:
        """Yield the columns of MODULES, a row for each lesson."""
        for sequence_order in range(1, MODULES_PER_COURSE + 1):
            yield course_id, sequence_order, f"Lesson {sequence_order}", "Read, try, ask."

    def enrollments(self, user_id: int, opened: datetime) -> Iterator[tuple[object, ...]]:
        """Yield the columns of ENROLLMENTS: neighbouring courses, the first chosen by a hash of the student's id."""
        if role_of(user_id) is not Role.STUDENT:
            return
        start = int.from_bytes(blake2b(user_id.to_bytes(8, "big"), digest_size=8, person=b"seed").digest(), "big")
        for n in range(min(self.courses_per_user, self.courses)):
            progress = (start >> n) % (_DONE + 1)
            done = progress == _DONE
            course_id = (start + n) % self.courses + 1
            yield user_id, course_id, progress, "completed" if done else "active", opened if done else None


def seed(databases: Databases, school: School) -> dict[str, int]:
    """Fill empty databases; returns the number of rows by table. Raises NotEmptyError."""
    for database in databases:
        if database.read_primary(lambda c: c.exec_driver_sql("SELECT EXISTS (SELECT FROM accounts)").scalar_one()):
            raise NotEmptyError(f"database {database.name} has accounts")
    opened = datetime.now(UTC)
    counts = databases.catalogue.write(lambda connection: _fill_catalogue(connection, school))
    counts |= {"users": 0, "enrollments": 0}
    for database, user_ids in databases.by_database(range(1, school.users + 1)).items():

        def fill(connection: Connection, user_ids: list[int] = user_ids) -> tuple[int, int]:
            users = (school.user(user_id, opened) for user_id in user_ids)
            enrolled = chain.from_iterable(school.enrollments(user_id, opened) for user_id in user_ids)
            return _copy(connection, USERS, users), _copy(connection, ENROLLMENTS, enrolled)

        users, enrolled = database.write(fill)
        counts["users"] += users
        counts["enrollments"] += enrolled
    for database in databases:
        _vacuum(database)
    return counts


def _fill_catalogue(connection: Connection, school: School) -> dict[str, int]:
    course_ids = range(1, school.courses + 1)
    accounts = ((user_id, email_of(user_id)) for user_id in range(1, school.users + 1))
    modules = chain.from_iterable(map(school.modules, course_ids))
    counts = {
        "accounts": _copy(connection, ACCOUNTS, accounts),
        "courses": _copy(connection, COURSES, map(school.course, course_ids)),
        "course_modules": _copy(connection, MODULES, modules),
    }
    connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('accounts', 'user_id'), {school.users})")
    connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('courses', 'id'), {school.courses})")
    return counts


def email_of(user_id: int) -> str:
    """Return a seeded user's address; its domain is reserved, so mail to it goes nowhere (RFC 2606)."""
    return f"user{user_id:06d}@{DOMAIN}"


def role_of(user_id: int) -> Role:
    """Return a seeded user's role, which follows from the id alone."""
    if user_id == 1:
        return Role.ADMIN
    return Role.TEACHER if user_id % USERS_PER_TEACHER == 0 else Role.STUDENT


def _copy(connection: Connection, into: str, rows: Iterable[tuple[object, ...]]) -> int:
    driver: Any = connection.connection.driver_connection
    count = 0
    with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def _vacuum(database: Database) -> None:
    """Fill the planner's statistics and the visibility map, without which no index-only scan is chosen."""
    with database.primary.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("VACUUM (ANALYZE)")
        connection.exec_driver_sql("RESET statement_timeout")
