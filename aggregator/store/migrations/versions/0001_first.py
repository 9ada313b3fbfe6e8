"""The first schema: the tables, and the v1 views that other programs read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0001"
down_revision = None

VIEWS = {
    "v1_event": """
        SELECT event.id, entry.title, entry.url, entry.source, entry.summary, entry.text, entry.lang,
               entry.published_at, event.first_seen_at, event.last_seen_at, event.entry_count,
               event.source_count, event.canonical_entry_id, event.merged_into
        FROM event LEFT JOIN entry ON entry.id = event.canonical_entry_id
    """,
    "v1_event_entry": """
        SELECT entry.event_id, entry.id AS entry_id, entry.relation, entry.score, feed.url AS feed_url,
               entry.source, entry.guid, entry.title, entry.url, entry.published_at
        FROM entry JOIN feed ON feed.id = entry.feed_id
        WHERE entry.event_id IS NOT NULL
    """,
    "v1_teaser": """
        SELECT event_id, position, kind, text, title, url, source, published_at, entry_id, related_event_id
        FROM teaser
    """,
    "v1_entry": """
        SELECT entry.id, feed.url AS feed_url, entry.guid, entry.url, entry.title, entry.text, entry.html,
               entry.lang, entry.author, entry.published_at, entry.first_seen_at, entry.date_guessed,
               entry.event_id
        FROM entry JOIN feed ON feed.id = entry.feed_id
    """,
    "v1_change": """
        SELECT cursor, event_id, kind, other_event_id, at
        FROM change
    """,
    "v1_feed": """
        SELECT feed.url, feed.title, feed.category,
               CASE WHEN feed.listed OR feed.url LIKE 'import:%' THEN feed.health ELSE 'paused' END AS state,
               feed.last_polled_at, feed.last_success_at, feed.next_poll_at, feed.failures, feed.problem,
               (SELECT count(*) FROM entry WHERE entry.feed_id = feed.id) AS entries, feed.moved_to
        FROM feed
    """,
}


def upgrade() -> None:
    """An empty database becomes this schema."""
    op.create_table(
        "event",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("canonical_entry_id", BIG_ID, nullable=True),
        sa.Column("merged_into", BIG_ID, nullable=True),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.Column("source_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["merged_into"], ["event.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "event_latest",
        "event",
        ["last_seen_at", "id"],
        sqlite_where=sa.text("merged_into IS NULL"),
        postgresql_where=sa.text("merged_into IS NULL"),
    )
    op.create_table(
        "feed",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("category", sa.Text(), server_default="", nullable=False),
        sa.Column("site_url", sa.Text(), server_default="", nullable=False),
        sa.Column("lang", sa.Text(), server_default="", nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("health", sa.Text(), server_default="", nullable=False),
        sa.Column("etag", sa.Text(), server_default="", nullable=False),
        sa.Column("last_modified", sa.Text(), server_default="", nullable=False),
        sa.Column("body_hash", sa.Text(), server_default="", nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("moved_to", sa.Text(), server_default="", nullable=False),
        sa.Column("next_poll_at", UtcDateTime(), nullable=True),
        sa.Column("last_polled_at", UtcDateTime(), nullable=True),
        sa.Column("last_success_at", UtcDateTime(), nullable=True),
        sa.Column("retry_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("url"),
        sqlite_autoincrement=True,
    )
    op.create_index("feed_due", "feed", ["listed", "next_poll_at"])
    op.create_table(
        "change",
        sa.Column("cursor", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("other_event_id", BIG_ID, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"]),
        sa.ForeignKeyConstraint(["other_event_id"], ["event.id"]),
        sa.PrimaryKeyConstraint("cursor"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "entry",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("feed_id", BIG_ID, nullable=False),
        sa.Column("identity", sa.Text(), server_default="", nullable=False),
        sa.Column("guid", sa.Text(), server_default="", nullable=False),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.Column("canonical_url", sa.Text(), server_default="", nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("html", sa.Text(), server_default="", nullable=False),
        sa.Column("lang", sa.Text(), server_default="", nullable=False),
        sa.Column("author", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("date_guessed", sa.Boolean(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("content_hash", sa.Text(), server_default="", nullable=False),
        sa.Column("text_key", BIG_ID, nullable=False),
        sa.Column("title_key", BIG_ID, nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("event_id", BIG_ID, nullable=True),
        sa.Column("relation", sa.Text(), server_default="", nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"]),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("feed_id", "identity", name="entry_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("entry_canonical_url", "entry", ["feed_id", "canonical_url"])
    op.create_index(
        "entry_pending", "entry", ["id"], sqlite_where=sa.text("pending"), postgresql_where=sa.text("pending")
    )
    op.create_index(
        "entry_text_key",
        "entry",
        ["text_key"],
        sqlite_where=sa.text("text_key <> 0"),
        postgresql_where=sa.text("text_key <> 0"),
    )
    op.create_index(
        "entry_title_key",
        "entry",
        ["title_key"],
        sqlite_where=sa.text("title_key <> 0"),
        postgresql_where=sa.text("title_key <> 0"),
    )
    op.create_index("ix_entry_event_id", "entry", ["event_id"])
    op.create_index("ix_entry_published_at", "entry", ["published_at"])
    op.create_table(
        "entry_alias",
        sa.Column("feed_id", BIG_ID, nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"]),
        sa.PrimaryKeyConstraint("feed_id", "identity"),
    )
    op.create_index("ix_entry_alias_entry_id", "entry_alias", ["entry_id"])
    op.create_table(
        "entry_version",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("content_hash", sa.Text(), server_default="", nullable=False),
        sa.Column("replaced_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entry_version_entry_id", "entry_version", ["entry_id"])
    op.create_table(
        "link",
        sa.Column("a", BIG_ID, nullable=False),
        sa.Column("b", BIG_ID, nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("is_copy", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["a"], ["entry.id"]),
        sa.ForeignKeyConstraint(["b"], ["entry.id"]),
        sa.PrimaryKeyConstraint("a", "b"),
    )
    op.create_index("ix_link_b", "link", ["b"])
    op.create_table(
        "listed_item",
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("teaser", sa.Text(), server_default="", nullable=False),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.Column("start_key", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.PrimaryKeyConstraint("entry_id", "position"),
    )
    op.create_index("ix_listed_item_start_key", "listed_item", ["start_key"])
    op.create_table(
        "signature",
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("scheme", sa.Integer(), nullable=False),
        sa.Column("minhash", sa.LargeBinary(), nullable=False),
        sa.Column("title", sa.LargeBinary(), nullable=False),
        sa.Column("title_marks", sa.LargeBinary(), nullable=False),
        sa.Column("lead", sa.LargeBinary(), nullable=False),
        sa.Column("lead_marks", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    op.create_index("ix_signature_at", "signature", ["at"])
    op.create_table(
        "teaser",
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("full_text", sa.Text(), server_default="", nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("entry_id", BIG_ID, nullable=True),
        sa.Column("related_event_id", BIG_ID, nullable=True),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"]),
        sa.ForeignKeyConstraint(["related_event_id"], ["event.id"]),
        sa.PrimaryKeyConstraint("event_id", "position"),
    )
    op.create_index("ix_teaser_related_event_id", "teaser", ["related_event_id"])
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")
