"""Old entries may go: what was seen is remembered, the change log outlives its events, and look-ups for both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0014"
down_revision = "0013"

V1_CHANGE = "CREATE VIEW v1_change AS SELECT cursor, event_id, kind, other_event_id, at FROM change"


def upgrade() -> None:
    """Adds the table of what is gone; `change` names events that may be gone, so it loses its foreign keys."""
    op.create_table(
        "pruned",
        sa.Column("feed_id", BIG_ID, sa.ForeignKey("feed.id"), primary_key=True),
        sa.Column("identity", BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("url_key", BIG_ID, nullable=False),
        sa.Column("title_key", BIG_ID, nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
    )
    op.create_index("pruned_url", "pruned", ["feed_id", "url_key"])
    op.create_index("ix_pruned_day", "pruned", ["day"])
    for name, table, column in (
        ("teaser_entry", "teaser", "entry_id"),
        ("event_merged", "event", "merged_into"),
    ):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, table, [column], sqlite_where=there, postgresql_where=there)
    if op.get_bind().dialect.name == "sqlite":
        _copy_changes()
        return
    for column in ("event_id", "other_event_id"):
        op.drop_constraint(f"change_{column}_fkey", "change", type_="foreignkey")


def _copy_changes() -> None:
    """SQLite drops no constraint: the table is made anew. Its numbers go on where they were."""
    op.execute("DROP VIEW v1_change")
    op.rename_table("change", "old_change")
    op.create_table(
        "change",
        sa.Column("cursor", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("other_event_id", BIG_ID, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("cursor"),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO change (cursor, event_id, kind, other_event_id, at) "
        "SELECT cursor, event_id, kind, other_event_id, at FROM old_change ORDER BY cursor"
    )
    op.execute("DROP TABLE old_change")
    op.create_index("ix_change_event_id", "change", ["event_id"])
    op.create_index(
        "change_other", "change", ["other_event_id"], sqlite_where=sa.text("other_event_id IS NOT NULL")
    )
    op.execute(V1_CHANGE)
