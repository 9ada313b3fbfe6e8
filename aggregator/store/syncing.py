"""The list of feeds in the database: what a new list changes is found in one read and written in small parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Row as ResultRow
from sqlalchemy import bindparam, delete, exists, insert, select, update
from sqlalchemy.engine import Connection

from aggregator.config import Settings
from aggregator.credentials import redacted, redacted_text
from aggregator.schedule import NEVER
from aggregator.store.dialect import among, chunks, insert_new, lock_list, plain_parts
from aggregator.store.feeds import IMPORTED, feed_values, write_all
from aggregator.store.tables import FEED, LIST_IN_FORCE
from aggregator.types import Feed, FeedHealth, ListChange, ListSource

PART = 500
"""Feeds written in one transaction, some 10 ms: a poll that has something to keep waits no longer for the list."""


class _Known(NamedTuple):
    """What the database knows of a feed. Rows of SQLAlchemy would take three times as long to compare."""

    title: str
    category: str
    set_interval: int | None
    set_lang: str
    weight: float
    keep_days: int | None
    id: int
    url: str
    listed: bool
    health: str
    address: str
    moved_to: str


KNOWN = tuple(FEED.c[name] for name in _Known._fields)
SAID = _Known._fields[: _Known._fields.index("id")]
"""What a list says of a feed, as `_said` gives it."""

TIMES = (FEED.c.id, FEED.c.next_poll_at, FEED.c.last_polled_at, FEED.c.retry_at)
"""Asked only of feeds that change: to read three times of each of 100,000 feeds takes half a second."""

_TAKEN = FEED.alias()
MOVE = (
    update(FEED)
    .where(FEED.c.id == bindparam("number"), ~exists().where(_TAKEN.c.url == bindparam("new_url")))
    .values(
        url=bindparam("new_url"),
        public_url=bindparam("new_public_url"),
        address="",
        moved_to="",
        moved_sightings=0,
    )
)
SOONER = (
    update(FEED)
    .where(
        FEED.c.id == bindparam("number"),
        FEED.c.last_polled_at.is_not_distinct_from(bindparam("polled_at")),
    )
    .values(next_poll_at=bindparam("at"))
)

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ListPlan:
    """What a new list changes: feeds that move, are new, are said otherwise or sooner, rest, go on, or leave."""

    change: ListChange
    moves: Rows
    new: Rows
    updates: Sequence[Rows]
    sooner: Rows

    def parts(self) -> Iterator[ListPlan]:
        """The same in parts that are each written at once; their order counts."""
        for part in _parts(self.moves):
            yield ListPlan(self.change, part, (), (), ())
        for part in _parts(self.new):
            yield ListPlan(self.change, (), part, (), ())
        for rows in self.updates:
            for part in _parts(rows):
                yield ListPlan(self.change, (), (), (part,), ())
        for part in _parts(self.sooner):
            yield ListPlan(self.change, (), (), (), part)


def declare_list(db: Connection, source: ListSource) -> ListSource | None:
    """None if the list of this file is the one in force from here on; else the file whose list stays in force.

    Many processes may poll one PostgreSQL, each with a file of its own. One that differs from the list in force is
    put in force unless it was saved earlier, on another machine or under another path: a process that starts with
    an outdated copy undoes nobody's edit. On SQLite one process polls, and its file is in force.
    """
    if db.dialect.name == "sqlite":
        return None
    lock_list(db)
    known = _list_in_force(db)
    if known is not None:
        if known.digest == source.digest:
            return None
        if known.place != source.place and known.saved_at > source.saved_at:
            return known
    db.execute(delete(LIST_IN_FORCE))
    values = {"digest": source.digest, "place": source.place, "saved_at": source.saved_at}
    db.execute(insert(LIST_IN_FORCE).values(values))
    return None


def overruled(db: Connection, source: ListSource) -> ListSource | None:
    """The file that another process has put in force since this one was declared, None if none did.

    None can until this transaction ends.
    """
    if db.dialect.name == "sqlite":
        return None
    lock_list(db)
    known = _list_in_force(db)
    return None if known is None or known.digest == source.digest else known


def _list_in_force(db: Connection) -> ListSource | None:
    row = db.execute(select(LIST_IN_FORCE)).first()
    return None if row is None else ListSource(row.digest, row.place, row.saved_at)


def sync_feeds(db: Connection, feeds: Sequence[Feed], settings: Settings, now: datetime) -> ListChange:
    """What has changed: the list in force becomes `feeds`, at once. See `plan_list`."""
    lock_list(db)
    plan = plan_list(db, feeds, settings, now)
    write_list(db, plan)
    return plan.change


def plan_list(db: Connection, feeds: Sequence[Feed], settings: Settings, now: datetime) -> ListPlan:
    """What has to be written so that the list in force becomes `feeds`.

    A feed that has left the list stays with its entries and its history, but is no longer polled; one that comes
    back goes on where it was, and if it was gone (410) it gets a new chance: the operator knows better. One that is
    now listed at the address to which it had moved is the same feed. One that is not enabled is paused.
    """
    wanted = {feed.url: feed for feed in feeds}
    known: set[str] = set()
    pairs: list[tuple[Feed, _Known]] = []
    others: list[_Known] = []
    for row in _known_feeds(db):
        known.add(row.url)
        feed = wanted.get(row.url)
        if feed is None:
            others.append(row)
        elif not _is_as_listed(feed, row):
            pairs.append((feed, row))
    moved = {to: row for row in others if (to := row.address or row.moved_to) in wanted and to not in known}
    pairs += [(wanted[url], row) for url, row in moved.items() if not _is_as_listed(wanted[url], row)]
    moves = [
        {"number": row.id, "new_url": url, "new_public_url": redacted(url)} for url, row in moved.items()
    ]
    known.update(moved)
    new = [feed_values(feed, settings.interval, now) for feed in feeds if feed.url not in known]
    listings = _listings(pairs)
    stay = {row.id for row in moved.values()}
    left = [{"number": row.id, "listed": False} for row in others if row.listed and row.id not in stay]
    back = sum(not row.listed for _, row in pairs)
    change = ListChange(len(new), back, len(left), len(listings) - back)
    pauses = [
        {"number": row.id, "health": FeedHealth.PAUSED, "next_poll_at": NEVER}
        for feed, row in pairs
        if not feed.settings.enabled and row.health != FeedHealth.PAUSED
    ]
    times = _times(db, [row.id for _, row in pairs])
    chances = _new_chances(pairs, times, timedelta(seconds=settings.min_interval), now)
    return ListPlan(change, moves, new, (listings, chances, pauses, left), _sooner(pairs, times, now))


def write_list(db: Connection, plan: ListPlan) -> None:
    """Writes the plan, or a part of it. Written again it changes nothing."""
    lock_list(db)
    if plan.moves:
        db.execute(MOVE, plan.moves)
    if plan.new:
        db.execute(insert_new(db, FEED), plan.new)
    for rows in plan.updates:
        write_all(db, rows)
    if plan.sooner:
        db.execute(SOONER, plan.sooner)


def _known_feeds(db: Connection) -> Iterator[_Known]:
    """All feeds but those of imported entries, each let go before the next: most are as the list says."""
    query = select(*KNOWN).where(~FEED.c.url.startswith(IMPORTED))
    return map(_Known._make, chain.from_iterable(plain_parts(db, query)))


def _is_as_listed(feed: Feed, row: _Known) -> bool:
    """Whether the list says nothing new of the feed."""
    is_paused = row.health == FeedHealth.PAUSED
    return row.listed and feed.settings.enabled != is_paused and row[: len(SAID)] == _said(feed, row)


def _said(feed: Feed, row: _Known) -> tuple[object, ...]:
    """What the list says of the feed, in the order of SAID: a title that it leaves out stays."""
    wanted = feed.settings
    same = feed.title in ("", row.title)
    title = row.title if same else redacted_text(feed.title) or row.title
    return title, feed.category, wanted.interval, wanted.language, wanted.weight, wanted.keep_days


def _listings(pairs: Sequence[tuple[Feed, _Known]]) -> list[dict[str, Any]]:
    """What the list now says otherwise of feeds that are known."""
    return [
        {"number": row.id, **dict(zip(SAID, said, strict=True)), "listed": True}
        for feed, row in pairs
        if (said := _said(feed, row)) != row[: len(SAID)] or not row.listed
    ]


def _times(db: Connection, feeds: Sequence[int]) -> dict[int, ResultRow[Any]]:
    """When these feeds were polled, are to be, and may be."""
    found: list[Any] = []
    for part in chunks(feeds):
        found += db.execute(select(*TIMES).where(among(FEED.c.id, part))).all()
    return {row.id: row for row in found}


def _new_chances(
    pairs: Sequence[tuple[Feed, _Known]],
    times: Mapping[int, ResultRow[Any]],
    least: timedelta,
    now: datetime,
) -> list[dict[str, Any]]:
    """Feeds that were gone or paused and are wanted again: due at once, but no sooner than they may be asked."""
    return [
        {
            "number": row.id,
            "health": FeedHealth.OK,
            "failures": 0,
            "problem": "",
            "next_poll_at": max(
                now, at.last_polled_at + least if at.last_polled_at else now, at.retry_at or now
            ),
        }
        for feed, row in pairs
        if feed.settings.enabled
        and (row.health == FeedHealth.PAUSED or (row.health == FeedHealth.GONE and not row.listed))
        and (at := times[row.id])
    ]


def _sooner(
    pairs: Sequence[tuple[Feed, _Known]], times: Mapping[int, ResultRow[Any]], now: datetime
) -> list[dict[str, Any]]:
    """Feeds whose new interval brings their next poll forward, unless they are polled meanwhile."""
    found = []
    for feed, row in pairs:
        interval = feed.settings.interval
        if interval is None or interval == row.set_interval or row.health != FeedHealth.OK:
            continue
        asked = times[row.id]
        if asked.last_polled_at is not None and feed.settings.enabled:
            at = max(now, asked.last_polled_at + timedelta(seconds=interval))
            if at < asked.next_poll_at:
                found.append({"number": row.id, "polled_at": asked.last_polled_at, "at": at})
    return found


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + PART] for start in range(0, len(rows), PART))
