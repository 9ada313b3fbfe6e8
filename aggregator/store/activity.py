"""What feeds bring by day: counted as it comes, and what of it is strange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.engine import Connection

from aggregator.rhythm import LEAST_AGAIN, LEAST_FLOOD, RHYTHM_DAYS, bursts, silent_from
from aggregator.store.dialect import among, chunks
from aggregator.store.feeds import last_day, shown_state
from aggregator.store.tables import ACTIVITY, FEED
from aggregator.types import Alarm, AlarmKind, Brought, FeedHealth, FeedId

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_number(at: datetime) -> int:
    """The day (UTC) by its number since 1970-01-01."""
    return (at - EPOCH).days


def count_activity(db: Connection, feed: FeedId, now: datetime, brought: Brought) -> None:
    """Counts what the feed brought to its day; the first entries of a day put its silence off."""
    day = day_number(now)
    today = (ACTIVITY.c.feed_id == feed) & (ACTIVITY.c.day == day)
    sums = {"entries": ACTIVITY.c.entries + brought.entries, "again": ACTIVITY.c.again + brought.again}
    total = db.execute(update(ACTIVITY).where(today).values(sums).returning(ACTIVITY.c.entries)).scalar()
    if total is None:
        db.execute(insert(ACTIVITY).values(feed_id=feed, day=day, **brought._asdict()))
    if brought.entries and (total is None or total == brought.entries):
        renew_silence(db, feed, day)


def renew_silence(db: Connection, feed: FeedId, day: int) -> None:
    """Keeps from when on the feed counts as silent, by its rhythm up to this day.

    A later entry of the same day changes nothing of it (see rhythm.silent_from).
    """
    lately = (ACTIVITY.c.feed_id == feed) & (ACTIVITY.c.day >= day - RHYTHM_DAYS)
    rows = db.execute(select(ACTIVITY.c.day, ACTIVITY.c.entries).where(lately)).all()
    first = silent_from({row.day: row.entries for row in rows})
    at = None if first is None else EPOCH + timedelta(days=first)
    db.execute(update(FEED).where(FEED.c.id == feed).values(silent_at=at))


def brought_by_day(
    db: Connection, first: int, feeds: Iterable[int] | None = None
) -> Mapping[str, Mapping[int, Brought]]:
    """For each of these feeds (None = all), by its public URL: what it brought on each day from `first` on."""
    query = (
        select(FEED.c.public_url, ACTIVITY.c.day, ACTIVITY.c.entries, ACTIVITY.c.again)
        .join(FEED, FEED.c.id == ACTIVITY.c.feed_id)
        .where(ACTIVITY.c.day >= first)
    )
    queries = [query] if feeds is None else [query.where(among(FEED.c.id, part)) for part in chunks(feeds)]
    found: dict[str, dict[int, Brought]] = {}
    for one in queries:
        for row in db.execute(one):
            found.setdefault(row.public_url, {})[row.day] = Brought(row.entries, row.again)
    return found


def find_alarms(db: Connection, now: datetime) -> list[Alarm]:
    """What is strange about listed feeds, by their titles. Looks into the past of few of them only."""
    return sorted(
        [*_silences(db), *_bursts(db, day_number(now))], key=lambda one: (one.name, one.url, one.kind)
    )


def _silences(db: Connection) -> Iterable[Alarm]:
    query = select(FEED.c.public_url, FEED.c.title, FEED.c.last_success_at, last_day().label("last"))
    for row in db.execute(query.where(FEED.c.listed, shown_state() == FeedHealth.SILENT)):
        quiet = day_number(row.last_success_at) - row.last
        yield Alarm(row.public_url, row.title or row.public_url, AlarmKind.SILENCE, quiet)


def _bursts(db: Connection, today: int) -> Iterable[Alarm]:
    much = or_(ACTIVITY.c.entries >= LEAST_FLOOD, ACTIVITY.c.again >= LEAST_AGAIN)
    query = (
        select(FEED.c.id, FEED.c.public_url, FEED.c.title)
        .join(ACTIVITY, ACTIVITY.c.feed_id == FEED.c.id)
        .where(FEED.c.listed, ACTIVITY.c.day >= today - 1, much)
        .distinct()
    )
    rows = db.execute(query).all()
    by_feed = brought_by_day(db, today - RHYTHM_DAYS, [row.id for row in rows])
    for row in rows:
        for kind, count in bursts(by_feed.get(row.public_url, {}), today).items():
            yield Alarm(row.public_url, row.title or row.public_url, kind, count)


def count_by_state(db: Connection) -> dict[str, int]:
    """How many listed feeds are in which state."""
    state = shown_state().label("state")
    states = select(state, func.count().label("feeds")).where(FEED.c.listed).group_by(state)
    return {str(row.state): int(row.feeds) for row in db.execute(states)}
