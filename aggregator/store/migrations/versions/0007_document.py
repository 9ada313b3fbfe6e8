"""What each feed's document held when it was last read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds the table; of a feed that is not in it all of the next document is read."""
    op.create_table(
        "document",
        sa.Column("feed_id", BIG_ID, sa.ForeignKey("feed.id"), primary_key=True),
        sa.Column("seen", sa.LargeBinary(), nullable=False),
    )
