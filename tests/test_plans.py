"""What a timer asks costs nothing while nothing waits, however much is stored: its queries read indexes alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.engine import Connection

from aggregator.cluster.links import links_from
from aggregator.config import load_settings
from aggregator.store import Store, decisions, entries, events, feeds, listing, open_store, pairs, retention
from aggregator.store.syncing import sync_feeds
from aggregator.store.tables import DECISION, ENTRY, EVENT, PRUNED, SIGNATURE
from aggregator.types import Entry, EntryId, EventFilter, EventId, EventTime, Feed, FeedId
from tests.databases import Databases

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

MANY = 3000
"""Rows of each table: enough for a planner to prefer an index wherever it can use one."""

NEWEST = "SELECT * FROM v1_event ORDER BY last_seen_at DESC LIMIT 50"

ASKED: dict[str, Callable[[Connection], object]] = {
    "due feeds": lambda db: feeds.due_feeds(db, NOW),
    "the lease of due feeds": lambda db: feeds.lease_feeds(db, "one", NOW, 100),
    "the next due feed": lambda db: feeds.next_due(db, NOW),
    "whether anything waits": entries.awaits_grouping,
    "how much waits": entries.count_pending,
    "whether much waits": lambda db: entries.are_pending(db, 500),
    "what waits": lambda db: events.pending_entries(db, 250),
    "what waits, by likeness": lambda db: events.pending_by_likeness(db, 250, encoded=False),
    "the days on which entries wait": events.days_waiting,
    "entries by day": lambda db: events.count_by_day(db, 20_000, 20_010),
    "what waits to be encoded": lambda db: decisions.to_encode(db, None, 100),
    "entries to regroup": lambda db: decisions.to_regroup(db, 500),
    "events to relate": lambda db: events.to_relate(db, 500),
    "the newest change": listing.latest_cursor,
    "the newest events, as the page shows them": lambda db: listing.list_events(
        db, EventFilter(time=EventTime.NEWS), 50
    ),
    "what happened to an event": lambda db: listing.changes_of(db, EventId(1), 50),
    "the newest events, as other programs read them": lambda db: db.execute(text(NEWEST)),
}

WHOLE_TABLE = {
    "sqlite": r"SCAN (?!CONSTANT ROW)\w+(?! USING)\b",
    "postgresql": r"Seq Scan on (?!change|\w+_(rest|[1-9]\d*_\d+)\b)\w+",
}
"""What a plan says that reads a whole table. What is empty here (`change`, and all partitions but the
first) no index could read more quickly."""


def _removed(number: int) -> dict[str, Any]:
    keys = dict.fromkeys(("identity", "url_key", "title_key", "entry_id"), number)
    return {"feed_id": 1, "published_at": NOW, "day": 20_000} | keys


@pytest.fixture(scope="module")
def filled(shared_databases: Databases) -> Iterator[Store]:
    """A store with much in it, of which nothing waits."""
    store = open_store(shared_databases.new())
    with store.write() as db:
        listed = [Feed(f"https://news{n}.example/rss", f"News {n}", "", "") for n in range(MANY)]
        sync_feeds(db, listed, load_settings({}), NOW - timedelta(days=1))
        states = feeds.listed_feeds(db)
        feeds.put_off(db, [(state.id, NOW + timedelta(hours=1)) for state in states])
        numbers = range(1, MANY + 1)
        db.execute(insert(EVENT), [_event(number) for number in numbers])
        db.execute(insert(ENTRY), [_entry(number, states[0].id) for number in numbers])
        db.execute(insert(SIGNATURE), [_signature(number) for number in numbers])
        db.execute(insert(DECISION), [_decision(number) for number in numbers])
        db.execute(insert(PRUNED), [_removed(number) for number in numbers])
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT", writes=True) as db:
        db.exec_driver_sql("ANALYZE")
    yield store
    store.close()


def _event(number: int) -> dict[str, Any]:
    seen = dict.fromkeys(("first_seen_at", "last_seen_at", "news_at"), NOW + timedelta(seconds=number))
    counts = {"entry_count": 1, "source_count": 1}
    return {"id": number, "canonical_entry_id": number, "relate": False} | counts | seen


def _entry(number: int, feed: int) -> dict[str, Any]:
    times = {"published_at": NOW, "first_seen_at": NOW}
    flags = {"date_guessed": False, "truncated": False, "pending": False}
    keys = {"text_key": 0, "title_key": 0}
    return {"id": number, "feed_id": feed, "identity": str(number), "event_id": number} | times | flags | keys


def _signature(number: int) -> dict[str, Any]:
    names = (
        "minhash",
        "title",
        "title_marks",
        "lead",
        "lead_marks",
        "body",
        "terms",
        "term_marks",
        "term_rarity",
    )
    return {"entry_id": number, "at": NOW, "scheme": 1, "truncated": False} | dict.fromkeys(names, b"")


def _decision(number: int) -> dict[str, Any]:
    figures = {"among": 1, "seen": 0, "mean": 0.0, "size": 1, "threshold": 0.6, "features": 0}
    return {"entry_id": number, "at": NOW, "compared": b"", "regroup": False} | figures


def _steps(filled: Store, asked: Callable[[Connection], object]) -> list[str]:
    """How the database does what is asked, step by step."""
    statements: list[tuple[str, Any]] = []

    def note(_db: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    dialect = filled.engine.dialect.name
    explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN"
    with filled.write() as db:
        event.listen(filled.engine, "before_cursor_execute", note)
        try:
            asked(db)
        finally:
            event.remove(filled.engine, "before_cursor_execute", note)
        assert statements
        return [
            str(row)
            for statement, parameters in statements
            for row in db.exec_driver_sql(f"{explain} {statement}", parameters)
        ]


@pytest.mark.parametrize("asked", ASKED)
def test_what_a_timer_asks_reads_no_whole_table(filled: Store, asked: str) -> None:
    whole = WHOLE_TABLE[filled.engine.dialect.name]
    assert [step for step in _steps(filled, ASKED[asked]) if re.search(whole, step)] == []


OF_FEEDS: dict[str, Callable[[Connection], object]] = {
    "entries": lambda db: entries.known_of_feeds(db, {FeedId(n): [_item(n), _item(9)] for n in (1, 2)}),
    "removed items": lambda db: retention.pruned_of_feeds(db, {FeedId(n): [_item(n)] for n in (1, 2)}),
}


def _item(number: int) -> Entry:
    url = f"https://paper.example/{number}"
    texts = dict.fromkeys(("summary", "text", "html", "lang", "author", "source", "content_hash"), "")
    return Entry(
        identity=str(number), guid="", url=url, canonical_url=url, title="News", published_at=NOW,
        date_guessed=False, truncated=False, text_key=0, title_key=0, listed=(), **texts,
    )  # fmt: skip


@pytest.mark.parametrize("kept", OF_FEEDS)
def test_what_feeds_hold_is_found_without_reading_all_that_one_of_them_holds(
    filled: Store, kept: str
) -> None:
    too_much = {
        "sqlite": r"SCAN (?:entry|entry_alias|pruned|own)\b(?! USING COVERING INDEX pruned_url)|\(feed_id=\?\)",
        "postgresql": r"Seq Scan on entry_0_|Index Cond: \(feed_id = \S+\)'",
    }[filled.engine.dialect.name]
    assert [step for step in _steps(filled, OF_FEEDS[kept]) if re.search(too_much, step)] == []


SOME = [EntryId(number) for number in range(1, 101)]
SCATTERED = [EntryId(number) for number in range(1, 1_000, 10)]
GROUPING: dict[str, Callable[[Connection], object]] = {
    "pairs": lambda db: pairs.links_of(db, SOME),
    "copies": lambda db: pairs.copies_of(db, SOME),
    "pairs of entries far apart": lambda db: pairs.links_of(db, SCATTERED),
    "copies of entries far apart": lambda db: pairs.copies_of(db, SCATTERED),
    "events": lambda db: events.events_of(db, SOME[:9]),
    "events that list one": lambda db: events.listing_events(db, SOME[:9]),
}


@pytest.fixture(scope="module")
def grouped(shared_databases: Databases) -> Iterator[Store]:
    """A store in which much was grouped since its rows were counted."""
    store = open_store(shared_databases.new())
    with store.write() as db:
        sync_feeds(db, [Feed("https://news.example/rss", "News", "", "")], load_settings({}), NOW)
        (feed,) = feeds.listed_feeds(db)
        numbers = range(1, MANY + 1)
        db.execute(insert(EVENT), [_event(number) for number in numbers])
        db.execute(insert(ENTRY), [_entry(number, feed.id) | {"event_id": None} for number in numbers])
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT", writes=True) as db:
        db.exec_driver_sql("ANALYZE")
    with store.write() as db:
        events.move_entries(db, {EntryId(number): EventId(number) for number in numbers})
        told = ((a, b, 0.5, False) for a in numbers for b in range(a + 1, min(a + 8, MANY)))
        pairs.replace_links(db, [], links_from(told))
    yield store
    store.close()


READ = """
SELECT sum(seq_scan), sum(idx_tup_fetch) FROM pg_stat_xact_user_tables
WHERE relname IN ('entry_0_100000', 'link_0_100000')
"""


@pytest.mark.parametrize("asked", GROUPING)
@pytest.mark.postgresql("SQLite plans by rules where nothing is counted")
def test_what_grouping_asks_reads_only_what_it_names(grouped: Store, asked: str) -> None:
    with grouped.read() as db:
        before = db.exec_driver_sql(READ).one()
        GROUPING[asked](db)
        scans, fetched = np.subtract(db.exec_driver_sql(READ).one(), before)
    assert scans == 0
    assert fetched < MANY / 2


@pytest.mark.postgresql("SQLite compiles nothing")
def test_no_statement_is_compiled(grouped: Store) -> None:
    with grouped.read() as db:
        assert db.exec_driver_sql("SHOW jit").scalar_one() == "off"
