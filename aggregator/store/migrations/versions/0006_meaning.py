"""What entries mean, as vectors; and how many features a decision's comparisons have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

FEATURES_BEFORE = "35"


def upgrade() -> None:
    """Adds both columns."""
    op.add_column("signature", sa.Column("meaning", sa.LargeBinary(), nullable=True))
    op.add_column(
        "decision", sa.Column("features", sa.Integer(), server_default=FEATURES_BEFORE, nullable=False)
    )
