"""The change log, read by cursor while several write: nothing is passed over, and listeners are woken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random

import psycopg
import pytest

from aggregator.store import Store, open_store
from aggregator.store.events import add_changes, create_events
from aggregator.store.listing import list_changes
from aggregator.types import ChangeKind, EventId
from tests.pages import ENTRIES, bring

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60
WRITERS, TRANSACTIONS = 4, 25


def _event(store: Store) -> EventId:
    with store.write() as db:
        return create_events(db, 1, NOW)[0]


def _read(store: Store, after: int) -> list[int]:
    with store.read() as db:
        return [change.cursor for change in list_changes(db, after, 10_000)]


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_a_change_that_is_committed_late_is_not_passed_over(store: Store) -> None:
    event = _event(store)
    seen: list[int] = []
    has_written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with store.write() as db:
            add_changes(db, [(event, ChangeKind.UPDATED, None)], NOW)
            has_written.set()
            assert may_commit.wait(PATIENCE_SECONDS)

    def quick() -> None:
        with store.write() as db:
            add_changes(db, [(event, ChangeKind.UPDATED, None)], NOW)

    with ThreadPoolExecutor() as threads:
        first = threads.submit(slow)
        assert has_written.wait(PATIENCE_SECONDS)
        second = threads.submit(quick)
        # Long enough for the second to commit, if it could; a reader that follows meanwhile.
        for _ in range(20):
            seen += _read(store, max(seen, default=0))
            time.sleep(0.02)
        may_commit.set()
        first.result(PATIENCE_SECONDS)
        second.result(PATIENCE_SECONDS)
    seen += _read(store, max(seen, default=0))
    assert seen == _read(store, 0)
    assert len(seen) == 2


def test_with_four_writers_a_reader_meets_every_change_once_and_in_order(database: str) -> None:
    stores = [open_store(database) for _ in range(WRITERS + 1)]
    event = _event(stores[0])
    start = threading.Barrier(WRITERS + 1)
    left = threading.Semaphore(0)

    def write(number: int) -> None:
        chance = Random(number)
        start.wait()
        for _ in range(TRANSACTIONS):
            with stores[number].write() as db:
                for _ in range(chance.randint(1, 3)):
                    add_changes(db, [(event, ChangeKind.UPDATED, None)] * chance.randint(1, 3), NOW)
                    time.sleep(chance.uniform(0, 0.003))
        left.release()

    seen: list[int] = []
    with ThreadPoolExecutor() as threads:
        writing = [threads.submit(write, number) for number in range(WRITERS)]
        start.wait()
        while not all(one.done() for one in writing):
            seen += _read(stores[-1], seen[-1] if seen else 0)
        for one in writing:
            one.result()
    seen += _read(stores[-1], seen[-1] if seen else 0)
    assert seen == _read(stores[-1], 0)
    assert len(seen) >= WRITERS * TRANSACTIONS
    for opened in stores:
        opened.close()


@pytest.mark.postgresql("SQLite has no NOTIFY")
def test_listeners_are_woken_by_the_commit_once_and_not_before(store: Store, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("LISTEN v1_change")
        bring(store, ENTRIES)
        assert next(listener.notifies(timeout=PATIENCE_SECONDS, stop_after=1)).channel == "v1_change"
        known = listener.execute("SELECT max(cursor) FROM v1_change").fetchone()
        assert known is not None
        assert known[0] > 0
        for _ in listener.notifies(timeout=0.2):
            continue
        event = _event(store)
        with store.write() as db:
            add_changes(db, [(event, ChangeKind.CREATED, None), (event, ChangeKind.UPDATED, None)], NOW)
            add_changes(db, [(event, ChangeKind.UPDATED, None)], NOW)
            assert list(listener.notifies(timeout=0.2)) == []
        assert len(list(listener.notifies(timeout=1))) == 1
        with pytest.raises(ZeroDivisionError), store.write() as db:  # noqa: PT012 (written, then given up)
            add_changes(db, [(event, ChangeKind.UPDATED, None)], NOW)
            raise ZeroDivisionError
        assert list(listener.notifies(timeout=0.2)) == []
