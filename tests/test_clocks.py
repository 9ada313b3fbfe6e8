"""A clock that is set, forward or back, keeps nobody waiting and lets nobody be asked too soon."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from aggregator.config import load_settings
from aggregator.pipeline.clock import Clock
from aggregator.pipeline.outage import Outage
from aggregator.schedule import earliest
from aggregator.store import Store
from aggregator.store.clocks import doubt_future, move_times
from aggregator.store.feeds import LEASE, claim_feed, due_feeds, lease_feeds, listed_feeds
from aggregator.store.hosts import HostBusyError, take_turn
from aggregator.store.syncing import sync_feeds
from aggregator.timers import Pace, Timers
from aggregator.types import Feed, FeedId, FeedState
from tests.program import ROOT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = load_settings({"interval": 1800, "min_interval": 600, "host_delay": 5})
PATIENCE_SECONDS = 60


def _asked(store: Store, worker: str, now: datetime, count: int = 1) -> list[FeedState]:
    """So many feeds, all of which the worker asked at that time."""
    with store.write() as db:
        sync_feeds(db, [Feed(f"https://paper{n}.example/", "", "", "") for n in range(count)], SETTINGS, now)
        return [claim_feed(db, state, worker, now, SETTINGS) for state in lease_feeds(db, worker, now, count)]


def _feeds(store: Store) -> list[FeedState]:
    with store.read() as db:
        return listed_feeds(db)


# ---- noticing ---------------------------------------------------------------------------------------


class Machine:
    """A clock that can be set, and the seconds that the machine has run."""

    def __init__(self) -> None:
        self.now = NOW
        self.ran = 1000.0

    def run(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.ran += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.ran)


def _nothing(_step: timedelta, _now: datetime) -> None:
    """Nothing was written that would have to follow."""


def test_time_that_goes_by_is_no_step_and_neither_is_a_corrected_second() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.run(86_400)
    assert not clock.follow(_nothing)
    machine.now += timedelta(seconds=1)
    assert not clock.follow(_nothing)


@pytest.mark.parametrize("hours", [6, -6, 24 * 366, -24 * 366])
def test_a_step_is_told_once_and_to_the_second(hours: int) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.run(60)
    machine.now += timedelta(hours=hours)
    assert clock.follow(_nothing) == timedelta(hours=hours)
    machine.run(60)
    assert not clock.follow(_nothing)


# ---- the times of feeds -----------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [5, -5])
def test_after_a_step_each_feed_waits_for_as_long_as_it_would_have(store: Store, hours: int) -> None:
    _asked(store, "me", NOW)
    step = timedelta(hours=hours)
    now = NOW + timedelta(minutes=2) + step
    with store.write() as db:
        assert move_times(db, "me", step) == 1
    (feed,) = _feeds(store)
    assert feed.next_poll_at - now == timedelta(minutes=8)
    assert earliest(feed, SETTINGS) - now == timedelta(minutes=8)


@pytest.mark.postgresql("one machine uses an SQLite database")
def test_after_a_step_feeds_that_another_machine_asked_keep_their_times(store: Store) -> None:
    _asked(store, "other", NOW)
    with store.write() as db:
        assert move_times(db, "me", timedelta(hours=5)) == 0


def test_a_feed_asked_in_the_future_is_not_left_alone_until_then(store: Store) -> None:
    _asked(store, "me", NOW + timedelta(days=400), 2)
    with store.write() as db:
        assert doubt_future(db, NOW) == 2
    for feed in _feeds(store):
        assert feed.last_polled_at == NOW
        assert feed.next_poll_at == NOW + timedelta(seconds=SETTINGS.min_interval)


def test_clocks_of_two_machines_may_differ_by_seconds(store: Store) -> None:
    _asked(store, "me", NOW + timedelta(seconds=5))
    with store.write() as db:
        assert doubt_future(db, NOW) == 0


def test_a_dead_process_holds_no_feed_by_a_lease_from_the_future(store: Store) -> None:
    with store.write() as db:
        sync_feeds(db, [Feed("https://paper.example/", "", "", "")], SETTINGS, NOW)
        assert lease_feeds(db, "dead", NOW + timedelta(days=400), 1)
        doubt_future(db, NOW)
        assert not due_feeds(db, NOW)
        assert due_feeds(db, NOW + LEASE)


@pytest.mark.postgresql("turns at a host are kept for several processes alone")
def test_a_host_is_not_closed_until_the_future_when_the_servers_clock_goes_back(store: Store) -> None:
    (state,) = _asked(store, "me", NOW)
    with store.write() as db:
        take_turn(db, state.id, "paper.example", SETTINGS)
        for table, column in (("host_turn", "free_at"), ("host_place", "until")):
            db.exec_driver_sql(f"UPDATE {table} SET {column} = {column} + interval '400 days'")
    with pytest.raises(HostBusyError) as busy, store.write() as db:
        take_turn(db, FeedId(state.id + 1), "paper.example", SETTINGS)
    assert busy.value.seconds <= SETTINGS.host_delay


# ---- timers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 7, 20_000])
def test_a_timer_that_missed_any_number_of_turns_takes_one(days: int) -> None:
    assert Pace(1).get_next_fire_time(NOW - timedelta(days=days), NOW) == NOW + timedelta(seconds=1)


def test_timers_go_on_at_once_when_the_clock_was_set_back(store: Store) -> None:
    ran = threading.Event()
    timers = Timers(Outage(store))
    timers.add("job", ran.set, 1)
    timers.start()
    try:
        # What a clock that was set back leaves: the next turn is hours away.
        timers._scheduler.modify_job("job", next_run_time=datetime.now(UTC) + timedelta(hours=6))
        ran.clear()
        timers.keep_up()
        assert ran.wait(PATIENCE_SECONDS)
    finally:
        timers.stop()


def test_a_bug_ends_one_run_and_is_no_sign_of_life(store: Store) -> None:
    runs = threading.Semaphore(0)

    def break_down() -> None:
        runs.release()
        raise ZeroDivisionError

    timers = Timers(Outage(store))
    timers.add("job", break_down, 0.01)
    timers.start()
    try:
        for _ in range(3):
            assert runs.acquire(timeout=PATIENCE_SECONDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not timers.stuck(0, ["job"]):
            assert time.monotonic() < deadline
        assert not timers.stuck(PATIENCE_SECONDS, ["job"])
    finally:
        timers.stop()


# ---- time zones, leap days, daylight saving ---------------------------------------------------------

SCHEDULE = """
import sys
from dataclasses import replace
from datetime import datetime
from aggregator.config import load_settings
from aggregator.schedule import after_success
from aggregator.store import open_store
from aggregator.store.feeds import due_feeds, listed_feeds, write_state
from aggregator.store.syncing import sync_feeds
from aggregator.types import Feed, PollHints

settings = load_settings({"interval": 3600, "min_interval": 600})
hints = PollHints(None, frozenset({2}), frozenset())
for start in sys.argv[1:]:
    now = datetime.fromisoformat(start)
    store = open_store(f"sqlite:///{now:%Y-%m-%d}.db")
    with store.write() as db:
        sync_feeds(db, [Feed("https://paper.example/", "", "", "")], settings, now)
        for _ in range(30):
            (state,) = due_feeds(db, now)
            later = after_success(replace(state, hints=hints), now, 0, None, settings, 0.5)
            write_state(db, replace(later, interval=3600))
            (kept,) = listed_feeds(db)
            print(kept.next_poll_at.isoformat())
            now = kept.next_poll_at
    store.close()
"""

AROUND = ("2028-02-28T12:00:00+00:00", "2026-03-28T18:00:00+00:00", "2026-10-24T18:00:00+00:00")
"""Before a leap day, and before Europe's clocks change in spring and in autumn."""


def test_polls_follow_one_another_alike_in_every_time_zone_on_leap_days_and_when_clocks_change(
    tmp_path: Path,
) -> None:
    told = set()
    for zone in ("UTC", "Europe/Berlin", "Australia/Lord_Howe"):
        folder = tmp_path / zone.replace("/", "-")
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", SCHEDULE, *AROUND],
            cwd=folder,
            env=os.environ | {"TZ": zone, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1
    times = [datetime.fromisoformat(line) for line in told.pop().splitlines()]
    assert date(2028, 2, 29) in {at.date() for at in times}
    assert all(at.utcoffset() == timedelta() and at.hour != 2 for at in times)
    for start in range(0, len(times), 30):
        waits = {later - at for at, later in pairwise(times[start : start + 30])}
        assert max(waits) <= timedelta(hours=3)
        assert min(waits) >= timedelta(seconds=3600)
