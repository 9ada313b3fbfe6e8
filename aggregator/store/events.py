"""Entries as the clusterer sees them, and the writing of its decisions."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    delete,
    func,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy import Row as ResultRow
from sqlalchemy.engine import Connection

from aggregator.cluster.columns import SignedColumns
from aggregator.cluster.prepared import Prepared
from aggregator.store.bulk import insert_many, update_many
from aggregator.store.columns import Records, whole_columns
from aggregator.store.dialect import (
    Numbers,
    UtcDateTime,
    among,
    day_number,
    lock_grouping,
    plain_rows,
    wake_listeners,
)
from aggregator.store.outbox import put_messages
from aggregator.store.partitions import count_written
from aggregator.store.tables import (
    CHANGE,
    DECISION,
    ENTRY,
    EVENT,
    FEED,
    LISTED,
    SIGNATURE,
    TEASER,
    VERSION,
)
from aggregator.types import (
    ChangeKind,
    EntryId,
    EventId,
    FeedId,
    ListedItem,
    Member,
    Relation,
    Signature,
    Signed,
    Teaser,
    TeaserKind,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LOADED = 4_000
"""Entries read together into memory: some 6 MB."""


def _signed_query() -> Select[Any]:
    """The columns of `Signed` and then of its signature, in the order in which `_signed` takes them."""
    signature = (SIGNATURE.c[field.name] for field in fields(Signature))
    return select(
        ENTRY.c.id, ENTRY.c.feed_id, ENTRY.c.source, ENTRY.c.lang, SIGNATURE.c.at, ENTRY.c.event_id,
        ENTRY.c.content_hash, *signature,
    ).join(ENTRY, ENTRY.c.id == SIGNATURE.c.entry_id)  # fmt: skip


def _signed(row: Sequence[Any]) -> Signed:
    entry, feed, source, lang, at, event, content_hash, *signature, meaning = row
    return Signed(
        id=EntryId(entry),
        feed_id=FeedId(feed),
        source_key=source.casefold(),
        lang=lang,
        at=at,
        event_id=None if event is None else EventId(event),
        signature=Signature(*(*signature, meaning or b"")),
        content_hash=content_hash,
    )


def pending_entries(db: Connection, limit: int, *, encoded: bool = False) -> list[Signed]:
    """The entries that wait longest for the clusterer, in order of their number; only those `encoded` if so."""
    query = _signed_query().where(ENTRY.c.pending).order_by(ENTRY.c.id).limit(limit)
    if encoded:
        query = query.where(SIGNATURE.c.meaning.is_not(None))
    query = query.with_for_update(
        of=ENTRY
    )  # an edit that arrives meanwhile waits, and is pending again after
    return [_signed(row) for row in db.execute(query).all()]


def pending_by_likeness(db: Connection, limit: int, *, encoded: bool) -> list[EntryId]:
    """As `pending_entries`, their numbers alone, most copies side by side."""
    first_hash = func.substr(SIGNATURE.c.minhash, 1, 4).label("first_hash")
    query = select(ENTRY.c.id, first_hash).join(SIGNATURE, ENTRY.c.id == SIGNATURE.c.entry_id)
    query = query.where(ENTRY.c.pending).order_by(ENTRY.c.id).limit(limit)
    if encoded:
        query = query.where(SIGNATURE.c.meaning.is_not(None))
    rows = db.execute(query).all()
    return [EntryId(row.id) for row in sorted(rows, key=lambda row: (row.first_hash, row.id))]


def still_waiting(db: Connection, read: Mapping[EntryId, str]) -> set[EntryId]:
    """Those of these pending entries whose content is as it was `read`. No edit changes it in this transaction.

    `read`: content hashes.
    """
    query = select(ENTRY.c.id, ENTRY.c.content_hash).where(ENTRY.c.pending, among(ENTRY.c.id, list(read)))
    rows = db.execute(query.with_for_update()).all()
    return {EntryId(number) for number, content_hash in rows if content_hash == read[number]}


def signed_entries(db: Connection, entries: Iterable[EntryId]) -> list[Signed]:
    """These entries, in no particular order."""
    query = _signed_query().where(among(SIGNATURE.c.entry_id, list(entries)))
    return [_signed(row) for row in plain_rows(db, query)]


def prepared_entries(db: Connection, entries: Iterable[EntryId]) -> list[Prepared]:
    """These entries as they are compared word for word, in no particular order."""
    query = select(
        SIGNATURE.c.entry_id,
        SIGNATURE.c.at,
        ENTRY.c.source,
        SIGNATURE.c.truncated,
        SIGNATURE.c.title,
        SIGNATURE.c.title_marks,
        SIGNATURE.c.lead,
        SIGNATURE.c.lead_marks,
        SIGNATURE.c.body,
    ).join(ENTRY, ENTRY.c.id == SIGNATURE.c.entry_id)
    rows = plain_rows(db, query.where(among(SIGNATURE.c.entry_id, list(entries))))
    return [Prepared(EntryId(entry), at, source.casefold(), *told) for entry, at, source, *told in rows]


def texts_of(db: Connection, entries: Collection[EntryId]) -> Sequence[tuple[EntryId, bytes, bytes, bytes]]:
    """These entries with title, lead and body of their signatures, in no particular order."""
    texts = (SIGNATURE.c.title, SIGNATURE.c.lead, SIGNATURE.c.body)
    return plain_rows(
        db, select(SIGNATURE.c.entry_id, *texts).where(among(SIGNATURE.c.entry_id, list(entries)))
    )


def signed_on(db: Connection, days: Iterable[int]) -> NDArray[np.int64]:
    """The numbers of the signed entries of some days (days since 1970-01-01 UTC), in their order."""
    found = [np.empty(0, np.int64)]
    wanted = np.unique(np.array(list(days), np.int64))
    # Days in a row are one question: for a large share of its rows a server reads the whole table.
    for part in np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1):
        if len(part):
            start, end = (EPOCH + timedelta(days=day) for day in (int(part[0]), int(part[-1]) + 1))
            query = select(SIGNATURE.c.entry_id).where(SIGNATURE.c.at >= start, SIGNATURE.c.at < end)
            found += whole_columns(db, query)
    return np.unique(np.concatenate(found))


@dataclass(frozen=True, slots=True)
class Columns:
    """Signed entries in no particular order, as the window takes them in.

    `among`: with each, how many entries its window held when it was last decided on, 0 = never. `waiting`: those
    that wait for the clusterer, with the hash of their content.
    """

    columns: SignedColumns
    among: NDArray[np.int64]
    waiting: dict[EntryId, str]


def columns_of(
    db: Connection,
    entries: NDArray[np.int64],
    scheme: int,
    *,
    with_waiting: bool = False,
    encoded: bool = False,
) -> Columns:
    """Those of these entries that are signed by `scheme` and that the clusterer has seen, or all `with_waiting`.

    Of those that wait only the `encoded` if so.
    """
    columns = select(
        func.coalesce(DECISION.c.among, 0).label("among"),
        ENTRY.c.id,
        ENTRY.c.source,
        ENTRY.c.lang,
        SIGNATURE.c.at,
        SIGNATURE.c.content_key,
        SIGNATURE.c.minhash,
        SIGNATURE.c.terms,
        cast(func.length(SIGNATURE.c.term_marks), Integer).label("term_counts"),
        SIGNATURE.c.term_marks,
        SIGNATURE.c.term_rarity,
        SIGNATURE.c.meaning.is_not(None).label("encoded"),
        SIGNATURE.c.meaning,
    )
    if with_waiting:
        columns = columns.add_columns(ENTRY.c.pending, ENTRY.c.content_hash)
    columns = columns.join(SIGNATURE, SIGNATURE.c.entry_id == ENTRY.c.id)
    of_entry = and_(DECISION.c.entry_id == ENTRY.c.id, _lies_between(DECISION.c.entry_id, entries))
    columns = columns.outerjoin(DECISION, of_entry)
    columns = columns.where(SIGNATURE.c.scheme == scheme)
    if not with_waiting:
        columns = columns.where(~ENTRY.c.pending)
    elif encoded:
        columns = columns.where(or_(~ENTRY.c.pending, SIGNATURE.c.meaning.is_not(None)))
    for column in (ENTRY.c.id, SIGNATURE.c.entry_id):
        columns = columns.where(_lies_between(column, entries))
    columns = columns.where(_is_named(ENTRY.c.id, entries))
    populations, ids, sources, *told = whole_columns(db, columns)
    waiting: dict[EntryId, str] = {}
    if with_waiting:
        *told, waits, hashes = told
        waiting = {
            EntryId(number): read
            for number, read, wait in zip(ids.tolist(), hashes, waits, strict=True)
            if wait
        }
    return Columns(SignedColumns(ids, [source.casefold() for source in sources], *told), populations, waiting)


def content_keys_of(db: Connection, entries: Collection[EntryId], scheme: int) -> dict[EntryId, int]:
    """The content keys of those of these entries that are signed by `scheme` and that the clusterer has seen."""
    query = select(SIGNATURE.c.entry_id, SIGNATURE.c.content_key).where(SIGNATURE.c.scheme == scheme)
    query = query.join(ENTRY, ENTRY.c.id == SIGNATURE.c.entry_id).where(~ENTRY.c.pending)
    rows = plain_rows(db, query.where(among(SIGNATURE.c.entry_id, entries)))
    return {EntryId(entry): key for entry, key in rows}


def _lies_between(column: ColumnElement[int], numbers: NDArray[np.int64]) -> ColumnElement[bool]:
    return column.between(int(numbers[0]), int(numbers[-1]))


def _is_named(column: ColumnElement[int], numbers: NDArray[np.int64]) -> ColumnElement[bool]:
    """Whether the column is one of these numbers, which rise, given that it lies between the first and the last."""
    first, last = int(numbers[0]), int(numbers[-1])
    if last - first > 2 * len(numbers):
        return among(column, numbers.tolist())
    # Of numbers in a row tables are read in their order: looking up each takes a server three times as long.
    others = np.setdiff1d(np.arange(first, last + 1), numbers)
    return ~among(column, others.tolist()) if len(others) else true()


def parts_of(
    db: Connection,
    entries: NDArray[np.int64],
    scheme: int,
    *,
    with_waiting: bool = False,
    encoded: bool = False,
) -> Iterator[Columns]:
    """As `columns_of` of any number of entries, LOADED at a time: the next are read while some are taken in.

    Nothing else may be asked of `db` meanwhile.
    """
    read = partial(columns_of, db, scheme=scheme, with_waiting=with_waiting, encoded=encoded)
    ahead: deque[Future[Columns]] = deque()
    with ThreadPoolExecutor(1, "reader") as reader:
        for start in range(0, len(entries), LOADED):
            ahead.append(reader.submit(read, entries[start : start + LOADED]))
            if len(ahead) > 1:
                yield ahead.popleft().result()
        yield from (part.result() for part in ahead)


def count_by_day(db: Connection, first: int, last: int | None = None) -> dict[int, int]:
    """How many signed entries there are on each day (since 1970-01-01 UTC) from `first` to `last`, None = on."""
    day = day_number(SIGNATURE.c.at)
    query = select(day, func.count()).select_from(SIGNATURE).group_by(day)
    query = query.where(SIGNATURE.c.at >= EPOCH + timedelta(days=first))
    if last is not None:
        query = query.where(SIGNATURE.c.at < EPOCH + timedelta(days=last + 1))
    return dict(sorted((int(number), int(count)) for number, count in db.execute(query)))


def days_waiting(db: Connection) -> list[int]:
    """The days (since 1970-01-01 UTC) on which entries wait for the clusterer."""
    query = select(day_number(SIGNATURE.c.at)).distinct().join(ENTRY, ENTRY.c.id == SIGNATURE.c.entry_id)
    return sorted(int(number) for number in db.execute(query.where(ENTRY.c.pending)).scalars())


def days_of_few(db: Connection, most: int) -> list[int]:
    """The days (since 1970-01-01 UTC) of all signed entries; none if there are more than `most` entries."""
    times = db.execute(select(SIGNATURE.c.at).limit(most + 1)).scalars().all()
    return [] if len(times) > most else sorted({(at - EPOCH).days for at in times})


THERE = np.dtype([("id", "<i8"), ("is_new", "?")])
"""An entry; `is_new`: it waits for the clusterer for the first time."""


def those_there(db: Connection, entries: Collection[int]) -> NDArray[np.void]:
    """Those of these entries that have not been removed [n, THERE]."""
    return _there_query(db.dialect.name).read(db, {"numbers": list(entries)})


@cache
def _there_query(dialect: str) -> Records:
    is_new = ENTRY.c.pending & ENTRY.c.event_id.is_(None)
    asked = among(ENTRY.c.id, bindparam("numbers", type_=Numbers()))
    return Records(dialect, select(ENTRY.c.id, is_new).where(asked), THERE)


def events_of(db: Connection, entries: Collection[EntryId]) -> dict[EntryId, EventId]:
    """The event of each of these entries that has one."""
    return _pairs(db, select(ENTRY.c.id, ENTRY.c.event_id).where(among(ENTRY.c.id, entries)))


def entries_of(db: Connection, events: Collection[EventId]) -> dict[EntryId, EventId]:
    """All entries of these events."""
    return _pairs(db, select(ENTRY.c.id, ENTRY.c.event_id).where(among(ENTRY.c.event_id, events)))


def _pairs(db: Connection, query: Select[Any]) -> dict[EntryId, EventId]:
    # What has an event is told here. While PostgreSQL believes that hardly anything has one, it would read all that
    # has by its index, to find some of it.
    rows = db.execute(query).all()
    return {EntryId(entry): EventId(event) for entry, event in rows if event is not None}


BLANK_EVENTS = text(
    "WITH RECURSIVE place (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM place WHERE number < :count) "
    "INSERT INTO event (first_seen_at, last_seen_at, news_at, entry_count, source_count) "
    "SELECT :now, :now, :now, 0, 0 FROM place RETURNING id"
).bindparams(bindparam("now", type_=UtcDateTime))


def create_events(db: Connection, count: int, now: datetime) -> list[EventId]:
    """The ids of `count` new events, which get their content by write_event."""
    if not count:
        return []
    made = db.execute(BLANK_EVENTS, {"count": count, "now": now}).scalars()
    return [EventId(number) for number in sorted(made)]


def move_entries(db: Connection, moves: Mapping[EntryId, EventId]) -> None:
    """Puts entries into events."""
    update_many(db, ENTRY.c.id, (ENTRY.c.event_id,), moves.items())


def settle(db: Connection, entries: Collection[EntryId]) -> None:
    """The clusterer has seen these entries."""
    db.execute(update(ENTRY).where(among(ENTRY.c.id, entries)).values(pending=False))


def merge_events(db: Connection, merged: Mapping[EventId, EventId]) -> None:
    """Emptied events point to the event that took their entries; so do those that pointed to them."""
    for old, heir in merged.items():
        db.execute(update(EVENT).where(EVENT.c.merged_into == old).values(merged_into=heir))
        db.execute(
            update(EVENT).where(EVENT.c.id == old).values(merged_into=heir, entry_count=0, source_count=0)
        )
        db.execute(delete(TEASER).where(TEASER.c.event_id == old))


def ask_to_relate(db: Connection, events: Collection[EventId]) -> None:
    """The related teasers of these events are to be made anew."""
    db.execute(update(EVENT).where(among(EVENT.c.id, events), ~EVENT.c.relate).values(relate=True))


def to_relate(db: Connection, limit: int) -> list[EventId]:
    """Events whose related teasers are to be made anew."""
    query = select(EVENT.c.id).where(EVENT.c.relate).order_by(EVENT.c.id).limit(limit)
    return [EventId(row.id) for row in db.execute(query).all()]


def related(db: Connection, events: Collection[EventId]) -> None:
    """The related teasers of these events have been made anew."""
    db.execute(update(EVENT).where(among(EVENT.c.id, events)).values(relate=False))


def add_changes(
    db: Connection,
    changes: Sequence[tuple[EventId, ChangeKind, EventId | None]],
    now: datetime,
    grown: Collection[EventId] = (),
) -> None:
    """Appends to the change log, in this order, and wakes those that listen for changes.

    Puts messages for the webhook beside them; `grown` are old events of these changes that got entries.

    No other transaction appends from here until this one ends. PostgreSQL gives out numbers at once and shows
    rows at the commit: a reader that had met a later cursor would pass over an earlier one that came to light
    after it.
    """
    if changes:
        lock_grouping(db)
        columns = (CHANGE.c.event_id, CHANGE.c.kind, CHANGE.c.other_event_id, CHANGE.c.at)
        insert_many(db, columns, ((event, kind.value, other, now) for event, kind, other in changes))
        count_written(db, len(changes))
        put_messages(db, changes, grown, now)
        wake_listeners(db)


# ---- the record of an event ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What stands in an event's own row and beside it."""

    id: EventId
    canonical_entry_id: EntryId | None
    first_seen_at: datetime
    last_seen_at: datetime
    news_at: datetime
    entry_count: int
    source_count: int


def stored_events(db: Connection, events: Collection[EventId]) -> dict[EventId, StoredEvent]:
    """The events' rows; merged ones are left out."""
    columns = select(*(EVENT.c[field.name] for field in fields(StoredEvent)))
    rows = db.execute(columns.where(among(EVENT.c.id, events), EVENT.c.merged_into.is_(None))).all()
    return {EventId(row.id): StoredEvent(*row) for row in rows}


MEMBER = {"feed_url": FEED.c.public_url, "weight": FEED.c.weight}
"""Where those parts of a Member come from that are its feed's. The HTML, most of an entry, is none of it."""


def members(db: Connection, entries: Collection[EntryId]) -> list[Member]:
    """These entries, with their texts."""
    names = (field.name for field in fields(Member))
    query = select(*(MEMBER[name] if name in MEMBER else ENTRY.c[name] for name in names))
    query = query.join(FEED, FEED.c.id == ENTRY.c.feed_id)
    rows: Sequence[Any] = db.execute(query.where(among(ENTRY.c.id, entries))).all()
    return [Member(*row) for row in rows]


def versions_of(
    db: Connection, entries: Collection[EntryId]
) -> dict[EntryId, list[tuple[EntryId, str, str]]]:
    """Earlier (entry, title, text) of each entry, oldest first."""
    found: dict[EntryId, list[tuple[EntryId, str, str]]] = {}
    query = select(VERSION.c.entry_id, VERSION.c.title, VERSION.c.text).order_by(VERSION.c.id)
    for entry, title, told in db.execute(query.where(among(VERSION.c.entry_id, entries))).all():
        found.setdefault(EntryId(entry), []).append((EntryId(entry), title, told))
    return found


def listed_of(db: Connection, entries: Collection[EntryId]) -> dict[EntryId, list[ListedItem]]:
    """The related items that each entry's own text ended with, in their order."""
    found: dict[EntryId, list[ListedItem]] = {}
    query = select(LISTED).order_by(LISTED.c.entry_id, LISTED.c.position)
    for row in db.execute(query.where(among(LISTED.c.entry_id, entries))).all():
        item = ListedItem(row.text, row.teaser, row.url, row.start_key)
        found.setdefault(EntryId(row.entry_id), []).append(item)
    return found


def starting_with(db: Connection, keys: Iterable[int]) -> dict[int, list[EntryId]]:
    """The entries whose text or title has one of these start keys."""
    found: dict[int, list[EntryId]] = {}
    asked = {key for key in keys if key}
    for column in (ENTRY.c.text_key, ENTRY.c.title_key) if asked else ():
        for key, entry in db.execute(
            select(column, ENTRY.c.id).where(among(column, asked), column != 0)
        ).all():
            found.setdefault(key, []).append(EntryId(entry))
    return found


def listing_events(db: Connection, entries: Collection[EntryId]) -> set[EventId]:
    """The events one of whose entries lists an item that starts like one of `entries`."""
    if not entries:
        return set()
    keys = (
        select(column).where(among(ENTRY.c.id, entries), column != 0)
        for column in (ENTRY.c.text_key, ENTRY.c.title_key)
    )
    listers = db.execute(select(LISTED.c.entry_id).where(LISTED.c.start_key.in_(union_all(*keys)))).scalars()
    return set(events_of(db, listers.all()).values())


def teasing_events(db: Connection, events: Collection[EventId]) -> set[EventId]:
    """The events that have a teaser of one of `events`."""
    query = select(TEASER.c.event_id).distinct().where(among(TEASER.c.related_event_id, events))
    return set(db.execute(query).scalars())


def teasers_of(
    db: Connection, events: Collection[EventId], kind: TeaserKind | None = None
) -> dict[EventId, list[Teaser]]:
    """The teasers of each event, of one kind if it is named, in the order to show."""
    found: dict[EventId, list[Teaser]] = {}
    query = select(TEASER).order_by(TEASER.c.event_id, TEASER.c.position)
    if kind:
        query = query.where(TEASER.c.kind == kind)
    for row in db.execute(query.where(among(TEASER.c.event_id, events))).all():
        found.setdefault(EventId(row.event_id), []).append(_teaser(row))
    return found


def _teaser(row: ResultRow[Any]) -> Teaser:
    return Teaser(
        kind=TeaserKind(row.kind),
        text=row.text,
        full_text=row.full_text,
        title=row.title,
        url=row.url,
        source=row.source,
        published_at=row.published_at,
        entry_id=row.entry_id,
        related_event_id=row.related_event_id,
    )


def write_events(db: Connection, events: Sequence[StoredEvent]) -> None:
    """Writes the events' own rows."""
    _, *names = (field.name for field in fields(StoredEvent))
    values = attrgetter("id", *names)
    update_many(db, EVENT.c.id, [EVENT.c[name] for name in names], map(values, events))


def write_relations(
    db: Connection,
    relations: Mapping[EntryId, tuple[Relation, float | None]],
    moves: Mapping[EntryId, EventId],
) -> None:
    """Writes how each entry relates to the canonical entry of its event; `moves` are put into that event, too."""
    told = ENTRY.c.relation, ENTRY.c.score
    rows = {entry: (relation.value, score) for entry, (relation, score) in relations.items()}
    staying = ((entry, *row) for entry, row in rows.items() if entry not in moves)
    update_many(db, ENTRY.c.id, told, staying)
    moving = ((entry, *rows[entry], event) for entry, event in moves.items())
    update_many(db, ENTRY.c.id, (*told, ENTRY.c.event_id), moving)


def relations_of(db: Connection, entries: Collection[EntryId]) -> dict[EntryId, tuple[str, float | None]]:
    """The stored relation and score of every one of these entries."""
    query = select(ENTRY.c.id, ENTRY.c.relation, ENTRY.c.score).where(among(ENTRY.c.id, entries))
    return {EntryId(entry): (relation, score) for entry, relation, score in db.execute(query).all()}


def write_teasers(db: Connection, teasers: Mapping[EventId, Sequence[Teaser]]) -> None:
    """The teasers of each of these events become the given ones."""
    if not teasers:
        return
    db.execute(delete(TEASER).where(among(TEASER.c.event_id, teasers)))
    values = attrgetter(*(field.name for field in fields(Teaser)))
    rows = (
        (event, position, *values(teaser))
        for event, shown in teasers.items()
        for position, teaser in enumerate(shown)
    )
    columns = [TEASER.c[field.name] for field in fields(Teaser)]
    insert_many(db, (TEASER.c.event_id, TEASER.c.position, *columns), rows)
