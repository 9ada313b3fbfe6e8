"""Lists for doors, a page at a time: events, entries, changes, and what may be filtered by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy import Row as ResultRow
from sqlalchemy.engine import Connection

from aggregator.store.search import entry_order, having_words, words_of
from aggregator.store.tables import CHANGE, ENTRY, EVENT, FEED
from aggregator.types import (
    Change,
    ChangeKind,
    EntryId,
    EntryRecord,
    EventFilter,
    EventId,
    EventLine,
    EventPage,
    FeedId,
    LatestEntry,
    Place,
)

CANONICAL = ENTRY.alias("canonical")

LOOKED_AT = 8
"""Matching entries looked at for each event of a page: an event often has several."""

RECENT = 2000
"""Events among which the languages and categories to filter by are looked for."""

_LINE = (
    EVENT,
    CANONICAL.c.title,
    CANONICAL.c.url,
    CANONICAL.c.source,
    CANONICAL.c.summary,
    CANONICAL.c.lang,
    CANONICAL.c.published_at,
    FEED.c.category,
)


def list_events(db: Connection, wanted: EventFilter, limit: int, after: Place | None = None) -> EventPage:
    """The events that fit, the newest by `wanted.time` first; with words, those with the newest entry that fits.

    `after` is the `next` of the page before.
    """
    return _found(db, wanted, limit, after) if words_of(wanted.words) else _newest(db, wanted, limit, after)


def _newest(db: Connection, wanted: EventFilter, limit: int, after: Place | None) -> EventPage:
    time = EVENT.c[wanted.time]
    query = _events(select(*_LINE), wanted).order_by(time.desc(), EVENT.c.id.desc())
    if after is not None and after.at is not None:
        query = query.where(tuple_(time, EVENT.c.id) < tuple_(after.at, after.number))
    rows = db.execute(query.limit(limit + 1)).all()
    shown = rows[:limit]
    following = Place(getattr(shown[-1], wanted.time), shown[-1].id) if len(rows) > limit else None
    return EventPage(tuple(_line(row) for row in shown), following)


def _found(db: Connection, wanted: EventFilter, limit: int, after: Place | None) -> EventPage:
    order = entry_order(db, wanted.words)
    told: Select[Any] = select(ENTRY.c.id.label("entry"), ENTRY.c.event_id).select_from(ENTRY)
    query = having_words(db, told.where(ENTRY.c.event_id.is_not(None)), wanted.words)
    if not wanted.is_plain:
        # Asked of one entry after another until the page is full, not of all events at first.
        fits = _events(select(EVENT.c.id), wanted).where(EVENT.c.id == ENTRY.c.event_id)
        query = query.where(fits.correlate(ENTRY).exists())
    page = query.order_by(order.desc()).limit(limit * LOOKED_AT)
    if after is not None:
        page = page.where(order < after.number)
    newest, rest = _newest_of(db, page, limit if after is None else 2 * limit, limit * LOOKED_AT)
    if after is not None:
        for event in _listed_before(db, wanted.words, newest, after.number):
            del newest[event]
    chosen = list(newest)[:limit]
    if len(newest) > limit:
        rest = newest[chosen[-1]]
    query = _events(select(*_LINE), EventFilter()).where(EVENT.c.id.in_(chosen))
    lines = {row.id: _line(row) for row in db.execute(query)}
    found = tuple(lines[event] for event in chosen if event in lines)
    return EventPage(found, None if rest is None else Place(None, rest))


def _newest_of(db: Connection, page: Select[Any], most: int, rows: int) -> tuple[dict[int, int], int | None]:
    """The first `most` events with their newest fitting entry, under which they are listed, in order.

    And the entry behind which to go on; None if there were fewer than `rows`, and all were looked at. Entries are
    read one after another, as each is looked up somewhere else in the database.
    """
    newest: dict[int, int] = {}
    last, looked_at = None, 0
    with db.execute(page) as found:
        for row in found:
            if row.event_id not in newest and len(newest) == most:
                return newest, last
            newest.setdefault(row.event_id, row.entry)
            last, looked_at = row.entry, looked_at + 1
    return newest, last if looked_at == rows else None


def _listed_before(db: Connection, words: str, events: Iterable[int], entry: int) -> set[int]:
    """Those of the events that a page before listed: they have a fitting entry of the number `entry` or above."""
    later = select(ENTRY.c.id, ENTRY.c.event_id).where(ENTRY.c.event_id.in_(events), ENTRY.c.id >= entry)
    event_of = {row.id: row.event_id for row in db.execute(later)}
    # Asked for by the number in the index of words: by the entry's, all entries with the words would be looked up.
    query = having_words(db, select(ENTRY.c.id), words).where(entry_order(db, words).in_(event_of))
    return {event_of[number] for number in db.execute(query).scalars()}


def _events(query: Select[Any], wanted: EventFilter) -> Select[Any]:
    query = (
        query.select_from(EVENT)
        .join(CANONICAL, CANONICAL.c.id == EVENT.c.canonical_entry_id)
        .join(FEED, FEED.c.id == CANONICAL.c.feed_id)
        .where(EVENT.c.merged_into.is_(None))
    )
    conditions: list[ColumnElement[bool]] = []
    if wanted.category:
        conditions.append(_within(wanted.category))
    if wanted.lang:
        conditions.append(CANONICAL.c.lang == wanted.lang)
    if wanted.source:
        conditions.append(func.lower(CANONICAL.c.source) == wanted.source.lower())
    if wanted.since is not None:
        conditions.append(EVENT.c[wanted.time] >= wanted.since)
    if wanted.until is not None:
        conditions.append(EVENT.c[wanted.time] < wanted.until)
    return query.where(and_(*conditions)) if conditions else query


def _within(category: str) -> ColumnElement[bool]:
    """The category, or one below it."""
    return or_(FEED.c.category == category, FEED.c.category.startswith(f"{category}/", autoescape=True))


def _line(row: ResultRow[Any]) -> EventLine:
    return EventLine(
        id=EventId(row.id),
        title=row.title,
        url=row.url,
        source=row.source,
        summary=row.summary,
        lang=row.lang,
        category=row.category,
        published_at=row.published_at,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        entry_count=row.entry_count,
        source_count=row.source_count,
    )


def choices(db: Connection) -> tuple[list[str], list[str]]:
    """The categories of the listed feeds, and the languages of the newest events, commonest first."""
    listed = select(FEED.c.category).where(FEED.c.listed, FEED.c.category != "").distinct()
    recent = (
        select(EVENT.c.canonical_entry_id)
        .where(EVENT.c.merged_into.is_(None))
        .order_by(EVENT.c.last_seen_at.desc(), EVENT.c.id.desc())
        .limit(RECENT)
    )
    spoken = (
        select(ENTRY.c.lang)
        .where(ENTRY.c.id.in_(recent), ENTRY.c.lang != "")
        .group_by(ENTRY.c.lang)
        .order_by(func.count().desc(), ENTRY.c.lang)
    )
    return sorted(db.execute(listed).scalars()), list(db.execute(spoken).scalars())


def list_entries(
    db: Connection, limit: int, *, before: int | None = None, event: EventId | None = None, words: str = ""
) -> list[EntryRecord]:
    """Entries, the newest first: those below the number `before`, of one event, with all these words."""
    query = select(ENTRY, FEED.c.public_url.label("feed_url")).select_from(ENTRY)
    query = having_words(db, query.join(FEED, FEED.c.id == ENTRY.c.feed_id), words)
    order = entry_order(db, words)
    if before is not None:
        query = query.where(order < before)
    if event is not None:
        query = query.where(ENTRY.c.event_id == event)
    return [_entry(row) for row in db.execute(query.order_by(order.desc()).limit(limit))]


def entry_record(db: Connection, entry: EntryId) -> EntryRecord | None:
    """A whole entry; None if there is none of that id."""
    query = select(ENTRY, FEED.c.public_url.label("feed_url")).join(FEED, FEED.c.id == ENTRY.c.feed_id)
    row = db.execute(query.where(ENTRY.c.id == entry)).first()
    return None if row is None else _entry(row)


def _entry(row: ResultRow[Any]) -> EntryRecord:
    return EntryRecord(
        id=EntryId(row.id),
        feed_url=row.feed_url,
        guid=row.guid,
        url=row.url,
        title=row.title,
        summary=row.summary,
        text=row.text,
        lang=row.lang,
        author=row.author,
        source=row.source,
        published_at=row.published_at,
        first_seen_at=row.first_seen_at,
        date_guessed=row.date_guessed,
        event_id=row.event_id,
    )


def list_changes(db: Connection, after: int, limit: int) -> list[Change]:
    """The changes behind a cursor, in order."""
    query = select(CHANGE).where(CHANGE.c.cursor > after).order_by(CHANGE.c.cursor).limit(limit)
    return [
        Change(row.cursor, EventId(row.event_id), ChangeKind(row.kind), row.other_event_id, row.at)
        for row in db.execute(query)
    ]


def latest_cursor(db: Connection) -> int:
    """The cursor of the newest change, 0 before the first."""
    return int(db.execute(select(func.coalesce(func.max(CHANGE.c.cursor), 0))).scalar_one())


def changes_of(db: Connection, event: EventId, limit: int) -> list[Change]:
    """What happened to an event, oldest first; at most the newest `limit`."""
    # One index each: in order of the cursor a database would rather read them all.
    own = select(CHANGE.c.cursor).where(CHANGE.c.event_id == event)
    told = own.union(select(CHANGE.c.cursor).where(CHANGE.c.other_event_id == event))
    about = CHANGE.c.cursor.in_(told)
    rows = db.execute(select(CHANGE).where(about).order_by(CHANGE.c.cursor.desc()).limit(limit)).all()
    return [
        Change(row.cursor, EventId(row.event_id), ChangeKind(row.kind), row.other_event_id, row.at)
        for row in reversed(rows)
    ]


def latest_entries(db: Connection, most: int) -> dict[FeedId, list[LatestEntry]]:
    """For each listed feed its latest entries, at most so many, the last to come first."""
    number = func.row_number().over(partition_by=ENTRY.c.feed_id, order_by=ENTRY.c.id.desc())
    columns = ("canonical_url", "guid", "published_at", "first_seen_at", "date_guessed")
    numbered = (
        select(ENTRY.c.feed_id, *(ENTRY.c[name] for name in columns), number.label("number"))
        .join(FEED, FEED.c.id == ENTRY.c.feed_id)
        .where(FEED.c.listed)
        .subquery()
    )
    found: dict[FeedId, list[LatestEntry]] = {}
    query = select(numbered).where(numbered.c.number <= most)
    for row in db.execute(query.order_by(numbered.c.feed_id, numbered.c.number)):
        name = row.canonical_url or row.guid
        entry = LatestEntry(name, row.published_at, row.first_seen_at, bool(row.date_guessed))
        found.setdefault(FeedId(row.feed_id), []).append(entry)
    return found


def first_seen_of(db: Connection, entries: Sequence[EntryId]) -> dict[EntryId, datetime]:
    """When each of these entries reached us."""
    query = select(ENTRY.c.id, ENTRY.c.first_seen_at).where(ENTRY.c.id.in_(entries))
    return {EntryId(row.id): row.first_seen_at for row in db.execute(query)}
