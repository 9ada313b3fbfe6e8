"""How many new entries each feed brought on each day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds the table; it counts from now on."""
    op.create_table(
        "activity",
        sa.Column("feed_id", BIG_ID, sa.ForeignKey("feed.id"), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True),
        sa.Column("entries", sa.Integer(), server_default="0", nullable=False),
    )
    op.create_index("ix_activity_day", "activity", ["day"])
