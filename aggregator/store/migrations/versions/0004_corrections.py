"""What people say of events is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the table of corrections."""
    op.create_table(
        "correction",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("a", BIG_ID, nullable=False),
        sa.Column("b", BIG_ID, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["a"], ["entry.id"]),
        sa.ForeignKeyConstraint(["b"], ["entry.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_correction_a", "correction", ["a"])
    op.create_index("ix_correction_b", "correction", ["b"])
