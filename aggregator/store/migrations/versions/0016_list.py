"""Which file the list in force was read from, so that one that was saved earlier elsewhere does not undo it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import UtcDateTime

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Adds the table, empty: the next file that is read is in force, whichever it is."""
    op.create_table(
        "list_in_force",
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("place", sa.Text(), nullable=False, server_default=""),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
    )
