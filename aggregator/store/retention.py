"""What is old goes: events whose entries are all past their time, and the change log's beginning.

An event goes as a whole or not at all, so what stays keeps its entries, its record and its id. What people said of
entries (corrections) keeps their events for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row as ResultRow
from sqlalchemy import delete, insert, literal, or_, select, tuple_, update
from sqlalchemy.engine import Connection

from aggregator.store.corrections import corrections_of
from aggregator.store.dialect import UtcDateTime, among, chunks, lock_grouping
from aggregator.store.events import add_changes
from aggregator.store.feeds import seen_of
from aggregator.store.owned import is_one_of
from aggregator.store.partitions import Range
from aggregator.store.tables import (
    ACTIVITY,
    ALIAS,
    CHANGE,
    DECISION,
    ENTRY,
    EVENT,
    FEED,
    LINK,
    LISTED,
    OUTBOX,
    PRUNED,
    SIGNATURE,
    TEASER,
    VERSION,
)
from aggregator.types import ChangeKind, Entry, EntryId, EventId, FeedId, SeenItem

EVENTS = 200
"""Events looked at in one step: some 400 entries, which SQLite removes in a tenth of a second."""

CHANGES = 5_000
"""Lines of the change log removed in one step."""

FEEDS = 20
"""Feeds whose memory of removed items is looked through in one step."""

REMEMBERED_DAYS = 365
"""For how long a removed item is remembered that its feed no longer lists; one that it lists is not forgotten."""

ACTIVITY_DAYS = 400
"""For how long it is kept how many entries a feed brought on each day."""

SIGN = 1 << 63


class Place(NamedTuple):
    """How far the search for old events has come."""

    last_seen_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Retention:
    """Before when an entry's arrival is too long ago: by feed where it has a rule of its own; None = never."""

    general: datetime | None
    by_feed: Mapping[FeedId, datetime | None]

    def of(self, feed: FeedId) -> datetime | None:
        """The time for entries of this feed."""
        return self.by_feed.get(feed, self.general)

    @property
    def latest(self) -> datetime | None:
        """Before when an event may have grown last that goes; None if nothing ever goes."""
        return max((at for at in (self.general, *self.by_feed.values()) if at is not None), default=None)

    @property
    def earliest(self) -> datetime | None:
        """Before when nothing that went is of interest; None if something stays for ever."""
        times = [self.general, *self.by_feed.values()]
        return min((at for at in times if at is not None), default=None) if None not in times else None


@dataclass(frozen=True, slots=True)
class Old:
    """What is past its time: events, their entries, and where the search goes on (None = it is at its end)."""

    events: tuple[EventId, ...]
    entries: tuple[EntryId, ...]
    then: Place | None


def retention(db: Connection, now: datetime, keep_days: int, least_days: int) -> Retention:
    """What is in force at `now`, by whole days (UTC), so that old entries go once a day.

    `keep_days`: for feeds without a rule of their own; 0 = for ever. Nothing goes before `least_days`: what can
    still be grouped with what comes.
    """
    today = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC)

    def before(days: int) -> datetime | None:
        return today - timedelta(days=max(days, least_days)) if days else None

    ruled = select(FEED.c.id, FEED.c.keep_days).where(FEED.c.keep_days.is_not(None))
    own = {FeedId(row.id): before(row.keep_days) for row in db.execute(ruled)}
    return Retention(before(keep_days), own)


def find_old(db: Connection, kept: Retention, since: Place | None, waiting: Sequence[Range] = ()) -> Old:
    """The next events, those that grew longest ago first, all of whose entries are past their time.

    Events whose record is in a partition of `waiting` go with that (store.dropping).
    """
    latest = kept.latest
    if latest is None:
        return Old((), (), None)
    query = select(EVENT.c.id, EVENT.c.last_seen_at).where(
        EVENT.c.last_seen_at < latest, EVENT.c.merged_into.is_(None)
    )
    for numbers in waiting:
        query = query.where(~EVENT.c.canonical_entry_id.between(numbers.start, numbers.end - 1))
    if since is not None:
        query = query.where(
            tuple_(EVENT.c.last_seen_at, EVENT.c.id)
            > tuple_(literal(since.last_seen_at, UtcDateTime), literal(since.id))
        )
    looked_at = db.execute(query.order_by(EVENT.c.last_seen_at, EVENT.c.id).limit(EVENTS)).all()
    then = Place(looked_at[-1].last_seen_at, looked_at[-1].id) if len(looked_at) == EVENTS else None
    members = db.execute(
        select(ENTRY.c.id, ENTRY.c.event_id, ENTRY.c.feed_id, ENTRY.c.first_seen_at, ENTRY.c.pending).where(
            among(ENTRY.c.event_id, [row.id for row in looked_at])
        )
    ).all()
    said = {end for one in corrections_of(db, [row.id for row in members]) for end in (one.a, one.b)}
    living = {
        row.event_id
        for row in members
        if row.pending
        or row.id in said
        or (at := kept.of(FeedId(row.feed_id))) is None
        or row.first_seen_at >= at
    }
    return Old(
        tuple(EventId(row.id) for row in looked_at if row.id not in living),
        tuple(EntryId(row.id) for row in members if row.event_id not in living),
        then,
    )


def remove_old(
    db: Connection, kept: Retention, since: Place | None, now: datetime, waiting: Sequence[Range] = ()
) -> Old:
    """Removes the next old events with all that belongs to them; the change log says `removed` of each.

    What stays is not touched but for teasers of what went: they keep their text and lose its id.
    """
    lock_grouping(db)
    old = find_old(db, kept, since, waiting)
    remove(db, old, now)
    return old


def remove(db: Connection, old: Old, now: datetime) -> None:
    """Removes these events with all of their entries; their items are remembered. After `lock_grouping`."""
    if old.events:
        remember(db, old.entries, now)
        _remove_entries(db, old.entries)
        remove_events(db, old.events, now)


def remember(db: Connection, entries: Iterable[EntryId], now: datetime) -> None:
    """Remembers the items of these entries as removed. Once more it changes nothing."""
    day = _day(now)
    columns = (ENTRY.c.feed_id, ENTRY.c.id, ENTRY.c.canonical_url, ENTRY.c.title, ENTRY.c.published_at)
    for part in chunks(entries):
        named = db.execute(select(*columns, ENTRY.c.identity).where(among(ENTRY.c.id, part))).all()
        aliases = select(*columns, ALIAS.c.identity).join(ALIAS, ALIAS.c.entry_id == ENTRY.c.id)
        named = [*named, *db.execute(aliases.where(among(ENTRY.c.id, part))).all()]
        rows = {
            (row.feed_id, name): {
                "feed_id": row.feed_id,
                "identity": name,
                "entry_id": row.id,
                "url_key": _key(row.canonical_url),
                "title_key": _key(row.title.casefold()),
                "published_at": row.published_at,
                "day": day,
            }
            for row in named
            if (name := _key(row.identity))
        }
        if not rows:
            continue
        # The same name may have been given to another story, and that has become old, too.
        db.execute(delete(PRUNED).where(is_one_of(db, PRUNED.c.identity, list(rows))))
        db.execute(insert(PRUNED), list(rows.values()))


def _remove_entries(db: Connection, entries: Iterable[EntryId]) -> None:
    for part in chunks(entries):
        db.execute(delete(LINK).where(or_(among(LINK.c.a, part), among(LINK.c.b, part))))
        for table in (DECISION, SIGNATURE, LISTED, VERSION, ALIAS):
            db.execute(delete(table).where(among(table.c.entry_id, part)))
        db.execute(update(TEASER).where(among(TEASER.c.entry_id, part)).values(entry_id=None))
        db.execute(delete(ENTRY).where(among(ENTRY.c.id, part)))


def remove_events(db: Connection, events: Sequence[EventId], now: datetime) -> None:
    """Removes events that no entry is in any more, with those merged into them; the change log says so of each."""
    merged = select(EVENT.c.id).where(among(EVENT.c.merged_into, events))
    doomed = [*(row.id for row in db.execute(merged)), *events]
    for part in chunks(doomed):
        for table in (TEASER, OUTBOX):
            db.execute(delete(table).where(among(table.c.event_id, part)))
        elsewhere = update(TEASER).where(among(TEASER.c.related_event_id, part))
        db.execute(elsewhere.values(related_event_id=None))
        db.execute(delete(EVENT).where(among(EVENT.c.id, part)))
    add_changes(db, [(event, ChangeKind.REMOVED, None) for event in events], now)


def remove_changes(db: Connection, kept: Retention) -> int:
    """How many lines of the change log were removed: the first ones, up to one that is to stay.

    The last line always stays, so that cursors go on from it.
    """
    if kept.earliest is None:
        return 0
    first = db.execute(select(CHANGE.c.cursor, CHANGE.c.at).order_by(CHANGE.c.cursor).limit(CHANGES + 1))
    last = None
    for row in first.all()[:-1]:
        if row.at >= kept.earliest:
            break
        last = row.cursor
    if last is None:
        return 0
    return db.execute(delete(CHANGE).where(CHANGE.c.cursor <= last)).rowcount


def remove_activity(db: Connection, now: datetime) -> None:
    """Forgets how many entries came on days long past."""
    db.execute(delete(ACTIVITY).where(ACTIVITY.c.day < _day(now) - ACTIVITY_DAYS))


def forget_pruned(db: Connection, now: datetime, version: int) -> int:
    """How many feeds were looked through for removed items that nobody needs to remember.

    `version`: of the program's reading of documents (see store.feeds.seen_of).
    """
    limit = _day(now) - REMEMBERED_DAYS
    found = db.execute(select(PRUNED.c.feed_id).where(PRUNED.c.day < limit).distinct().limit(FEEDS)).all()
    for row in found:
        seen = seen_of(db, FeedId(row.feed_id), version)
        listed = [_signed(item.identity) for item in seen.items] if seen else []
        mine = PRUNED.c.feed_id == row.feed_id
        db.execute(update(PRUNED).where(mine, among(PRUNED.c.identity, listed)).values(day=_day(now)))
        db.execute(delete(PRUNED).where(mine, PRUNED.c.day < limit))
    return len(found)


def pruned_of_feeds(
    db: Connection, wanted: Mapping[FeedId, Collection[Entry]]
) -> dict[FeedId, dict[str, EntryId]]:
    """Those of these entries that were here and went for their age, by identity, with the numbers they had.

    One is known by its identity, or by its address together with its title. One whose address, date and title are
    all others than those that its identity stood for is another story. Feeds without any are left out.
    """
    if db.execute(select(PRUNED.c.feed_id).limit(1)).first() is None:
        return {}
    by_name: dict[FeedId, list[ResultRow[Any]]] = defaultdict(list)
    by_place: dict[FeedId, list[ResultRow[Any]]] = defaultdict(list)
    for part in chunks((feed, entry) for feed, entries in wanted.items() for entry in entries):
        names = [(feed, _key(entry.identity)) for feed, entry in part]
        urls = [(feed, key) for feed, entry in part if (key := _key(entry.canonical_url))]
        for column, keys, found in ((PRUNED.c.identity, names, by_name), (PRUNED.c.url_key, urls, by_place)):
            for row in db.execute(select(PRUNED).where(is_one_of(db, column, keys))):
                found[FeedId(row.feed_id)].append(row)
    gone = {feed: _gone(entries, by_name[feed], by_place[feed]) for feed, entries in wanted.items()}
    return {feed: entries for feed, entries in gone.items() if entries}


def _gone(
    entries: Collection[Entry], named: Sequence[ResultRow[Any]], placed: Sequence[ResultRow[Any]]
) -> dict[str, EntryId]:
    by_name = {row.identity: row for row in named}
    by_place = {(row.url_key, row.title_key): row for row in placed}
    found: dict[str, EntryId] = {}
    for entry in entries:
        url, title = _key(entry.canonical_url), _key(entry.title.casefold())
        row = by_name.get(_key(entry.identity))
        if row is not None and (
            (url != 0 and row.url_key == url)
            or (not entry.date_guessed and row.published_at == entry.published_at)
            or row.title_key == title
        ):
            found[entry.identity] = EntryId(row.entry_id)
        elif url and (url, title) in by_place:
            found[entry.identity] = EntryId(by_place[url, title].entry_id)
    return found


def _day(now: datetime) -> int:
    return int(now.timestamp() // 86_400)


def _key(name: str) -> int:
    return _signed(SeenItem.key(name))


def _signed(number: int) -> int:
    """A 64-bit hash as a database's integer."""
    return number - (SIGN << 1) if number >= SIGN else number
