"""Where each logical shard lies: the record that every process's shard map must equal.

Revision 0004. The table is in every database; only the catalogue's has rows, written by `flask migrate` after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shard_placement",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("database", sa.Text(), nullable=False, comment="the database in force"),
        sa.Column("also", sa.Text(), nullable=True, comment="where a move that has not ended may have left rows too"),
        sa.CheckConstraint("shard BETWEEN 0 AND 479", name=op.f("ck_shard_placement_shard")),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_shard_placement")),
        comment="in the catalogue's database alone",
    )


def downgrade() -> None:
    op.drop_table("shard_placement")
