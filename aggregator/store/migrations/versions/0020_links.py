"""On PostgreSQL a scored pair is no foreign key any more; on SQLite nothing changes."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Drops the foreign keys from pairs to entries.

    Each new pair locked the rows of both its entries and looked them up through all partitions: half of the time
    of grouping an archive. Pairs are written and entries removed under one lock (dialect.lock_grouping).
    """
    if op.get_bind().dialect.name == "sqlite":
        return
    for end in ("a", "b"):
        op.drop_constraint(f"link_{end}_fkey", "link", type_="foreignkey")
