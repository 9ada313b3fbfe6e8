"""How far the import of a file came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0019"
down_revision = "0018"

COUNTS = ("lines", "text_bytes", "disk_bytes", "entries_read", "entries_new", "entries_edited", "bad")


def upgrade() -> None:
    """Adds two tables; until a file is imported they are empty."""
    op.create_table(
        "import",
        sa.Column("identity", sa.Text(), primary_key=True),
        *(sa.Column(name, BIG_ID, nullable=False) for name in COUNTS),
        sa.Column("bad_lines", sa.Text(), nullable=False, server_default=""),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "import_keys",
        sa.Column("identity", sa.Text(), sa.ForeignKey("import.identity"), primary_key=True),
        sa.Column("line", BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
    )
