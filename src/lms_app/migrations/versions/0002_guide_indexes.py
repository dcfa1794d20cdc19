"""The four indexes the API's own queries use, built without blocking writes.

Revision 0002. CONCURRENTLY cannot run in a transaction; one that was interrupted leaves an invalid index behind, so
each is dropped first if it is there. It waits for every older transaction, which counts as waiting for a lock: the
connection's lock_timeout would end it, and leave the index invalid.
"""

from contextlib import contextmanager

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = {
    "idx_enrollments_user_progress": "enrollments (user_id, progress_percentage DESC)",
    "idx_course_modules_course_sequence": "course_modules (course_id, sequence_order)",
    "idx_active_users": "users (created_at) WHERE is_active",
    "idx_user_courses_covering": "enrollments (user_id, course_id, progress_percentage, status)",
}


@contextmanager
def waiting_for_older_transactions():
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute("RESET lock_timeout")


def upgrade() -> None:
    with waiting_for_older_transactions():
        for name, on in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")


def downgrade() -> None:
    with waiting_for_older_transactions():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
