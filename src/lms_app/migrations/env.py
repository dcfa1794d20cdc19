"""Alembic's entry point: `lms_app.db.schema` hands it the connection; offline mode is not offered."""

from alembic import context

from lms_app.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"].execution_options(isolation_level="READ COMMITTED"),
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
