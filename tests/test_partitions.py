"""PostgreSQL's partitions: rows find theirs, none is refused for want of one, and an identity is there once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.engine import Connection

from aggregator.store import Store, open_store
from aggregator.store.analysing import analyse_grown
from aggregator.store.dialect import among, insert_new, open_engine
from aggregator.store.events import create_events
from aggregator.store.feeds import import_feeds
from aggregator.store.partitions import OF_ENTRIES, ranges
from aggregator.store.room import keep_room, make_room
from aggregator.store.tables import ENTRY, SIGNATURE
from aggregator.types import FeedId
from tests.databases import Databases
from tests.program import Program
from tests.test_corrections import BASE
from tests.test_upgrades import _write_as

pytestmark = pytest.mark.postgresql("SQLite has no partitions")

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MANY = 3000


@pytest.fixture
def feed(store: Store) -> FeedId:
    with store.write() as db:
        return import_feeds(db, ["Paper"])["Paper"]


def _rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.read() as db:
        return [tuple(row) for row in db.execute(text(sql))]


def _entry(feed: FeedId, identity: str, number: int | None = None) -> dict[str, Any]:
    times = {"published_at": NOW, "first_seen_at": NOW}
    plain = {"date_guessed": False, "truncated": False, "pending": True, "text_key": 0, "title_key": 0}
    given = {} if number is None else {"id": number}
    return {"feed_id": feed, "identity": identity, **times, **plain, **given}


def test_room_is_made_for_all_that_hangs_on_an_entry(store: Store) -> None:
    with store.write() as db:
        make_room(db, entry=2_500_000)
    with store.read() as db:
        bounds = [ranges(db, table) for table in OF_ENTRIES]
    assert bounds[0][-1].end > 2_500_000
    assert all(one == bounds[0] for one in bounds)
    assert all(a.end == b.start for a, b in zip(bounds[0], bounds[0][1:], strict=False))


def test_a_row_beyond_the_last_partition_is_kept_and_room_goes_on(store: Store, feed: FeedId) -> None:
    with store.write() as db:
        db.execute(insert(ENTRY), [_entry(feed, "far", 90_000_000)])
    with store.write() as db:
        db.execute(insert(ENTRY), [_entry(feed, "near")])
    keep_room(store.engine)
    assert _rows(store, "SELECT id FROM entry_rest") == [(90_000_000,)]
    assert _rows(store, "SELECT count(*) FROM v1_entry") == [(2,)]


def test_of_several_who_write_the_same_entry_at_once_one_succeeds(store: Store, feed: FeedId) -> None:
    start = threading.Barrier(4)

    def write(_number: int) -> int:
        start.wait()
        with store.write() as db:
            rows = [_entry(feed, f"item {n}") for n in range(20)]
            return len(db.execute(insert_new(db, ENTRY).returning(ENTRY.c.id), rows).all())

    with ThreadPoolExecutor(4) as threads:
        new = list(threads.map(write, range(4)))
    assert sum(new) == 20
    assert _rows(store, "SELECT count(*), count(DISTINCT identity) FROM entry") == [(20, 20)]
    assert _rows(store, "SELECT count(*) FROM entry_identity") == [(20,)]


def test_an_identity_is_free_again_when_its_entry_went(store: Store, feed: FeedId) -> None:
    for number, remove in ((1, "DELETE FROM entry"), (2, "TRUNCATE entry CASCADE")):
        with store.write() as db:
            db.execute(insert(ENTRY), [_entry(feed, "item", number)])
        assert _rows(store, "SELECT entry_id FROM entry_identity") == [(number,)]
        with store.write() as db:
            db.execute(text(remove))
        assert _rows(store, "SELECT * FROM entry_identity") == []


BY_NUMBER: dict[str, Callable[[Connection], object]] = {
    "an entry": lambda db: db.execute(text("SELECT * FROM v1_entry WHERE id = 7")).all(),
    "some entries": lambda db: db.execute(select(ENTRY.c.title).where(among(ENTRY.c.id, [7, 8]))).all(),
    "their signatures": lambda db: db.execute(
        select(SIGNATURE.c.terms).where(among(SIGNATURE.c.entry_id, [7, 8]))
    ).all(),
    "the newest events": lambda db: db.execute(
        text("SELECT * FROM v1_event ORDER BY last_seen_at DESC LIMIT 5")
    ).all(),
}


@pytest.mark.parametrize("asked", BY_NUMBER)
def test_what_is_asked_by_number_reads_one_partition(store: Store, feed: FeedId, asked: str) -> None:
    with store.write() as db:
        make_room(db, entry=350_000)
        db.execute(insert(ENTRY), [_entry(feed, f"item {n}", n) for n in range(1, MANY)])
        create_events(db, MANY, NOW)
        blank = ", ".join(["''"] * 9)
        db.execute(text(f"INSERT INTO signature SELECT id, published_at, 1, {blank}, false FROM entry"))
        db.execute(text("UPDATE event SET canonical_entry_id = id"))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("ANALYZE")
    statements: list[tuple[str, Any]] = []

    def note(_db: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    with store.read() as db:
        first = ranges(db, "entry")[0]
        event.listen(store.engine, "before_cursor_execute", note)
        try:
            BY_NUMBER[asked](db)
        finally:
            event.remove(store.engine, "before_cursor_execute", note)
        assert statements
        for statement, parameters in statements:
            plan = db.exec_driver_sql(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", parameters)
            lines = [str(row[0]) for row in plan]
            read = {
                match[1]
                for line in lines
                if "never executed" not in line
                and (match := re.search(r" on ((?:entry|signature)_(?:\d+_\d+|rest))\b", line))
            }
            assert read <= {first.of("entry"), first.of("signature")}, "\n".join(lines)


COLUMNS = (
    "id, feed_id, identity, published_at, first_seen_at, "
    "date_guessed, truncated, text_key, title_key, pending"
)
GROWN = ("entry", "signature", "decision", "listed_item", "entry_version", "link", "change", "activity",
         "entry_alias", "teaser")  # fmt: skip


def _sums(db: Connection) -> dict[str, tuple[int, str]]:
    """The rows of each table, how many and a checksum of all that is in them, but for what later versions add."""
    told = "CAST(to_jsonb(one) - 'content_key' AS text)"
    query = f"SELECT count(*), COALESCE(sum(hashtextextended({told}, 0)), 0) FROM {{}} AS one"
    return {
        name: (int(row[0]), str(row[1]))
        for name in GROWN
        for row in db.execute(text(query.format(name)))
    }  # fmt: skip


@pytest.mark.parametrize("entries", [3, 250_000])
def test_a_database_from_before_keeps_every_row(databases: Databases, entries: int) -> None:
    """With few numbers given and with many."""
    url = databases.bare()
    _write_as("0017", url)
    engine = open_engine(url)
    with engine.begin() as db:
        for number in range(entries - 2, entries + 1):
            row = f"{number}, 1, 'late {number}', now(), now(), false, false, 0, 0, true"
            db.execute(text(f"INSERT INTO entry ({COLUMNS}) VALUES ({row}) ON CONFLICT DO NOTHING"))
        before = _sums(db)
    engine.dispose()
    opened = open_store(url)
    with opened.read() as db:
        assert _sums(db) == before
        known = "SELECT count(*) FROM entry JOIN entry_identity AS known ON known.entry_id = entry.id"
        assert db.execute(text(known)).scalar_one() == before["entry"][0]
    opened.close()


def _known_to_planner(store: Store) -> dict[str, float]:
    """The partitioned tables of which the planner knows columns as a whole, with the rows it counts."""
    sql = (
        "SELECT relname, reltuples FROM pg_class WHERE relkind = 'p' AND relname IN "
        "(SELECT tablename FROM pg_stats WHERE inherited)"
    )
    return {str(name): float(rows) for name, rows in _rows(store, sql)}


def test_the_planner_knows_tables_as_a_whole_and_again_when_they_have_grown(
    store: Store, feed: FeedId
) -> None:
    def bring(numbers: range) -> None:
        with store.write() as db:
            make_room(db, entry=350_000)
            db.execute(insert(ENTRY), [_entry(feed, f"item {n}", n) for n in numbers])
        # As the server does by itself within a minute.
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            for part in ranges(db, "entry"):
                db.exec_driver_sql(f"ANALYZE {part.of('entry')}, {part.of('entry_words')}")

    bring(range(1, 50))
    bring(range(100_000, 100_050))
    assert _known_to_planner(store) == {}, "nothing counts the whole by itself"
    store.tidy()
    assert _known_to_planner(store)["entry"] == 99
    (times,) = _rows(
        store, "SELECT n_distinct FROM pg_stats WHERE tablename = 'entry' AND attname = 'identity'"
    )
    assert times == (-1,)
    assert analyse_grown(store.engine) == [], "nothing has grown"
    bring(range(200_000, 200_050))
    assert analyse_grown(store.engine) == ["entry", "entry_words"]
    assert _known_to_planner(store)["entry"] == 149


def test_commands_that_bring_entries_tell_the_planner(program: Program) -> None:
    program.bring(*BASE)
    assert program.query("SELECT count(*) > 0 FROM pg_stats WHERE inherited AND tablename = 'entry'") == [
        (True,)
    ]
