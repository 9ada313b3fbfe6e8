"""What the list sets for single feeds: interval, language, weight, and for how long entries are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Adds the columns; until the list is read, every feed is as all."""
    op.add_column("feed", sa.Column("set_interval", sa.Integer(), nullable=True))
    op.add_column("feed", sa.Column("set_lang", sa.Text(), nullable=False, server_default=""))
    op.add_column("feed", sa.Column("weight", sa.Float(), nullable=False, server_default="1"))
    op.add_column("feed", sa.Column("keep_days", sa.Integer(), nullable=True))
