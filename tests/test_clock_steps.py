"""A clock that is set while feeds are asked: each still waits as long as it should, wherever its poll just was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from aggregator.fetch.exchange import FREE
from aggregator.pipeline.clock import Clock
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.reports import Result
from aggregator.pipeline.stepping import follow_clock
from aggregator.store import Store
from aggregator.store.clocks import doubt_future
from aggregator.types import Fetched, NormalisedFeed, Seen
from aggregator.workers import ParserPool
from tests.loopback import Answer, LoopbackServer, Reply, Request
from tests.stage import FEED, Collected, Stage, ok, said

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60
SET = pytest.mark.parametrize("hours", [6, -6, 24, -24])


@pytest.fixture(scope="module")
def parsers() -> Iterator[ParserPool]:
    pool = ParserPool(1)
    yield pool
    pool.close()


@pytest.fixture
def stage(store: Store, loopback: LoopbackServer, parsers: ParserPool, tmp_path: Path) -> Stage:
    return Stage(store, loopback, parsers, tmp_path, Collected())


def _follow(poller: Poller) -> None:
    assert follow_clock(poller.clock, poller.store, poller.worker)


def _waits_as_ever(stage: Stage) -> bool:
    """Whether the one feed, asked just now, waits for its interval, give or take a tenth."""
    interval = stage.settings.interval
    return stage.state.last_polled_at == stage.now and 0.9 * interval <= stage.wait <= 1.1 * interval


# ---- the poll, wherever it is -----------------------------------------------------------------------


@SET
def test_a_feed_asked_before_anybody_noticed_that_the_clock_was_set_waits_as_ever(
    stage: Stage, hours: int
) -> None:
    stage.serve(ok())
    stage.subscribe(stage.server.url("/feed"))
    with stage.poller() as poller:
        stage.set_clock(hours=hours)
        assert poller.poll(stage.state, FREE).result is Result.OK
        _follow(poller)
    assert _waits_as_ever(stage)


@SET
@pytest.mark.parametrize("answer", [ok(), said(304), said(500)], ids=["news", "nothing", "failure"])
def test_a_feed_under_way_while_the_clock_is_set_waits_as_ever(
    stage: Stage, hours: int, answer: Reply
) -> None:
    stage.serve(ok(etag='"1"'))
    stage.poll()
    with stage.poller() as poller:

        def set_clock(_request: Request) -> Answer:
            stage.set_clock(hours=hours)
            _follow(poller)
            return answer

        stage.serve(set_clock)
        stage.now += timedelta(days=1)
        poller.poll(stage.state, FREE)
    state = stage.state
    assert state.last_polled_at == stage.now
    assert 0.9 * state.interval <= stage.wait <= 1.1 * state.interval
    if answer.status == 500:
        assert state.last_success_at == stage.now - timedelta(days=1)


@dataclass(frozen=True)
class Interrupted:
    """Parsers while whose work something happens."""

    parsers: ParserPool
    happens: Callable[[], None]

    def read(self, fetched: Fetched, now: datetime, seen: Seen | None) -> NormalisedFeed:
        """As theirs."""
        self.happens()
        found = self.parsers.read(fetched, now, seen)
        assert isinstance(found, NormalisedFeed)
        return found


@SET
def test_a_feed_that_is_read_while_the_clock_is_set_waits_as_ever(stage: Stage, hours: int) -> None:
    stage.serve(ok())
    stage.subscribe(stage.server.url("/feed"))
    with stage.poller() as plain:

        def set_clock() -> None:
            stage.set_clock(hours=hours)
            _follow(plain)

        poller = replace(plain, parsers=cast("ParserPool", Interrupted(stage.parsers, set_clock)))
        assert poller.poll(stage.state, FREE).new == 2
    assert _waits_as_ever(stage)


def test_a_pass_goes_on_by_a_clock_that_is_set_meanwhile(stage: Stage) -> None:
    def set_clock(_request: Request) -> Answer:
        stage.set_clock(hours=-6)
        return ok(FEED)

    stage.serve(set_clock)
    assert stage.poll().result is Result.OK
    assert _waits_as_ever(stage)


def test_a_feed_that_was_never_asked_does_not_wait_for_the_time_at_which_a_wrong_clock_listed_it(
    stage: Stage,
) -> None:
    stage.subscribe(stage.server.url("/feed"))
    stage.set_clock(days=-400)
    with stage.store.write() as db:
        doubt_future(db, stage.now)
    assert stage.wait == 0


# ---- the clock --------------------------------------------------------------------------------------


class Machine:
    """A clock that can be set, and the seconds that the machine has run."""

    def __init__(self) -> None:
        self.now = NOW
        self.ran = 1000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.ran)


def _nothing(_step: timedelta, _now: datetime) -> None:
    """What a clock is followed with where nothing was written."""


def test_until_a_step_is_followed_the_clock_goes_on_as_if_there_was_none() -> None:
    machine = Machine()
    clock = machine.clock()
    before = clock.moment()
    machine.now += timedelta(hours=6, seconds=60)
    machine.ran += 60
    assert clock.now() == NOW + timedelta(seconds=60)
    clock.follow(_nothing)
    assert clock.now() == machine.now
    assert clock.moment().set_since(before) == timedelta(hours=6)


def test_a_clock_that_is_held_is_not_set() -> None:
    machine = Machine()
    clock = machine.clock()
    done: list[str] = []
    with ThreadPoolExecutor() as threads:
        with clock.held() as held:
            machine.now += timedelta(hours=6)
            following = threads.submit(clock.follow, lambda _step, _now: done.append("set"))
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not clock._is_setting:
                assert time.monotonic() < deadline
            assert held.at == clock.now() == NOW
            done.append("written")
        assert following.result(PATIENCE_SECONDS) == timedelta(hours=6)
    assert done == ["written", "set"]


def test_a_step_that_could_not_be_kept_is_followed_next_time() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.now += timedelta(hours=6)

    def fail(_step: timedelta, _now: datetime) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        clock.follow(fail)
    assert clock.now() == NOW
    told = []
    assert clock.follow(lambda step, now: told.append((step, now)))
    assert told == [(timedelta(hours=6), NOW + timedelta(hours=6))]
