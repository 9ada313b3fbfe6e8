"""Feeds and their polling state: the list in force, what is due, and who may be asked."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy import Row as ResultRow
from sqlalchemy.engine import Connection

from aggregator.config import Settings
from aggregator.credentials import redacted, redacted_text
from aggregator.schedule import NEVER
from aggregator.store.dialect import UtcDateTime, among, chunks, insert_new
from aggregator.store.tables import ACTIVITY, DOCUMENT, ENTRY, FEED
from aggregator.types import (
    NOTHING_SEEN,
    FailureKind,
    Feed,
    FeedHealth,
    FeedId,
    FeedSettings,
    FeedState,
    FeedStatus,
    Move,
    PollHints,
    Seen,
    SeenItem,
)

IMPORTED = "import:"
"""What the URLs of feeds begin with that stand for imported entries, one for each source."""

LEASE = timedelta(seconds=9)
RENEW_SECONDS = 3.0
"""How long a feed stays with a process that says nothing more of it, and how often a process does. What waited with
one that was killed is taken over so soon; a poll whose lease lapsed and was given to another writes nothing."""


class StaleLeaseError(Exception):
    """The feed was given to somebody else meanwhile: nothing of this poll may be written."""


CLAIM = (
    update(FEED)
    .where(
        FEED.c.id == bindparam("number"),
        FEED.c.listed,
        FEED.c.fence == bindparam("known_fence"),
        FEED.c.health.not_in((FeedHealth.GONE, FeedHealth.PAUSED)),
    )
    .values(
        leased_by=bindparam("worker"),
        lease_until=bindparam("until"),
        fence=FEED.c.fence + 1,
        last_polled_at=bindparam("now"),
        next_poll_at=case(
            (FEED.c.next_poll_at > bindparam("least", type_=UtcDateTime), FEED.c.next_poll_at),
            else_=bindparam("least", type_=UtcDateTime),
        ),
    )
)
LEARNT = (
    "lang",
    "health",
    "etag",
    "last_modified",
    "body_hash",
    "interval",
    "failures",
    "problem",
    "moved_to",
    "moved_sightings",
    "moved_seen_at",
    "address",
    "ttl",
    "skip_hours",
    "skip_days",
    "next_poll_at",
    "last_polled_at",
    "last_success_at",
    "retry_at",
    "whole_at",
    "failure",
    "answer_seconds",
)
WRITE_STATE = (
    update(FEED)
    .where(FEED.c.id == bindparam("number"), FEED.c.fence == bindparam("known_fence"))
    .values(
        {name: bindparam(f"new_{name}") for name in LEARNT}
        | {"title": case((FEED.c.title == "", bindparam("new_title")), else_=FEED.c.title)}
        | {
            # Within a case a value does not take the type of its column: SQLite's driver would write its zone.
            name: case(
                (FEED.c.health == FeedHealth.PAUSED, FEED.c[name]),
                else_=bindparam(f"new_{name}", type_=FEED.c[name].type),
            )
            for name in ("health", "next_poll_at")
        }
        | {"lease_until": None}
    )
)
"""The two statements of every poll, made once: making and looking at them anew took half of an unchanged poll."""


def write_all(db: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Writes to each feed its values; all have the same columns beside `number`, the feed's id."""
    if rows:
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in rows[0] if name != "number"}
        bound = [{"number": row["number"]} | {f"new_{name}": row[name] for name in values} for row in rows]
        db.execute(update(FEED).where(FEED.c.id == bindparam("number")).values(values), bound)


def feed_values(feed: Feed, interval: int, now: datetime | None) -> dict[str, Any]:
    """The row of a new feed, due at `now`; with None it is not listed."""
    wanted = feed.settings
    return {
        "url": feed.url,
        "public_url": feed.url if feed.url.startswith(IMPORTED) else redacted(feed.url),
        "title": redacted_text(feed.title),
        "category": feed.category,
        "site_url": redacted(feed.site_url),
        "listed": now is not None,
        "health": FeedHealth.OK if wanted.enabled else FeedHealth.PAUSED,
        "interval": interval,
        "failures": 0,
        "next_poll_at": now if wanted.enabled else NEVER,
        "set_interval": wanted.interval,
        "set_lang": wanted.language,
        "weight": wanted.weight,
        "keep_days": wanted.keep_days,
    }


def _is_twin() -> ColumnElement[bool]:
    """The feed has moved to where another listed feed is asked for already: one of them is enough."""
    other = FEED.alias()
    is_polled = other.c.health != FeedHealth.PAUSED
    # Two questions, each of which has an index; as one with "or" they would read all listed feeds.
    is_listed_there = exists().where(
        other.c.url == FEED.c.address, other.c.listed, other.c.id != FEED.c.id, is_polled
    )
    moved_there_before = exists().where(
        other.c.address == FEED.c.address,
        other.c.address != "",
        other.c.listed,
        other.c.id < FEED.c.id,
        is_polled,
    )
    return (FEED.c.address != "") & (is_listed_there | moved_there_before)


def _is_free(now: datetime) -> ColumnElement[bool]:
    """No process polls the feed, or the one that did is silent."""
    return FEED.c.lease_until.is_(None) | (FEED.c.lease_until <= now)


def _ripe(now: datetime) -> Select[Any]:
    is_wanted = FEED.c.listed & (FEED.c.health != FeedHealth.PAUSED)
    ripe = is_wanted & (FEED.c.next_poll_at <= now) & _is_free(now) & ~_is_twin()
    return select(FEED).where(ripe).order_by(FEED.c.next_poll_at, FEED.c.id)


def due_feeds(db: Connection, now: datetime, limit: int | None = None) -> list[FeedState]:
    """The listed feeds (at most `limit`) whose time has come and that nobody polls, the longest overdue first."""
    return [_state(row) for row in db.execute(_ripe(now).limit(limit))]


def lease_feeds(db: Connection, worker: str, now: datetime, limit: int) -> list[FeedState]:
    """At most `limit` of the due feeds, for this worker alone until LEASE from now; the longest overdue first.

    Feeds that another worker is just taking are left to it, without waiting.
    """
    rows = db.execute(_ripe(now).limit(limit).with_for_update(of=FEED, skip_locked=True)).all()
    lease = update(FEED).values(leased_by=worker, lease_until=now + LEASE, fence=FEED.c.fence + 1)
    for part in chunks(row.id for row in rows):
        db.execute(lease.where(among(FEED.c.id, part)))
    return [replace(state, fence=state.fence + 1) for state in map(_state, rows)]


def renew_leases(db: Connection, worker: str, feeds: Iterable[FeedId], until: datetime | None) -> None:
    """Keeps those of these feeds that are still the worker's until then; None gives them back at once.

    It waits for no row that another transaction is just writing: that one claims, saves or renews the feed itself.
    Two threads that renew the same feeds, each in an order of its own, would wait for one another.
    """
    for part in chunks(feeds):
        mine = (among(FEED.c.id, part), FEED.c.leased_by == worker, FEED.c.lease_until.is_not(None))
        kept = select(FEED.c.id).where(*mine).order_by(FEED.c.id)
        rows = db.execute(kept.with_for_update(skip_locked=until is not None)).scalars().all()
        if rows:
            db.execute(update(FEED).where(among(FEED.c.id, rows)).values(lease_until=until))


def present(db: Connection, state: FeedState, worker: str) -> FeedState:
    """The state as the worker may write it now. Raises StaleLeaseError if the feed is not the worker's."""
    query = select(FEED.c.fence).where(FEED.c.id == state.id, FEED.c.leased_by == worker)
    fence = db.execute(query.where(FEED.c.lease_until.is_not(None))).scalar_one_or_none()
    if fence is None:
        raise StaleLeaseError
    return replace(state, fence=fence)


def end_leases(db: Connection) -> None:
    """Gives back all feeds where one process polls at a time (SQLite): its forerunner may have been killed."""
    if db.dialect.name == "sqlite":
        db.execute(update(FEED).where(FEED.c.lease_until.is_not(None)).values(lease_until=None))


def next_due(db: Connection, now: datetime) -> datetime | None:
    """When the first of the listed feeds becomes due after `now`; None without any."""
    later = select(func.min(FEED.c.next_poll_at)).where(FEED.c.listed, FEED.c.next_poll_at > now)
    return db.execute(later).scalar()


def listed_feeds(db: Connection) -> list[FeedState]:
    """All listed feeds, the next due first."""
    return _listed(db, true())


def free_feeds(db: Connection, now: datetime) -> list[FeedState]:
    """All listed feeds that nobody polls, the next due first."""
    return _listed(db, _is_free(now))


def _listed(db: Connection, condition: ColumnElement[bool]) -> list[FeedState]:
    every = select(FEED).where(FEED.c.listed & ~_is_twin() & condition)
    return [_state(row) for row in db.execute(every.order_by(FEED.c.next_poll_at, FEED.c.id))]


def shown_state() -> ColumnElement[str]:
    """The state of a listed feed as `v1_feed` shows it.

    A feed is silent that was read on or after the day from which its rhythm does not allow for more quiet. Of one
    that was not read since, nobody knows.
    """
    is_silent = (FEED.c.health == FeedHealth.OK) & (FEED.c.last_success_at >= FEED.c.silent_at)
    return case((is_silent, FeedHealth.SILENT.value), else_=FEED.c.health)


def last_day() -> ColumnElement[int]:
    """The last day (since 1970) on which the feed brought new entries."""
    brought = (ACTIVITY.c.feed_id == FEED.c.id) & (ACTIVITY.c.entries > 0)
    return select(func.max(ACTIVITY.c.day)).where(brought).scalar_subquery()


def feed_statuses(db: Connection) -> list[FeedStatus]:
    """Every listed feed as `v1_feed` shows it, by category and title."""
    entries = select(func.count()).where(ENTRY.c.feed_id == FEED.c.id).scalar_subquery()
    state = shown_state()
    last = case((state == FeedHealth.SILENT.value, last_day()))
    query = select(
        FEED,
        entries.label("entries"),
        _is_twin().label("is_twin"),
        state.label("state"),
        last.label("last"),
    ).where(FEED.c.listed)
    return [
        FeedStatus(
            url=row.public_url,
            title=row.title,
            category=row.category,
            state=row.state,
            last_polled_at=row.last_polled_at,
            last_success_at=row.last_success_at,
            next_poll_at=row.next_poll_at,
            failures=row.failures,
            problem=row.problem,
            entries=row.entries,
            moved_to=row.address or row.moved_to,
            has_moved=bool(row.address),
            twin=row.address if row.is_twin else "",
            id=FeedId(row.id),
            quiet_days=0 if row.last is None else int(row.last_success_at.timestamp() // 86_400) - row.last,
            failure=FailureKind(row.failure) if row.failure else None,
            answer_seconds=row.answer_seconds,
        )
        for row in db.execute(query.order_by(FEED.c.category, FEED.c.title, FEED.c.id))
    ]


def listed_addresses(db: Connection) -> list[tuple[FeedId, str, str]]:
    """Id, title and address, as the list has it, of every listed feed."""
    query = select(FEED.c.id, FEED.c.title, FEED.c.url).where(FEED.c.listed).order_by(FEED.c.id)
    return [(FeedId(row.id), row.title, row.url) for row in db.execute(query)]


def list_in_force(db: Connection) -> list[Feed]:
    """The listed feeds with what the list sets for them, by category and title; no credentials."""
    query = select(FEED).where(FEED.c.listed).order_by(FEED.c.category, FEED.c.title, FEED.c.id)
    return [
        Feed(
            url=row.public_url,
            title=row.title,
            category=row.category,
            site_url=row.site_url,
            settings=FeedSettings(
                interval=row.set_interval,
                enabled=row.health != FeedHealth.PAUSED,
                language=row.set_lang,
                weight=row.weight,
                keep_days=row.keep_days,
            ),
        )
        for row in db.execute(query)
    ]


def claim_feed(db: Connection, state: FeedState, worker: str, now: datetime, settings: Settings) -> FeedState:
    """The state with which the worker may ask the feed at `now`; this very request is on record.

    Whatever happens afterwards, a crash too, the feed is not asked again within MIN_INTERVAL. Raises
    StaleLeaseError if the state given is no longer the present one.
    """
    values = {
        "number": state.id,
        "known_fence": state.fence,
        "worker": worker,
        "until": now + LEASE,
        "now": now,
        "least": now + timedelta(seconds=settings.min_interval),
    }
    if db.execute(CLAIM, values).rowcount != 1:
        raise StaleLeaseError
    return replace(state, last_polled_at=now, fence=state.fence + 1)


def unclaim_feed(db: Connection, state: FeedState, before: FeedState) -> None:
    """Takes from the record that the feed was asked with `state`, as no server got to know; `before`: its last.

    Nothing changes if the feed was given to somebody else since, paused, or had its times moved with the clock.
    """
    is_as_claimed = (FEED.c.fence == state.fence) & (FEED.c.last_polled_at == state.last_polled_at)
    due = bindparam("due", before.next_poll_at, type_=UtcDateTime)
    db.execute(
        update(FEED)
        .where(FEED.c.id == state.id, FEED.c.health != FeedHealth.PAUSED, is_as_claimed)
        .values(
            last_polled_at=before.last_polled_at,
            next_poll_at=case((FEED.c.next_poll_at < due, FEED.c.next_poll_at), else_=due),
        )
    )


def put_off(db: Connection, feeds: Iterable[tuple[FeedId, datetime]]) -> None:
    """Gives feeds a later time for their next poll, and back to whoever is there then."""
    rows = [{"number": number, "next_poll_at": at, "lease_until": None} for number, at in sorted(feeds)]
    write_all(db, rows)


def some_addresses(db: Connection, limit: int) -> list[str]:
    """Where some of the listed feeds are asked for, those that have answered without fail first."""
    is_asked = FEED.c.listed & FEED.c.health.not_in((FeedHealth.GONE, FeedHealth.PAUSED))
    order = (FEED.c.last_success_at.is_(None), FEED.c.failures, FEED.c.last_success_at.desc())
    found = db.execute(select(FEED.c.url, FEED.c.address).where(is_asked).order_by(*order).limit(limit))
    return [row.address or row.url for row in found]


def count_due(db: Connection, now: datetime) -> int:
    """How many feeds `due_feeds` would give."""
    return int(db.execute(select(func.count()).select_from(_ripe(now).subquery())).scalar_one())


def import_feeds(db: Connection, sources: Sequence[str]) -> dict[str, FeedId]:
    """The feeds that imported entries of these sources belong to, made where they are missing."""
    urls = {IMPORTED + source: source for source in sources}
    found = _numbers_of(db, urls)
    missing = [url for url in urls if url not in found]
    if missing:
        rows = [feed_values(Feed(url, urls[url], "", ""), 0, None) for url in missing]
        db.execute(insert_new(db, FEED), rows)
        found |= _numbers_of(db, missing)
    return {urls[url]: number for url, number in found.items()}


def _numbers_of(db: Connection, urls: Iterable[str]) -> dict[str, FeedId]:
    return {
        row.url: FeedId(row.id)
        for part in chunks(urls)
        for row in db.execute(select(FEED.c.url, FEED.c.id).where(FEED.c.url.in_(part)))
    }


def write_state(db: Connection, state: FeedState) -> None:
    """Keeps what a poll learnt about its feed; the category, and a title given in the list, stay the operator's.

    Ends its lease. Raises StaleLeaseError if the feed was given to somebody else since this state was.
    """
    values = {
        "number": state.id,
        "known_fence": state.fence,
        "new_title": state.title,
        "new_lang": state.lang,
        "new_health": state.health,
        "new_etag": state.etag,
        "new_last_modified": state.last_modified,
        "new_body_hash": state.body_hash,
        "new_interval": state.interval,
        "new_failures": state.failures,
        "new_problem": state.problem,
        "new_moved_to": state.move.to,
        "new_moved_sightings": state.move.sightings,
        "new_moved_seen_at": state.move.seen_at,
        "new_address": state.move.address,
        "new_ttl": state.hints.ttl,
        "new_skip_hours": _bits(state.hints.skip_hours),
        "new_skip_days": _bits(state.hints.skip_days),
        "new_next_poll_at": state.next_poll_at,
        "new_last_polled_at": state.last_polled_at,
        "new_last_success_at": state.last_success_at,
        "new_retry_at": state.retry_at,
        "new_whole_at": state.whole_at,
        "new_failure": state.failure or "",
        "new_answer_seconds": state.answer_seconds,
    }
    if db.execute(WRITE_STATE, values).rowcount != 1:
        raise StaleLeaseError


def seen_of(db: Connection, feed: FeedId, version: int) -> Seen | None:
    """What the feed's document held when this version of the program read it; None if none ever did."""
    stored = db.execute(select(DOCUMENT.c.seen).where(DOCUMENT.c.feed_id == feed)).scalar_one_or_none()
    if stored is None:
        return None
    written, frame, *numbers = struct.unpack(f"<{len(stored) // 8}Q", stored)
    if written != version:
        return NOTHING_SEEN
    width = len(SeenItem._fields)
    starts = range(0, len(numbers), width)
    return Seen(frame, tuple(SeenItem(*numbers[start : start + width]) for start in starts))


def write_seen(db: Connection, feed: FeedId, seen: Seen, version: int) -> None:
    """Keeps what the feed's document held."""
    numbers = (version, seen.frame, *(number for item in seen.items for number in item))
    db.execute(delete(DOCUMENT).where(DOCUMENT.c.feed_id == feed))
    db.execute(insert(DOCUMENT).values(feed_id=feed, seen=struct.pack(f"<{len(numbers)}Q", *numbers)))


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


def _numbers(bits: int) -> frozenset[int]:
    return frozenset(number for number in range(bits.bit_length()) if bits >> number & 1)


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
        retry_at=row.retry_at,
        whole_at=row.whole_at,
        failure=FailureKind(row.failure) if row.failure else None,
        answer_seconds=row.answer_seconds,
        hints=PollHints(row.ttl, _numbers(row.skip_hours), _numbers(row.skip_days)),
        move=Move(row.moved_to, row.moved_sightings, row.moved_seen_at, row.address),
        set_interval=row.set_interval,
        set_lang=row.set_lang,
        fence=row.fence,
    )
