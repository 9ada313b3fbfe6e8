"""Why a feed's last poll failed, and how long its server was waited for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Adds two columns; each feed's next poll fills them."""
    op.add_column("feed", sa.Column("failure", sa.Text(), server_default="", nullable=False))
    op.add_column("feed", sa.Column("answer_seconds", sa.Float(), nullable=True))
