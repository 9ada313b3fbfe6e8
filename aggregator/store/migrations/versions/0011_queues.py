"""Partial indexes of what waits, on SQLite in the words of the queries: it uses them only if these are the same.

And the index by which `v1_event` is read newest first holds merged events, too: a reader may leave them in.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

QUEUES = (
    ("entry_pending", "entry", "id", "pending"),
    ("event_relate", "event", "id", "relate"),
    ("decision_regroup", "decision", "entry_id", "regroup"),
)


def upgrade() -> None:
    """Makes the indexes anew; PostgreSQL takes "pending" and "pending = true" for the same."""
    op.drop_index("event_latest", "event")
    op.create_index("event_latest", "event", ["last_seen_at", "id"])
    if op.get_bind().dialect.name != "sqlite":
        return
    for name, table, column, flag in QUEUES:
        op.drop_index(name, table)
        op.create_index(name, table, [column], sqlite_where=sa.text(f"{flag} = 1"))
