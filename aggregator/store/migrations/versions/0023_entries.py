"""On PostgreSQL decisions and teasers have no foreign key to their entry any more; on SQLite nothing changes."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Drops the foreign keys.

    Looking an entry up through all partitions, and locking its row, took several times as long as writing the row
    that names it. Both are written and entries removed under one lock (dialect.lock_grouping).
    """
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in ("decision", "teaser"):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_entry_id_fkey")
