"""Several processes that poll one PostgreSQL: feeds are shared out, hosts are spared, nobody writes for another."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import Settings, load_settings
from aggregator.daemon import DueFeeds
from aggregator.fetch import HostQueue
from aggregator.fetch.exchange import FREE
from aggregator.pipeline.clock import Clock, running, utc_now
from aggregator.pipeline.poll import PollWorkers, open_poller
from aggregator.pipeline.reports import Result
from aggregator.store import Store
from aggregator.store.feeds import (
    LEASE,
    StaleLeaseError,
    claim_feed,
    due_feeds,
    end_leases,
    lease_feeds,
    listed_feeds,
    renew_leases,
)
from aggregator.store.hosts import HostBusyError, leave_host, take_turn
from aggregator.store.syncing import sync_feeds
from aggregator.types import Feed, FeedId
from tests.forks import start
from tests.loopback import LoopbackServer, Request
from tests.program import environment, run
from tests.stage import item, ok, rss

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE_SECONDS = 90
SETTINGS = load_settings({"allow_addresses": "127.0.0.1", "host_delay": 0, "host_connections": 8})


SEVERAL = pytest.mark.postgresql("one process polls an SQLite database")


def _list(store: Store, urls: Sequence[str], now: datetime = NOW, settings: Settings = SETTINGS) -> None:
    with store.write() as db:
        sync_feeds(db, [Feed(url, url, "", "") for url in urls], settings, now)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@contextmanager
def _workers(folder: Path, count: int, settings: dict[str, Any]) -> Iterator[None]:
    """So many daemons that only poll."""
    with ExitStack() as stack:
        for _ in range(count):
            daemon = start(folder, environment(folder, settings), "serve", "--no-cluster", "--no-web")
            stack.callback(daemon.wait)
            stack.callback(daemon.kill)
        yield


def _polled(store: Store) -> int:
    with store.read() as db:
        return sum(state.last_success_at is not None for state in listed_feeds(db))


def test_a_feed_is_leased_to_one_until_it_says_nothing_more_of_it(store: Store) -> None:
    _list(store, [f"https://paper{number}.example/" for number in range(3)])
    with store.write() as db:
        mine = lease_feeds(db, "one", NOW, 2)
        theirs = lease_feeds(db, "other", NOW, 9)
        assert (len(mine), len(theirs)) == (2, 1)
        assert due_feeds(db, NOW) == lease_feeds(db, "third", NOW, 9) == []
        renew_leases(db, "one", [state.id for state in (*mine, *theirs)], NOW + 2 * LEASE)
        assert [state.id for state in lease_feeds(db, "third", NOW + LEASE, 9)] == [theirs[0].id]
        renew_leases(db, "one", [mine[0].id], None)
        assert [state.id for state in lease_feeds(db, "third", NOW + LEASE, 9)] == [mine[0].id]
        with pytest.raises(StaleLeaseError):
            claim_feed(db, mine[0], "one", NOW + LEASE, SETTINGS)
        claimed = claim_feed(db, mine[1], "one", NOW + LEASE, SETTINGS)
        assert claimed.last_polled_at == NOW + LEASE
        with pytest.raises(StaleLeaseError):
            claim_feed(db, mine[1], "one", NOW + LEASE, SETTINGS)


@SEVERAL
def test_to_renew_leases_waits_for_nobody_who_is_just_writing_one_of_the_feeds(store: Store) -> None:
    """Two threads that renew the same feeds in another order wait for one another, and the poll of one is lost."""
    _list(store, [f"https://paper{number}.example/" for number in range(3)])
    with store.write() as db:
        leased = [state.id for state in lease_feeds(db, "one", NOW, 9)]
    later = NOW + 5 * LEASE
    with store.write() as one, store.write() as other:
        other.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        renew_leases(one, "one", leased[1:2], later)
        renew_leases(other, "one", leased, later)
        renew_leases(one, "one", leased, later)
    with store.write() as db:
        assert lease_feeds(db, "other", NOW + 2 * LEASE, 9) == []
        renew_leases(db, "one", leased, None)
        assert len(lease_feeds(db, "other", NOW + 2 * LEASE, 9)) == 3


@SEVERAL
def test_two_that_lease_in_the_same_moment_get_different_feeds_and_neither_waits(store: Store) -> None:
    _list(store, [f"https://paper{number}.example/" for number in range(4)])
    with store.write() as one, store.write() as other:
        first = lease_feeds(one, "one", NOW, 3)
        second = lease_feeds(other, "other", NOW, 3)
    assert (len(first), len(second)) == (3, 1)
    assert not {state.id for state in first} & {state.id for state in second}


def test_where_one_process_polls_its_forerunners_leases_end_at_its_start(store: Store) -> None:
    _list(store, ["https://paper.example/"])
    with store.write() as db:
        lease_feeds(db, "killed", NOW, 9)
        end_leases(db)
        is_alone = store.engine.dialect.name == "sqlite"
        assert len(due_feeds(db, NOW)) == is_alone


def test_a_feed_under_way_whose_lease_was_not_renewed_in_time_is_not_taken_from_oneself(store: Store) -> None:
    _list(store, ["https://paper.example/", "https://other.example/"], utc_now() - timedelta(hours=1))
    with open_poller(store, SETTINGS) as poller:
        with store.write() as db:
            (under_way,) = lease_feeds(db, poller.worker, utc_now() - 2 * LEASE, 1)
        queue = HostQueue([under_way], SETTINGS)
        workers = PollWorkers(poller, queue, 0)
        DueFeeds(poller, queue, workers).look()
        workers.stop(0)
    with store.read() as db:
        fences = {state.id: state.fence for state in listed_feeds(db)}
    assert fences == {under_way.id: under_way.fence, (set(fences) - {under_way.id}).pop(): 1}


def test_a_lease_that_ends_in_mid_fetch_writes_nothing(store: Store, loopback: LoopbackServer) -> None:
    _list(store, [loopback.url("/feed")], utc_now())
    later = timedelta(hours=2)
    with open_poller(store, SETTINGS) as one:
        other = replace(one, worker="other", clock=Clock(lambda: utc_now() + later, running))

        def take_over(_request: Request) -> Any:
            loopback.on("/feed", ok(rss(item("new")), etag='"new"'))
            with store.write() as db:
                (taken,) = lease_feeds(db, "other", other.clock.now(), 9)
            assert other.poll(taken, FREE).result is Result.OK
            return ok(rss(item("old")), etag='"old"')

        loopback.on("/feed", take_over)
        with store.write() as db:
            (leased,) = lease_feeds(db, one.worker, utc_now(), 9)
        assert one.poll(leased, FREE).result is Result.STALE
        one.give_up(leased, ValueError())
    with store.read() as db:
        (state,) = listed_feeds(db)
        entries = db.exec_driver_sql("SELECT title FROM v1_entry").scalars().all()
    assert (state.etag, state.problem, entries) == ('"new"', "", ["News of new"])
    assert len(loopback.asked("/feed")) == 2


@SEVERAL
def test_a_host_has_its_places_and_its_rest_for_all_processes_together(store: Store) -> None:
    _list(store, [f"https://paper.example/{number}" for number in range(4)])
    settings = load_settings({"host_connections": 2, "host_delay": 0})

    def take(feed: int, chosen: Settings = settings, host: str = "paper.example") -> None:
        with store.write() as db:
            take_turn(db, FeedId(feed), host, chosen)

    take(1)
    take(2)
    take(2)
    with pytest.raises(HostBusyError):
        take(3)
    take(3, host="other.example")
    with store.write() as db:
        leave_host(db, FeedId(1))
    take(3)
    with store.write() as db:
        leave_host(db, FeedId(2))
    resting = load_settings({"host_connections": 9, "host_delay": 60})
    take(4, resting)
    with pytest.raises(HostBusyError) as busy:
        take(2, resting)
    assert 50 < busy.value.seconds <= 60


@SEVERAL
def test_of_many_that_ask_at_once_no_more_get_a_place_than_there_are(store: Store) -> None:
    _list(store, [f"https://paper.example/{number}" for number in range(8)])
    settings = load_settings({"host_connections": 3, "host_delay": 0})
    start = threading.Barrier(8)

    def take(feed: int) -> bool:
        start.wait()
        try:
            with store.write() as db:
                take_turn(db, FeedId(feed), "paper.example", settings)
        except HostBusyError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(1, 9))) == 3


@SEVERAL
def test_eight_workers_ask_no_feed_twice_in_its_interval(
    store: Store, database: str, tmp_path: Path, loopback: LoopbackServer
) -> None:
    paths = [f"/{number}" for number in range(300)]
    for path in paths:
        loopback.on(path, ok(rss(item(path[1:]))))
    outlines = "".join(f"<outline xmlUrl='{loopback.url(path)}'/>" for path in paths)
    (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    settings = {"DATABASE": database, "MIN_INTERVAL": 600, "HOST_CONNECTIONS": 64, "FETCH_TIMEOUT": 60}
    with _workers(tmp_path, 8, settings):
        _wait(lambda: _polled(store) == len(paths))
        done = run(tmp_path, "poll", "--all", "--json", settings=settings)
    assert json.loads(done.stdout)["feeds_ok"] == 0
    assert set(Counter(request.path for request in loopback.requests).values()) == {1}
    with store.read() as db:
        assert db.exec_driver_sql("SELECT count(*), count(DISTINCT guid) FROM v1_entry").one() == (300, 300)


@SEVERAL
def test_workers_together_keep_to_the_limits_of_a_host(
    store: Store, database: str, tmp_path: Path, loopback: LoopbackServer
) -> None:
    under_way: set[str] = set()
    most: list[int] = []

    def slowly(request: Request) -> Any:
        under_way.add(request.path)
        most.append(len(under_way))
        time.sleep(0.3)
        under_way.discard(request.path)
        return ok(rss(item(request.path[1:])))

    paths = [f"/{number}" for number in range(16)]
    for path in paths:
        loopback.on(path, slowly)
    outlines = "".join(f"<outline xmlUrl='{loopback.url(path)}'/>" for path in paths)
    (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    settings = {"DATABASE": database, "HOST_CONNECTIONS": 2, "HOST_DELAY": 0.2, "MIN_INTERVAL": 600}
    with _workers(tmp_path, 3, settings):
        _wait(lambda: _polled(store) == len(paths))
    assert max(most) <= 2
    times = sorted(request.at for request in loopback.requests)
    assert len(times) == len(paths)
    assert times[-1] - times[0] >= 0.2 * (len(paths) - 2)
