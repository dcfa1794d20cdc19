"""The tables of `watoto_lms`. Every database has all of them; the shard map says which rows live where.

Catalogue (one database): accounts, courses, course_modules, media, reports, shard_placement.
A user's own (the database of their shard): users, enrollments, module_completions, notifications.
Everywhere, beside the rows they belong to: outbox, processed_jobs, idempotency_keys, watoto_heartbeat.

A course and its enrolments may live in different databases, so no foreign key joins the two groups.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class PgLsn(UserDefinedType[str]):
    """PostgreSQL's `pg_lsn`, which SQLAlchemy does not name; values are text, ``16/B374D848``."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "pg_lsn"


def _created_at() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


accounts = Table(
    "accounts",
    metadata,
    Column("user_id", BigInteger, Identity(always=False), primary_key=True),
    Column("email", Text, nullable=False, unique=True, comment="lower case"),
    Column("session_version", Integer, nullable=False, server_default=text("1")),
    Column("revoked_at", DateTime(timezone=True), comment="when sessions of older versions were ended"),
    _created_at(),
)

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="accounts.user_id"),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    _created_at(),
    CheckConstraint("role IN ('student', 'teacher', 'admin')", name="role"),
)

courses = Table(
    "courses",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("teacher_id", BigInteger, nullable=False, index=True),
    Column("is_published", Boolean, nullable=False, server_default=text("false")),
    _created_at(),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

course_modules = Table(
    "course_modules",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("course_id", BigInteger, ForeignKey("courses.id", ondelete="CASCADE"), nullable=False),
    Column("sequence_order", Integer, nullable=False, comment="1, 2, 3 …; kept dense under a lock on the course"),
    Column("title", Text, nullable=False),
    Column("content", Text, nullable=False, server_default=""),
    _created_at(),
)

enrollments = Table(
    "enrollments",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("course_id", BigInteger, nullable=False),
    Column("progress_percentage", SmallInteger, nullable=False, server_default=text("0")),
    Column("status", Text, nullable=False, server_default="active"),
    Column("enrolled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("completed_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("course_id", "user_id"),
    CheckConstraint("progress_percentage BETWEEN 0 AND 100", name="progress"),
    CheckConstraint("status IN ('active', 'completed', 'dropped')", name="status"),
    CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name="completed"),
)

module_completions = Table(
    "module_completions",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("course_id", BigInteger, nullable=False),
    Column("module_id", BigInteger, nullable=False),
    Column("completed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("user_id", "course_id", "module_id"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("read_at", DateTime(timezone=True)),
    _created_at(),
)

media = Table(
    "media",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("owner_id", BigInteger, nullable=False),
    Column("course_id", BigInteger, ForeignKey("courses.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, comment="known once the object is there"),
    Column("status", Text, nullable=False, server_default="pending"),
    _created_at(),
    CheckConstraint("status IN ('pending', 'ready')", name="status"),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("owner_id", BigInteger, nullable=False, index=True),
    Column("course_id", BigInteger, comment="none: every course"),
    Column("format", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("row_count", BigInteger),
    Column("finished_at", DateTime(timezone=True)),
    _created_at(),
    CheckConstraint("format IN ('csv', 'json')", name="format"),
    CheckConstraint("status IN ('queued', 'done', 'failed')", name="status"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("job_id", Uuid, nullable=False, unique=True, server_default=func.gen_random_uuid()),
    Column("job_type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    _created_at(),
    comment="jobs written with the data they follow from; the relay publishes a row and deletes it once confirmed",
)

processed_jobs = Table(
    "processed_jobs",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("processed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="a job's id, written in the transaction of its effect: a redelivered job finds it and does nothing",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False, comment="hash of method, path and body"),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _created_at(),
    PrimaryKeyConstraint("user_id", "key"),
)

shard_placement = Table(
    "shard_placement",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("database", Text, nullable=False, comment="the database in force"),
    Column("also", Text, comment="where a move that has not ended may have left rows too"),
    CheckConstraint("shard BETWEEN 0 AND 479", name="shard"),
    comment="in the catalogue's database alone",
)

watoto_heartbeat = Table(
    "watoto_heartbeat",
    metadata,
    Column("ts", DateTime(timezone=True), primary_key=True),
    Column("lsn", PgLsn, nullable=False),
)

# The first four are the guide's. Each serves a query of the API; a test asks the planner.
Index("idx_enrollments_user_progress", enrollments.c.user_id, enrollments.c.progress_percentage.desc())
Index("idx_course_modules_course_sequence", course_modules.c.course_id, course_modules.c.sequence_order)
Index("idx_active_users", users.c.created_at, postgresql_where=users.c.is_active)
Index(
    "idx_user_courses_covering",
    enrollments.c.user_id,
    enrollments.c.course_id,
    enrollments.c.progress_percentage,
    enrollments.c.status,
)
Index("ix_notifications_user_id", notifications.c.user_id, notifications.c.id.desc())
# Every process reads the sessions that ended lately (`identity.Revocations`).
Index("ix_accounts_revoked_at", accounts.c.revoked_at, postgresql_where=accounts.c.revoked_at.is_not(None))
