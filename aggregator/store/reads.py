"""Reads for doors: lists of events, whole records, single entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row as ResultRow
from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.engine import Connection

from aggregator.store.dialect import among, chunks
from aggregator.store.events import teasers_of
from aggregator.store.tables import ENTRY, EVENT, FEED
from aggregator.types import (
    EntryId,
    EventEntry,
    EventId,
    EventRecord,
    EventSummary,
    Relation,
    Span,
)


def latest_events(db: Connection, limit: int, words: str) -> list[EventSummary]:
    """The events that grew last, the newest first; with `words`, those an entry of which has them all."""
    query = (
        select(EVENT, ENTRY.c.title, ENTRY.c.url, ENTRY.c.source, ENTRY.c.lang, ENTRY.c.published_at)
        .join(ENTRY, ENTRY.c.id == EVENT.c.canonical_entry_id)
        .where(EVENT.c.merged_into.is_(None))
    )
    if words.strip():
        query = query.where(EVENT.c.id.in_(_events_with(words)))
    query = query.order_by(EVENT.c.last_seen_at.desc(), EVENT.c.id.desc()).limit(limit)
    return [
        EventSummary(
            id=EventId(row.id),
            title=row.title,
            url=row.url,
            source=row.source,
            lang=row.lang,
            published_at=row.published_at,
            last_seen_at=row.last_seen_at,
            entry_count=row.entry_count,
            source_count=row.source_count,
        )
        for row in db.execute(query)
    ]


def _events_with(words: str) -> Select[Any]:
    query = select(ENTRY.c.event_id).where(ENTRY.c.event_id.is_not(None))
    for word in words.split():
        query = query.where(
            or_(ENTRY.c.title.icontains(word, autoescape=True), ENTRY.c.text.icontains(word, autoescape=True))
        )
    return query


def titles_of(db: Connection, entries: Iterable[EntryId]) -> dict[EntryId, str]:
    """The titles of these entries."""
    return {
        EntryId(row.id): row.title
        for part in chunks(entries)
        for row in db.execute(select(ENTRY.c.id, ENTRY.c.title).where(ENTRY.c.id.in_(part)))
    }


def event_now(db: Connection, event: EventId) -> EventId | None:
    """The event, or the one that it was merged into; None if there is none of that id."""
    row = db.execute(select(EVENT.c.merged_into).where(EVENT.c.id == event)).first()
    if row is None:
        return None
    return event if row.merged_into is None else EventId(row.merged_into)


def event_record(db: Connection, event: EventId) -> EventRecord | None:
    """The whole record of an event, None if there is none of that id. A merged event shows what it was."""
    records = _records(db, db.execute(_record_query().where(EVENT.c.id == event)).all())
    return records[0] if records else None


def event_records(db: Connection, events: Iterable[EventId]) -> dict[EventId, EventRecord]:
    """The whole records of these events, as `event_record` gives them."""
    return {
        record.id: record
        for part in chunks(events)
        for record in _records(db, db.execute(_record_query().where(among(EVENT.c.id, part))).all())
    }


def count_records(db: Connection, span: Span) -> int:
    """How many records `records_in` gives."""
    return int(db.execute(_within(select(func.count()).select_from(EVENT), span)).scalar_one())


def records_in(db: Connection, span: Span, size: int) -> Iterator[list[EventRecord]]:
    """The whole records of the events that grew last in this span, oldest growth first, at most `size` at a time.

    Merged events are left out. No more than one part is in memory.
    """
    query = _within(_record_query(), span).order_by(EVENT.c.last_seen_at, EVENT.c.id).limit(size)
    rows = db.execute(query).all()
    while rows:
        yield _records(db, rows)
        end = tuple_(rows[-1].last_seen_at, rows[-1].id)
        rows = db.execute(query.where(tuple_(EVENT.c.last_seen_at, EVENT.c.id) > end)).all()


def _within(query: Select[Any], span: Span) -> Select[Any]:
    query = query.where(EVENT.c.merged_into.is_(None))
    if span.since is not None:
        query = query.where(EVENT.c.last_seen_at >= span.since)
    if span.until is not None:
        query = query.where(EVENT.c.last_seen_at < span.until)
    return query


def _record_query() -> Select[Any]:
    return select(
        EVENT,
        ENTRY.c.title,
        ENTRY.c.url,
        ENTRY.c.source,
        ENTRY.c.summary,
        ENTRY.c.text,
        ENTRY.c.lang,
        ENTRY.c.published_at,
    ).outerjoin(ENTRY, ENTRY.c.id == EVENT.c.canonical_entry_id)


def _records(db: Connection, rows: Sequence[ResultRow[Any]]) -> list[EventRecord]:
    events = [EventId(row.id) for row in rows]
    entries = _event_entries(db, events)
    teasers = teasers_of(db, events)
    return [
        EventRecord(
            id=EventId(row.id),
            title=row.title or "",
            url=row.url or "",
            source=row.source or "",
            summary=row.summary or "",
            text=row.text or "",
            lang=row.lang or "",
            published_at=row.published_at,
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            entry_count=row.entry_count,
            source_count=row.source_count,
            canonical_entry_id=row.canonical_entry_id,
            merged_into=row.merged_into,
            entries=tuple(entries.get(EventId(row.id), ())),
            teasers=tuple(teasers.get(EventId(row.id), ())),
        )
        for row in rows
    ]


def _event_entries(db: Connection, events: Sequence[EventId]) -> dict[EventId, list[EventEntry]]:
    columns: tuple[Any, ...] = (
        ENTRY.c.id,
        ENTRY.c.event_id,
        ENTRY.c.relation,
        ENTRY.c.score,
        ENTRY.c.source,
        ENTRY.c.guid,
        ENTRY.c.title,
        ENTRY.c.url,
        ENTRY.c.published_at,
        FEED.c.public_url.label("feed_url"),
    )
    query = (
        select(*columns)
        .join(FEED, FEED.c.id == ENTRY.c.feed_id)
        .order_by(ENTRY.c.relation != Relation.CANONICAL, ENTRY.c.published_at, ENTRY.c.id)
    )
    found: dict[EventId, list[EventEntry]] = {}
    for part in chunks(events):
        for row in db.execute(query.where(among(ENTRY.c.event_id, part))).all():
            found.setdefault(EventId(row.event_id), []).append(_event_entry(row))
    return found


def _event_entry(row: ResultRow[Any]) -> EventEntry:
    return EventEntry(
        entry_id=EntryId(row.id),
        relation=Relation(row.relation),
        score=row.score,
        feed_url=row.feed_url,
        source=row.source,
        guid=row.guid,
        title=row.title,
        url=row.url,
        published_at=row.published_at,
    )
