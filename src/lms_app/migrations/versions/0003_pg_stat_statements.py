"""pg_stat_statements, where the role may create it.

Revision 0003. The extension is not a trusted one: on most servers a superuser creates it once. Where that has not
happened the migration says so and goes on; `flask slow-queries` repeats the advice.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"))
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in {"42501", "58P01", "0A000"}:
            raise
        logging.getLogger(__name__).warning(
            "pg_stat_statements is missing; let a superuser run CREATE EXTENSION pg_stat_statements in this database"
        )


def downgrade() -> None:
    """The extension may have been there before and is left alone."""
