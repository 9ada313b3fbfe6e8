"""Health that learns: when a feed falls silent, what it brings again, a day's counts, which processes run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from alembic import op

from aggregator.rhythm import RHYTHM_DAYS, silent_from
from aggregator.store.dialect import UtcDateTime

revision = "0017"
down_revision = "0016"

V1_FEED = """
    CREATE VIEW v1_feed AS
    SELECT feed.public_url AS url, feed.title, feed.category,
           CASE WHEN NOT (feed.listed OR feed.url LIKE 'import:%') THEN 'paused'
                WHEN feed.health = 'ok' AND feed.last_success_at >= feed.silent_at THEN 'silent'
                ELSE feed.health END AS state,
           feed.last_polled_at, feed.last_success_at, feed.next_poll_at, feed.failures, feed.problem,
           (SELECT count(*) FROM entry WHERE entry.feed_id = feed.id) AS entries,
           CASE WHEN feed.address <> '' THEN feed.address ELSE feed.moved_to END AS moved_to
    FROM feed
"""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Adds the columns and tables; feeds that are silent already show it at once."""
    op.add_column("activity", sa.Column("again", sa.Integer(), server_default="0", nullable=False))
    op.add_column("feed", sa.Column("silent_at", UtcDateTime(), nullable=True))
    op.execute("DROP VIEW v1_feed")
    op.execute(V1_FEED)
    op.create_table(
        "day_count",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in ("polls", "failed", "new", "events")
        ),
        sa.Column("told_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "process",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("roles", sa.Text(), server_default="", nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
    )
    rows = [{"feed": feed, "at": at} for feed, at in _silences()]
    if rows:
        feed = sa.table("feed", sa.column("id", sa.Integer()), sa.column("silent_at", UtcDateTime()))
        mine = feed.c.id == sa.bindparam("feed")
        op.get_bind().execute(sa.update(feed).where(mine).values(silent_at=sa.bindparam("at")), rows)


def _silences() -> Iterator[tuple[int, datetime]]:
    counted = sa.text("SELECT feed_id, day, entries FROM activity ORDER BY feed_id, day")
    for feed, rows in groupby(op.get_bind().execute(counted), key=lambda row: int(row.feed_id)):
        by_day = {int(row.day): int(row.entries) for row in rows}
        first = silent_from({day: n for day, n in by_day.items() if day >= max(by_day) - RHYTHM_DAYS})
        if first is not None:
            yield feed, EPOCH + timedelta(days=first)
