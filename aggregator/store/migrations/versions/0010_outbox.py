"""Messages for the webhook, kept until they are delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds the tables; without a row in `webhook` nothing is written to the other."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("paused_until", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "outbox",
        sa.Column("number", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("event_id", BIG_ID, sa.ForeignKey("event.id"), nullable=False),
        sa.Column("type", sa.Text(), server_default="", nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("dead_at", UtcDateTime(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_event", "outbox", ["event_id", "number"])
