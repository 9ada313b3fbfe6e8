"""Related teasers are made anew when nothing is pending, and not with every batch that touches their event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the mark of events whose related teasers are to be made anew."""
    op.add_column("event", sa.Column("relate", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "event_relate",
        "event",
        ["id"],
        sqlite_where=sa.text("relate"),
        postgresql_where=sa.text("relate"),
    )
