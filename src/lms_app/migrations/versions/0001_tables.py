"""The tables.

Revision 0001; every one of them exists in every database of the shard map.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from lms_app.db.tables import PgLsn

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("accounts",
    sa.Column("user_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column("email", sa.Text(), nullable=False, comment="lower case"),
    sa.Column("session_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
    sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True, comment="when sessions of older versions were ended"),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("user_id", name=op.f("pk_accounts")),
    sa.UniqueConstraint("email", name=op.f("uq_accounts_email"))
    )
    op.create_index("ix_accounts_revoked_at", "accounts", ["revoked_at"], unique=False, postgresql_where=sa.text("revoked_at IS NOT NULL"))
    op.create_table("courses",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column("title", sa.Text(), nullable=False),
    sa.Column("description", sa.Text(), server_default="", nullable=False),
    sa.Column("teacher_id", sa.BigInteger(), nullable=False),
    sa.Column("is_published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_courses"))
    )
    op.create_index(op.f("ix_courses_teacher_id"), "courses", ["teacher_id"], unique=False)
    op.create_table("enrollments",
    sa.Column("user_id", sa.BigInteger(), nullable=False),
    sa.Column("course_id", sa.BigInteger(), nullable=False),
    sa.Column("progress_percentage", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
    sa.Column("status", sa.Text(), server_default="active", nullable=False),
    sa.Column("enrolled_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name=op.f('ck_enrollments_completed')),
    sa.CheckConstraint("status IN ('active', 'completed', 'dropped')", name=op.f('ck_enrollments_status')),
    sa.CheckConstraint("progress_percentage BETWEEN 0 AND 100", name=op.f("ck_enrollments_progress")),
    sa.PrimaryKeyConstraint("course_id", "user_id", name=op.f("pk_enrollments"))
    )
    op.create_table("idempotency_keys",
    sa.Column("user_id", sa.BigInteger(), nullable=False),
    sa.Column("key", sa.Text(), nullable=False),
    sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="hash of method, path and body"),
    sa.Column("status", sa.SmallInteger(), nullable=False),
    sa.Column("headers", postgresql.JSONB(), nullable=False),
    sa.Column("body", sa.LargeBinary(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys"))
    )
    op.create_table("module_completions",
    sa.Column("user_id", sa.BigInteger(), nullable=False),
    sa.Column("course_id", sa.BigInteger(), nullable=False),
    sa.Column("module_id", sa.BigInteger(), nullable=False),
    sa.Column("completed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("user_id", "course_id", "module_id", name=op.f("pk_module_completions"))
    )
    op.create_table("notifications",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column("user_id", sa.BigInteger(), nullable=False),
    sa.Column("kind", sa.Text(), nullable=False),
    sa.Column("message", sa.Text(), nullable=False),
    sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications"))
    )
    op.create_index("ix_notifications_user_id", "notifications", ["user_id", sa.text("id DESC")])
    op.create_table("outbox",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column("job_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
    sa.Column("job_type", sa.Text(), nullable=False),
    sa.Column("payload", postgresql.JSONB(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    sa.UniqueConstraint("job_id", name=op.f("uq_outbox_job_id")),
    comment="jobs written with the data they follow from; the relay publishes a row and deletes it once confirmed"
    )
    op.create_table("processed_jobs",
    sa.Column("job_id", sa.Uuid(), nullable=False),
    sa.Column("processed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.PrimaryKeyConstraint("job_id", name=op.f("pk_processed_jobs")),
    comment="a job's id, written in the transaction of its effect: a redelivered job finds it and does nothing"
    )
    op.create_table("reports",
    sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
    sa.Column("owner_id", sa.BigInteger(), nullable=False),
    sa.Column("course_id", sa.BigInteger(), nullable=True, comment="none: every course"),
    sa.Column("format", sa.Text(), nullable=False),
    sa.Column("status", sa.Text(), server_default="queued", nullable=False),
    sa.Column("row_count", sa.BigInteger(), nullable=True),
    sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.CheckConstraint("format IN ('csv', 'json')", name=op.f('ck_reports_format')),
    sa.CheckConstraint("status IN ('queued', 'done', 'failed')", name=op.f('ck_reports_status')),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_reports"))
    )
    op.create_index(op.f("ix_reports_owner_id"), "reports", ["owner_id"], unique=False)
    op.create_table("users",
    sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="accounts.user_id"),
    sa.Column("email", sa.Text(), nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("role", sa.Text(), nullable=False),
    sa.Column("password_hash", sa.Text(), nullable=False),
    sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.CheckConstraint("role IN ('student', 'teacher', 'admin')", name=op.f('ck_users_role')),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_users"))
    )
    op.create_table("watoto_heartbeat",
    sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
    sa.Column("lsn", PgLsn(), nullable=False),
    sa.PrimaryKeyConstraint("ts", name=op.f("pk_watoto_heartbeat"))
    )
    op.create_table("course_modules",
    sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column("course_id", sa.BigInteger(), nullable=False),
    sa.Column("sequence_order", sa.Integer(), nullable=False, comment="1, 2, 3 …; kept dense under a lock on the course"),
    sa.Column("title", sa.Text(), nullable=False),
    sa.Column("content", sa.Text(), server_default="", nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_course_modules_course_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_course_modules"))
    )
    op.create_table("media",
    sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
    sa.Column("owner_id", sa.BigInteger(), nullable=False),
    sa.Column("course_id", sa.BigInteger(), nullable=False),
    sa.Column("filename", sa.Text(), nullable=False),
    sa.Column("content_type", sa.Text(), nullable=False),
    sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="known once the object is there"),
    sa.Column("status", sa.Text(), server_default="pending", nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.CheckConstraint("status IN ('pending', 'ready')", name=op.f('ck_media_status')),
    sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_media_course_id"), ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_media"))
    )
    op.create_index(op.f("ix_media_course_id"), "media", ["course_id"], unique=False)


def downgrade() -> None:
    for table in (
        "media",
        "course_modules",
        "watoto_heartbeat",
        "users",
        "reports",
        "processed_jobs",
        "outbox",
        "notifications",
        "module_completions",
        "idempotency_keys",
        "enrollments",
        "courses",
        "accounts",
    ):
        op.drop_table(table)
