"""The time of an event's news, by which the page is in order; and what happened to an event, by index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import UtcDateTime

revision = "0012"
down_revision = "0011"

LONG_AGO = "'1970-01-01 00:00:00.000000'"

NEWS_AT = """
    UPDATE event SET news_at = COALESCE(
        (SELECT max(CASE WHEN published_at < first_seen_at THEN published_at ELSE first_seen_at END)
         FROM entry WHERE entry.event_id = event.id),
        last_seen_at)
"""


def upgrade() -> None:
    """Adds both; a million entries take some ten seconds."""
    op.add_column(
        "event", sa.Column("news_at", UtcDateTime(), nullable=False, server_default=sa.text(LONG_AGO))
    )
    op.execute(NEWS_AT)
    op.create_index("event_news", "event", ["news_at", "id"])
    op.create_index("ix_change_event_id", "change", ["event_id"])
    merges = sa.text("other_event_id IS NOT NULL")
    op.create_index(
        "change_other", "change", ["other_event_id"], sqlite_where=merges, postgresql_where=merges
    )
