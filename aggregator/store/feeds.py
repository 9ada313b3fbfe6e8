"""Feeds and their polling state: the list in force, and what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row as ResultRow
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import Connection

from aggregator.store.dialect import insert_new
from aggregator.store.tables import FEED
from aggregator.types import Feed, FeedHealth, FeedId, FeedState

IMPORTED = "import:"
"""What the URLs of feeds begin with that stand for imported entries, one for each source."""


def sync_feeds(db: Connection, feeds: Sequence[Feed], interval: int, now: datetime) -> int:
    """How many feeds are new: the list in force becomes `feeds`.

    A feed that has left the list stays with its entries and its history, but is no longer polled; one that comes
    back goes on where it was, and if it was gone (410) it gets a new chance: the operator knows better.
    """
    known = {row.url: row for row in db.execute(select(FEED).where(~FEED.c.url.startswith(IMPORTED)))}
    listed = {feed.url for feed in feeds}
    new = [feed for feed in feeds if feed.url not in known]
    if new:
        db.execute(insert(FEED), [_new_feed(feed, interval, now) for feed in new])
    changed = [
        {"number": row.id, "new_title": feed.title or row.title, "new_category": feed.category}
        for feed in feeds
        if (row := known.get(feed.url)) is not None
        and (not row.listed or (row.title, row.category) != (feed.title or row.title, feed.category))
    ]
    if changed:
        listing = update(FEED).where(FEED.c.id == bindparam("number"))
        titles = {"title": bindparam("new_title"), "category": bindparam("new_category"), "listed": True}
        db.execute(listing.values(titles), changed)
    back = [
        {"number": row.id}
        for url in listed
        if (row := known.get(url)) is not None and not row.listed and row.health == FeedHealth.GONE
    ]
    if back:
        anew = {"health": FeedHealth.OK, "failures": 0, "problem": "", "next_poll_at": now, "retry_at": None}
        db.execute(update(FEED).where(FEED.c.id == bindparam("number")).values(anew), back)
    left = [{"number": row.id} for row in known.values() if row.listed and row.url not in listed]
    if left:
        db.execute(update(FEED).where(FEED.c.id == bindparam("number")).values(listed=False), left)
    return len(new)


def _new_feed(feed: Feed, interval: int, now: datetime | None) -> dict[str, Any]:
    return {
        "url": feed.url,
        "title": feed.title,
        "category": feed.category,
        "site_url": feed.site_url,
        "listed": now is not None,
        "health": FeedHealth.OK,
        "interval": interval,
        "failures": 0,
        "next_poll_at": now,
    }


def due_feeds(db: Connection, now: datetime) -> list[FeedState]:
    """The listed feeds whose time has come, the longest overdue first."""
    ripe = FEED.c.listed & (FEED.c.next_poll_at <= now)
    return [
        _state(row) for row in db.execute(select(FEED).where(ripe).order_by(FEED.c.next_poll_at, FEED.c.id))
    ]


def listed_feeds(db: Connection) -> list[FeedState]:
    """All listed feeds, the next due first."""
    every = select(FEED).where(FEED.c.listed).order_by(FEED.c.next_poll_at, FEED.c.id)
    return [_state(row) for row in db.execute(every)]


def import_feeds(db: Connection, sources: Sequence[str]) -> dict[str, FeedId]:
    """The feeds that imported entries of these sources belong to, made where they are missing."""
    urls = {IMPORTED + source: source for source in sources}
    rows = [_new_feed(Feed(url, source, "", ""), 0, None) for url, source in urls.items()]
    if rows:
        db.execute(insert_new(db, FEED), rows)
    found = db.execute(select(FEED.c.url, FEED.c.id).where(FEED.c.url.in_(urls)))
    return {urls[row.url]: FeedId(row.id) for row in found}


def write_state(db: Connection, state: FeedState) -> None:
    """Keeps what a poll learnt about its feed; title and category stay the operator's."""
    db.execute(
        update(FEED)
        .where(FEED.c.id == state.id)
        .values(
            title=state.title,
            lang=state.lang,
            health=state.health,
            etag=state.etag,
            last_modified=state.last_modified,
            body_hash=state.body_hash,
            interval=state.interval,
            failures=state.failures,
            problem=state.problem,
            moved_to=state.moved_to,
            next_poll_at=state.next_poll_at,
            last_polled_at=state.last_polled_at,
            last_success_at=state.last_success_at,
            retry_at=state.retry_at,
        )
    )


def _state(row: ResultRow[Any]) -> FeedState:
    return FeedState(
        id=FeedId(row.id),
        url=row.url,
        title=row.title,
        category=row.category,
        lang=row.lang,
        health=FeedHealth(row.health),
        etag=row.etag,
        last_modified=row.last_modified,
        body_hash=row.body_hash,
        interval=row.interval,
        failures=row.failures,
        problem=row.problem,
        next_poll_at=row.next_poll_at,
        last_polled_at=row.last_polled_at,
        last_success_at=row.last_success_at,
        moved_to=row.moved_to,
        retry_at=row.retry_at,
    )
