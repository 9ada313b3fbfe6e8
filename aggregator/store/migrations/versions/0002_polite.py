"""What polling remembers more of a feed: its hints, its moves, its URL without credentials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.credentials import redacted
from aggregator.store.dialect import UtcDateTime

revision = "0002"
down_revision = "0001"

VIEWS = {
    "v1_event_entry": """
        SELECT entry.event_id, entry.id AS entry_id, entry.relation, entry.score, feed.public_url AS feed_url,
               entry.source, entry.guid, entry.title, entry.url, entry.published_at
        FROM entry JOIN feed ON feed.id = entry.feed_id
        WHERE entry.event_id IS NOT NULL
    """,
    "v1_entry": """
        SELECT entry.id, feed.public_url AS feed_url, entry.guid, entry.url, entry.title, entry.text, entry.html,
               entry.lang, entry.author, entry.published_at, entry.first_seen_at, entry.date_guessed,
               entry.event_id
        FROM entry JOIN feed ON feed.id = entry.feed_id
    """,
    "v1_feed": """
        SELECT feed.public_url AS url, feed.title, feed.category,
               CASE WHEN feed.listed OR feed.url LIKE 'import:%' THEN feed.health ELSE 'paused' END AS state,
               feed.last_polled_at, feed.last_success_at, feed.next_poll_at, feed.failures, feed.problem,
               (SELECT count(*) FROM entry WHERE entry.feed_id = feed.id) AS entries,
               CASE WHEN feed.address <> '' THEN feed.address ELSE feed.moved_to END AS moved_to
        FROM feed
    """,
}


def upgrade() -> None:
    """Adds the columns and indexes, and makes the views anew that show a feed's URL."""
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    for column in (
        sa.Column("public_url", sa.Text(), server_default="", nullable=False),
        sa.Column("moved_sightings", sa.Integer(), server_default="0", nullable=False),
        sa.Column("moved_seen_at", UtcDateTime(), nullable=True),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("ttl", sa.Integer(), nullable=True),
        sa.Column("skip_hours", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skip_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("whole_at", UtcDateTime(), nullable=True),
    ):
        op.add_column("feed", column)
    given = sa.text("address <> ''")
    op.create_index("feed_address", "feed", ["address"], sqlite_where=given, postgresql_where=given)
    db = op.get_bind()
    db.execute(sa.text("UPDATE feed SET public_url = url"))
    with_login = sa.text("SELECT id, url FROM feed WHERE url LIKE '%@%' AND url NOT LIKE 'import:%'")
    shown = sa.text("UPDATE feed SET public_url = :url WHERE id = :id")
    for number, url in db.execute(with_login).all():
        db.execute(shown, {"url": redacted(url), "id": number})
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")
