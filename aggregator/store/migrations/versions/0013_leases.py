"""Several processes on one database: leases of feeds, turns of hosts, elections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the tables, and a feed's lease."""
    op.add_column("feed", sa.Column("leased_by", sa.Text(), server_default="", nullable=False))
    op.add_column("feed", sa.Column("lease_until", UtcDateTime(), nullable=True))
    op.add_column("feed", sa.Column("fence", BIG_ID, server_default="0", nullable=False))
    op.create_table(
        "host_turn",
        sa.Column("host", sa.Text(), primary_key=True),
        sa.Column("free_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "host_place",
        sa.Column("feed_id", BIG_ID, sa.ForeignKey("feed.id"), primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_host_place_host", "host_place", ["host"])
    op.create_table(
        "election",
        sa.Column("role", sa.Text(), primary_key=True),
        sa.Column("term", BIG_ID, nullable=False),
    )
