"""Entries as polls bring them: what is known already, and the writing of one poll in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, literal, or_, select, update
from sqlalchemy.engine import Connection

from aggregator.store.activity import count_activity
from aggregator.store.dialect import among, chunks, insert_new
from aggregator.store.feeds import write_seen, write_state
from aggregator.store.hosts import leave_host
from aggregator.store.owned import is_one_of
from aggregator.store.partitions import count_written
from aggregator.store.tables import ALIAS, DECISION, ENTRY, EVENT, LISTED, SIGNATURE, VERSION
from aggregator.types import (
    NOTHING_SEEN,
    Brought,
    Edit,
    Entry,
    EntryId,
    FeedId,
    KnownEntry,
    News,
    PollOutcome,
    Seen,
    SeenItem,
    Signature,
)

KNOWN = (ENTRY.c.id, ENTRY.c.canonical_url, ENTRY.c.title, ENTRY.c.published_at, ENTRY.c.content_hash)

MOST_ALIKE = 2000
"""Stored entries that are looked at because they begin like new ones; beyond it a feed is made from a template."""


def known_of_feeds(
    db: Connection, wanted: Mapping[FeedId, Sequence[Entry]]
) -> dict[FeedId, list[tuple[str, KnownEntry]]]:
    """What each feed's stored entries answer to: (identity or alias, entry), also for those of equal URL.

    Covers every stored entry of a feed that has the identity, an alias or the canonical URL of one of its entries
    in `wanted`; in the same few statements, however many feeds there are.
    """
    every = [(feed, entry) for feed, entries in wanted.items() for entry in entries]
    mine = select(ENTRY.c.feed_id, ENTRY.c.identity.label("name"), *KNOWN)
    aliased = select(ALIAS.c.feed_id, ALIAS.c.identity.label("name"), *KNOWN)
    aliased = aliased.join(ENTRY, ENTRY.c.id == ALIAS.c.entry_id)
    found: dict[FeedId, list[tuple[str, KnownEntry]]] = {feed: [] for feed in wanted}
    for part in chunks(every):
        names = [(feed, entry.identity) for feed, entry in part]
        urls = [(feed, entry.canonical_url) for feed, entry in part if entry.canonical_url]
        for query in (
            mine.where(is_one_of(db, ENTRY.c.identity, names)),
            mine.where(is_one_of(db, ENTRY.c.canonical_url, urls)),
            aliased.where(is_one_of(db, ALIAS.c.identity, names)),
        ):
            for row in db.execute(query):
                found[FeedId(row.feed_id)].append((row.name, _known(row, "")))
    return found


def entries_saying(db: Connection, feed_id: FeedId, entries: Sequence[Entry]) -> list[tuple[str, KnownEntry]]:
    """The feed's stored entries that begin like one of `entries`, as (identity, entry) with their texts.

    Covers those with the same start of the text, and for entries without an address or a text those with the same
    title.
    """
    query = select(ENTRY.c.identity.label("name"), ENTRY.c.text, *KNOWN).where(ENTRY.c.feed_id == feed_id)
    found: dict[int, tuple[str, KnownEntry]] = {}
    for part in chunks(entries):
        texts = {entry.text_key for entry in part} - {0}
        titles = {entry.title_key for entry in part if not (entry.canonical_url and entry.text_key)} - {0}
        for column, keys in ((ENTRY.c.text_key, texts), (ENTRY.c.title_key, titles)):
            if keys:
                # The second condition lets the database use its index, which leaves out the key 0.
                rows = db.execute(query.where(column.in_(keys), column != 0).limit(MOST_ALIKE))
                found |= {row.id: (row.name, _known(row, row.text)) for row in rows}
    return list(found.values())


def _known(row: Any, text: str) -> KnownEntry:
    return KnownEntry(
        id=EntryId(row.id),
        canonical_url=row.canonical_url,
        title=row.title,
        text=text,
        published_at=row.published_at,
        content_hash=row.content_hash,
    )


def save_poll(db: Connection, outcome: PollOutcome, now: datetime, version: int) -> int:
    """How many entries were new: writes everything a poll brought, validators included.

    `version` is that of the program's reading of documents: what another one found in them counts for nothing.

    To be called in one write transaction. Writing the same outcome twice changes nothing the second time. Raises
    StaleLeaseError, having written nothing, if the feed was given to somebody else since it was claimed.
    """
    write_state(db, outcome.state)
    leave_host(db, outcome.state.id)
    new = write_news(db, outcome.state.id, outcome.news, now)
    if new or outcome.again:
        count_activity(db, outcome.state.id, now, Brought(len(new), outcome.again))
    if outcome.read is not None:
        write_seen(db, outcome.state.id, _numbered(outcome.read, new | dict(outcome.news.known)), version)
    return len(new)


def _numbered(seen: Seen, entries: Mapping[str, EntryId]) -> Seen:
    """The items with the stored entries that they are, by identity; none of them if one is nobody knows which."""
    number_of = {SeenItem.key(identity): number for identity, number in entries.items()}
    items = [
        item._replace(entry=number_of.get(item.identity, 0)) if item.identity and not item.entry else item
        for item in seen.items
    ]
    if any(item.identity and not item.entry for item in items):
        return NOTHING_SEEN
    return Seen(seen.frame, tuple(items))


def write_news(db: Connection, feed_id: FeedId, news: News, now: datetime) -> dict[str, EntryId]:
    """Keeps new and edited entries and new identities of one feed; the entries that were new, by identity."""
    new = _add_entries(db, [(feed_id, *one) for one in news.new], now)
    _write_changed(db, feed_id, news, now)
    return {identity: number for (_, identity), number in new.items()}


def write_news_of_feeds(db: Connection, news: Mapping[FeedId, News], now: datetime) -> int:
    """As `write_news`, for many feeds together; how many entries were new."""
    new = _add_entries(db, [(feed, *one) for feed, of_feed in news.items() for one in of_feed.new], now)
    for feed, of_feed in news.items():
        _write_changed(db, feed, of_feed, now)
    return len(new)


def _write_changed(db: Connection, feed_id: FeedId, news: News, now: datetime) -> None:
    if not (news.edits or news.aliases):
        return
    # One may have been removed for its age since it was read.
    there = _held(db, {edit.id for edit in news.edits} | {alias.id for alias in news.aliases})
    for edit in news.edits:
        if edit.id in there:
            _write_edit(db, edit, now)
    rows = [
        {"feed_id": feed_id, "identity": alias.identity, "entry_id": alias.id}
        for alias in news.aliases
        if alias.id in there
    ]
    if rows:
        db.execute(insert_new(db, ALIAS), rows)


def _held(db: Connection, entries: Iterable[EntryId]) -> set[int]:
    """Those of these entries that are still there, and stay until this transaction ends."""
    query = select(ENTRY.c.id).with_for_update(key_share=True)
    return {row.id for part in chunks(entries) for row in db.execute(query.where(among(ENTRY.c.id, part)))}


def _add_entries(
    db: Connection, signed: Sequence[tuple[FeedId, Entry, Signature]], now: datetime
) -> dict[tuple[FeedId, str], EntryId]:
    """Those of these entries that were new to their feeds; they wait for the clusterer (`pending`)."""
    new: dict[tuple[FeedId, str], EntryId] = {}
    for part in chunks(signed):
        rows = [
            _entry_values(entry) | {"feed_id": feed, "first_seen_at": now, "pending": True, "relation": ""}
            for feed, entry, _ in part
        ]
        stored = insert_new(db, ENTRY).returning(ENTRY.c.id, ENTRY.c.feed_id, ENTRY.c.identity)
        numbers = {
            (FeedId(row.feed_id), str(row.identity)): EntryId(row.id) for row in db.execute(stored, rows)
        }
        new |= numbers
        count_written(db, len(part))
        fresh = [
            (numbers[feed, entry.identity], entry, signature)
            for feed, entry, signature in part
            if (feed, entry.identity) in numbers
        ]
        if fresh:
            db.execute(
                insert(SIGNATURE), [signature_values(number, e, signed) for number, e, signed in fresh]
            )
        listed = [row for number, entry, _ in fresh for row in _listed_values(number, entry)]
        if listed:
            db.execute(insert(LISTED), listed)
    return new


def _write_edit(db: Connection, edit: Edit, now: datetime) -> None:
    entry, number = edit.entry, edit.id
    old = select(
        ENTRY.c.id,
        ENTRY.c.title,
        ENTRY.c.summary,
        ENTRY.c.text,
        ENTRY.c.content_hash,
        literal(now, VERSION.c.replaced_at.type),
    ).where(ENTRY.c.id == number)
    db.execute(
        insert(VERSION).from_select(
            ["entry_id", "title", "summary", "text", "content_hash", "replaced_at"], old
        )
    )
    values = _entry_values(entry)
    # The item stays the item it was: its first identity and, unless it had none, its first date.
    del values["identity"], values["guid"]
    date = {name: values.pop(name) for name in ("published_at", "date_guessed")}
    db.execute(update(ENTRY).where(ENTRY.c.id == number).values(**values, pending=True))
    if not entry.date_guessed:
        db.execute(update(ENTRY).where(ENTRY.c.id == number, ENTRY.c.date_guessed).values(**date))
    at = db.execute(select(ENTRY.c.published_at).where(ENTRY.c.id == number)).scalar_one()
    signature = signature_values(number, entry, edit.signature) | {"at": at}
    db.execute(update(SIGNATURE).where(SIGNATURE.c.entry_id == number).values(**signature))
    db.execute(delete(LISTED).where(LISTED.c.entry_id == number))
    listed = _listed_values(number, entry)
    if listed:
        db.execute(insert(LISTED), listed)


def _entry_values(entry: Entry) -> dict[str, Any]:
    return {
        "identity": entry.identity,
        "guid": entry.guid,
        "url": entry.url,
        "canonical_url": entry.canonical_url,
        "title": entry.title,
        "summary": entry.summary,
        "text": entry.text,
        "html": entry.html,
        "lang": entry.lang,
        "author": entry.author,
        "source": entry.source,
        "published_at": entry.published_at,
        "date_guessed": entry.date_guessed,
        "truncated": entry.truncated,
        "content_hash": entry.content_hash,
        "text_key": entry.text_key,
        "title_key": entry.title_key,
    }


def signature_values(number: EntryId, entry: Entry, signature: Signature) -> dict[str, Any]:
    """The row of an entry's signature."""
    return {
        "entry_id": number,
        "at": entry.published_at,
        "scheme": signature.scheme,
        "minhash": signature.minhash,
        "title": signature.title,
        "title_marks": signature.title_marks,
        "lead": signature.lead,
        "lead_marks": signature.lead_marks,
        "body": signature.body,
        "terms": signature.terms,
        "term_marks": signature.term_marks,
        "term_rarity": signature.term_rarity,
        "truncated": signature.truncated,
        "content_key": signature.content_key,
        "meaning": signature.meaning or None,
    }


def _listed_values(number: EntryId, entry: Entry) -> list[dict[str, Any]]:
    return [
        {
            "entry_id": number,
            "position": position,
            "text": item.text,
            "teaser": item.teaser,
            "url": item.url,
            "start_key": item.start_key,
        }
        for position, item in enumerate(entry.listed)
    ]


def count_pending(db: Connection) -> int:
    """How many entries wait for the clusterer."""
    return int(db.execute(select(func.count()).select_from(ENTRY).where(ENTRY.c.pending)).scalar_one())


def are_pending(db: Connection, least: int) -> bool:
    """Whether at least so many entries wait for the clusterer: cheaper to tell than how many, if few do."""
    # In the order of their index. PostgreSQL believes for a while that all still wait, and would read all.
    query = select(ENTRY.c.id).where(ENTRY.c.pending).order_by(ENTRY.c.id)
    return db.execute(query.offset(least - 1).limit(1)).first() is not None


def awaits_grouping(db: Connection) -> bool:
    """Whether entries wait for the clusterer, or events for being looked at again."""
    waiting = (
        select(ENTRY.c.id).where(ENTRY.c.pending),
        select(DECISION.c.entry_id).where(DECISION.c.regroup),
        select(EVENT.c.id).where(EVENT.c.relate),
    )
    return bool(db.execute(select(or_(*(query.exists() for query in waiting)))).scalar_one())
