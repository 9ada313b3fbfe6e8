"""PostgreSQL's partitions are made in time and beside readers and writers, and whole whoever ends in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text

from aggregator.store import Store, room
from aggregator.store.feeds import import_feeds
from aggregator.store.partitions import OF_ENTRIES, Range, TablesBusyError, all_ranges
from aggregator.store.room import AHEAD, NARROWEST, keep_room
from aggregator.store.tables import ENTRY, SIGNATURE
from aggregator.types import FeedId
from tests.program import ROOT, Program
from tests.test_partitions import _entry

pytestmark = pytest.mark.postgresql("SQLite has no partitions")

PATIENCE_SECONDS = 60


@pytest.fixture
def feed(store: Store) -> FeedId:
    with store.write() as db:
        return import_feeds(db, ["Paper"])["Paper"]


def _there(store: Store) -> dict[str, list[Range]]:
    with store.read() as db:
        return all_ranges(db)


def _last(store: Store) -> Range:
    return _there(store)["entry"][-1]


def _give_out(store: Store, number: int) -> None:
    """The next entry has the number after this one."""
    with store.write() as db:
        db.execute(text(f"SELECT setval('entry_id_seq', {number})"))


def _come_nearer(store: Store) -> Range:
    """One of the empty partitions begins to be filled: the one that is missing then."""
    last = _last(store)
    _give_out(store, last.end - AHEAD * NARROWEST + 1)
    return Range(last.end, last.end + NARROWEST)


def _is_whole(store: Store) -> bool:
    there = _there(store)
    return all(there[table] == there["entry"] for table in OF_ENTRIES) and all(
        a.end == b.start for a, b in zip(there["entry"], there["entry"][1:], strict=False)
    )


def _bring(store: Store, feed: FeedId, name: str, number: int | None = None) -> int:
    """One entry with its signature; its number."""
    blank = {column.name: b"" for column in SIGNATURE.c}
    with store.write() as db:
        (made,) = db.execute(insert(ENTRY).returning(ENTRY.c.id), [_entry(feed, name, number)]).one()
        signed = blank | {"entry_id": made, "at": datetime.now(UTC), "scheme": 1, "truncated": False}
        db.execute(insert(SIGNATURE), [signed])
    return int(made)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def test_room_is_made_beside_a_reader_that_goes_on(store: Store, feed: FeedId) -> None:
    number = _bring(store, feed, "item")
    missing = _come_nearer(store)
    with store.read() as reader:
        names = [reader.exec_driver_sql(f"SELECT * FROM {table} WHERE {column} = {number}").all()
                 for table, column in OF_ENTRIES.items()]  # fmt: skip
        assert names[0]
        keep_room(store.engine, tries=1)
        assert _last(store) == missing
    assert _is_whole(store)


def test_who_reads_all_of_a_table_is_let_finish_and_others_go_on_meanwhile(
    store: Store, feed: FeedId
) -> None:
    missing = _come_nearer(store)
    with store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM decision").one()
        keep_room(store.engine, tries=1)
        there = _there(store)
        assert missing in there["link"]
        assert missing not in there["entry"]
        _bring(store, feed, "item")
        reader.exec_driver_sql("SELECT count(*) FROM decision").one()
    keep_room(store.engine, tries=1)
    assert _last(store) == missing
    assert _is_whole(store)


def test_without_room_and_beside_a_reader_of_all_rows_are_kept_and_it_is_said(
    store: Store, feed: FeedId
) -> None:
    end = _last(store).end
    _give_out(store, end - 1)
    with store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM entry").one()
        with pytest.raises(TablesBusyError, match="pg_locks"):
            keep_room(store.engine, tries=1)
        assert _bring(store, feed, "item") == end
    keep_room(store.engine)
    assert _last(store).start > end
    assert _is_whole_but_for_a_gap(store)
    with store.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM v1_entry").scalar_one() == 1


def _is_whole_but_for_a_gap(store: Store) -> bool:
    there = _there(store)
    return all(there[table] == there["entry"] for table in OF_ENTRIES)


KILLED = """
import os, signal, sys
from sqlalchemy import event
from aggregator.store.dialect import open_engine
from aggregator.store.room import keep_room

url, moment, number = sys.argv[1:]
engine, attached = open_engine(url), []

def look(db, cursor, statement, *_):
    if "ATTACH" in statement:
        attached.append(statement)
        if len(attached) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

event.listen(engine, moment, look)
keep_room(engine)
"""


@pytest.mark.parametrize(
    ("moment", "number"),
    [("before_cursor_execute", 1), ("before_cursor_execute", 4), ("after_cursor_execute", 6)],
)
def test_a_killed_process_leaves_every_row_in_sight_and_the_next_one_finishes(
    store: Store, database: str, feed: FeedId, moment: str, number: int
) -> None:
    _bring(store, feed, "before")
    missing = _come_nearer(store)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, database, moment, str(number)], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    there = _there(store)
    assert sum(missing in there[table] for table in OF_ENTRIES) == number - 1
    assert missing not in there["entry"]
    _bring(store, feed, "after")
    keep_room(store.engine)
    assert _last(store) == missing
    assert _is_whole(store)
    with store.read() as db:
        named = db.exec_driver_sql(
            "SELECT entry.identity FROM entry JOIN signature ON entry_id = id JOIN entry_identity USING (entry_id) "
            "ORDER BY 1"
        )
        assert [row[0] for row in named] == ["after", "before"]


def test_rows_that_come_before_a_killed_process_was_made_up_for_are_kept_and_room_goes_on(
    store: Store, database: str, feed: FeedId
) -> None:
    missing = _come_nearer(store)
    subprocess.run(
        [sys.executable, "-c", KILLED, database, "before_cursor_execute", "6"], cwd=ROOT, check=False
    )
    _bring(store, feed, "early", missing.start + 1)
    keep_room(store.engine)
    there = _there(store)
    assert there["entry"][-1].start >= missing.end
    assert all(set(there["entry"]) <= set(there[table]) for table in OF_ENTRIES)
    with store.read() as db:
        assert db.exec_driver_sql("SELECT id FROM v1_entry").all() == [(missing.start + 1,)]


def test_those_who_write_meanwhile_are_refused_nothing(store: Store, feed: FeedId) -> None:
    """Also where there is hardly room left."""
    stop = threading.Event()

    def write(writer: int) -> int:
        number = 0
        while not stop.is_set():
            _bring(store, feed, f"{writer} {number}")
            number += 1
        return number

    with ThreadPoolExecutor(3) as threads:
        counts = [threads.submit(write, writer) for writer in range(3)]
        try:
            for left in (250_000, 120_000, 60_000, 2_000, 20, 0):
                _give_out(store, _last(store).end - left)
                keep_room(store.engine)
        finally:
            stop.set()
        brought = sum(count.result() for count in counts)
    with store.read() as db:
        kept = db.exec_driver_sql("SELECT count(*) FROM entry JOIN signature ON entry_id = id").scalar_one()
    assert kept == brought > 0
    assert _is_whole_but_for_a_gap(store)


def test_days_that_came_to_the_rest_are_brought_into_their_month(store: Store, feed: FeedId) -> None:
    today = datetime.now(UTC).toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    rows = "SELECT day, entries FROM activity ORDER BY day"
    with store.write() as db:
        for month in all_ranges(db)["activity"][1:]:
            db.exec_driver_sql(f"DROP TABLE {month.of('activity')}")
        columns = "feed_id, day, entries, again"
        for day in (today, today + 3):
            db.exec_driver_sql(f"INSERT INTO activity ({columns}) VALUES ({feed}, {day}, 7, 0)")
        before = db.exec_driver_sql(rows).all()
    keep_room(store.engine)
    with store.read() as db:
        assert db.exec_driver_sql(rows).all() == before
        assert db.exec_driver_sql("SELECT count(*) FROM activity_rest").scalar_one() == 0
        assert all_ranges(db)["activity"][-1].end >= today + room.MONTH


HASTY = """
import sys
from aggregator import cli, daemon
daemon.ROOM_SECONDS = 0.2
sys.exit(cli.main())
"""


@contextmanager
def _idle_daemon(program: Program) -> Iterator[subprocess.Popen[str]]:
    """One that writes nothing by itself, and whose timer for room has been told to hurry; it runs."""
    daemon = subprocess.Popen(
        [sys.executable, "-c", HASTY, "serve", "--no-poll", "--no-web"],
        cwd=program.folder,
        env=program.environment() | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stderr
        assert any("running" in line for line in daemon.stderr)
        yield daemon
    finally:
        daemon.kill()
        daemon.communicate()


def test_a_daemon_that_writes_nothing_keeps_room_for_others(program: Program, store: Store) -> None:
    with _idle_daemon(program):
        missing = _come_nearer(store)
        _wait(lambda: _last(store) == missing)
        _wait(lambda: _is_whole(store))
