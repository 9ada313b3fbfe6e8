"""Polite turns: no host gets more connections or closer starts than the settings say, and none is forgotten."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import Settings, load_settings
from aggregator.fetch import HostQueue, registrable_domain
from aggregator.fetch.hosts import LARGE_BODIES, OCCUPIED, Turns
from aggregator.types import FeedId, FeedState
from tests.states import new_state

START = datetime(2026, 1, 1, tzinfo=UTC)
STATE = new_state(next_poll_at=START)


def feed(number: int, host: str, age: int = 0) -> FeedState:
    """A feed that has been due for `age` minutes."""
    due_at = START - timedelta(minutes=age)
    return replace(STATE, id=FeedId(number), url=f"https://{host}/{number}", next_poll_at=due_at)


def settings(connections: int, delay: float) -> Settings:
    return load_settings({"host_connections": connections, "host_delay": delay})


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.news.example.co.uk", "example.co.uk"),
        ("Feeds.EXAMPLE.com.", "example.com"),
        ("example.com", "example.com"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("a.b.xn--p1ai", "b.xn--p1ai"),
        ("", ""),
    ],
)
def test_hosts_of_one_owner_share_a_registrable_domain(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


def test_starts_at_one_domain_are_spaced() -> None:
    clock = Clock()
    queue = HostQueue(
        [feed(number, f"www{number}.example.com") for number in range(3)], settings(9, 1.0), clock
    )
    first = queue.take()
    clock.now += 1.0
    second = queue.take()
    clock.now += 1.0
    third = queue.take()
    queue.finish()
    assert [each and each.id for each in (first, second, third, queue.take())] == [0, 1, 2, None]


def test_a_domain_that_rests_keeps_nobody_else_waiting() -> None:
    feeds = [feed(1, "a.example", age=9), feed(2, "a.example", age=8), feed(3, "b.example", age=1)]
    turns = Turns(connections=9, delay=1.0)
    turns.add(feeds, 0.0)
    assert [taken and taken.id for taken in (turns.take(0.0), turns.take(0.0), turns.take(0.5))] == [
        1,
        3,
        None,
    ]
    assert turns.next_start() == 1.0
    assert turns.take(1.0) == feeds[1]


def test_the_feed_that_has_been_due_longest_comes_first() -> None:
    feeds = [feed(number, f"{number % 4}.example", age=number * 7 % 10) for number in range(10)]
    turns = Turns(connections=9, delay=0)
    turns.add(feeds, 0.0)
    taken = [turns.take(0.0) for _ in feeds]
    assert taken == sorted(feeds, key=lambda each: each.next_poll_at)


def test_no_domain_gets_more_connections_than_allowed() -> None:
    feeds = [feed(number, "a.example") for number in range(3)]
    turns = Turns(connections=2, delay=0)
    turns.add(feeds, 0.0)
    assert [turns.take(0.0), turns.take(0.0), turns.take(0.0)] == [feeds[0], feeds[1], None]
    assert turns.next_start() is None
    turns.done(feeds[1], 0.0)
    assert turns.take(0.0) == feeds[2]


def test_a_feed_that_waits_or_is_under_way_is_not_queued_twice() -> None:
    one = feed(1, "a.example")
    queue = HostQueue([one, one], settings(9, 0))
    queue.add([one])
    assert queue.take() == one
    queue.add([one])
    queue.done(one)
    queue.done(one)
    queue.add([one])
    assert queue.take() == one
    queue.finish()
    assert queue.take() is None


def test_a_stopped_queue_hands_out_nothing() -> None:
    queue = HostQueue([feed(1, "a.example")], settings(1, 0))
    queue.stop()
    assert queue.take() is None


def test_an_address_that_is_no_url_gets_its_turn_as_well() -> None:
    broken = replace(STATE, id=FeedId(1), url="http://[::1/feed")
    queue = HostQueue([broken], settings(1, 0))
    assert queue.take() == broken


def test_waiting_threads_wake_up_for_more_and_for_the_end() -> None:
    queue = HostQueue((), settings(1, 0.01))
    taken: list[FeedState] = []

    def work() -> None:
        while (state := queue.take()) is not None:
            taken.append(state)
            queue.done(state)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    feeds = [feed(number, f"{number % 5}.example") for number in range(20)]
    for state in feeds:
        queue.add([state])
    queue.finish()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
    assert {state.id for state in taken} == {state.id for state in feeds}


def test_a_stop_wakes_every_waiting_thread() -> None:
    queue = HostQueue([feed(1, "a.example"), feed(2, "a.example")], settings(1, 60))
    threads = [threading.Thread(target=queue.take) for _ in range(4)]
    for thread in threads:
        thread.start()
    queue.stop()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


# All times are sums of eighths, which floating point holds exactly.
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=40),
    st.integers(1, 3),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.lists(st.sampled_from([0.0, 0.125, 1.0, 1.5, 2.5, 4.0]), min_size=1, max_size=10),
)
def test_every_feed_is_taken_once_and_every_promise_is_kept(
    feeds: Sequence[tuple[int, int]], connections: int, delay: float, lengths: Sequence[float]
) -> None:
    states = [feed(number, f"{host}.example", age) for number, (host, age) in enumerate(feeds)]
    turns = Turns(connections, delay)
    turns.add(states[::2], 0.0)
    now = 0.0
    taken: list[FeedState] = []
    starts: dict[str, list[float]] = defaultdict(list)
    running: list[tuple[float, int, FeedState]] = []
    for step in range(10_000):
        if step == 5:
            turns.add(states[1::2], now)
        if (state := turns.take(now)) is not None:
            taken.append(state)
            host = state.url.split("/")[2]
            starts[host].append(now)
            heappush(running, (now + lengths[state.id % len(lengths)], state.id, state))
            assert sum(host == other.url.split("/")[2] for _, _, other in running) <= connections
            continue
        next_start = turns.next_start()
        if running and (next_start is None or running[0][0] <= next_start):
            ends_at, _, state = heappop(running)
            now = max(now, ends_at)
            turns.done(state, now)
        elif next_start is not None:
            assert next_start > now
            now = next_start
        elif step > 5:
            break
    assert sorted(state.id for state in taken) == list(range(len(states)))
    assert turns.waiting == 0
    for times in starts.values():
        assert all(later - earlier >= delay for earlier, later in pairwise(times))


def test_a_hundred_thousand_feeds_take_no_time() -> None:
    states = [feed(number, f"h{number % 20_000}.example", number % 977) for number in range(100_000)]
    turns = Turns(connections=2, delay=1.0)
    begun = time.process_time()
    turns.add(states, 0.0)
    now, left = 0.0, len(states)
    while left:
        state = turns.take(now)
        if state is None:
            next_start = turns.next_start()
            assert next_start is not None
            now = next_start
            continue
        turns.done(state, now)
        left -= 1
    assert now == 4.0
    assert time.process_time() - begun < 10


# ---- what a feed under way may ask for -------------------------------------------------------------


def test_a_redirect_waits_for_a_place_at_the_host_it_leads_to() -> None:
    turns = Turns(1, 5.0)
    here, there, late = feed(1, "here.example"), feed(2, "there.example"), feed(3, "there.example")
    turns.add([here, there, late], 100.0)
    assert [turns.take(100.0), turns.take(100.0)] == [here, there]
    assert turns.go_on(here, "http://there.example/x", 101.0) == OCCUPIED
    turns.done(there, 102.0)
    assert turns.go_on(here, "http://there.example/x", 102.0) == 3.0
    assert turns.go_on(here, "http://there.example/x", 105.0) is None
    assert turns.take(110.0) is None
    turns.done(here, 111.0)
    assert turns.take(111.0) == late


def test_a_redirect_frees_the_place_it_came_from() -> None:
    turns = Turns(1, 0.0)
    first, second = feed(1, "here.example"), feed(2, "here.example")
    turns.add([first, second], 100.0)
    assert turns.take(100.0) == first
    assert turns.take(100.0) is None
    assert turns.go_on(first, "http://there.example/x", 100.0) is None
    assert turns.take(100.0) == second


def test_a_redirect_within_a_domain_keeps_its_place() -> None:
    turns = Turns(1, 9.0)
    first = feed(1, "a.here.example")
    turns.add([first], 100.0)
    turns.take(100.0)
    assert turns.go_on(first, "http://b.here.example/x", 100.0) is None


def test_few_feeds_hold_a_large_body_at_once() -> None:
    feeds = [feed(number, f"h{number}.example") for number in range(LARGE_BODIES + 1)]
    queue = HostQueue(feeds, settings(1, 0))
    taken = [queue.take() for _ in feeds]
    *first, last = [state for state in taken if state]
    for state in first:
        queue.hold_large(state)
        queue.hold_large(state)  # the same feed again costs nothing
    holding = threading.Thread(target=queue.hold_large, args=(last,))
    holding.start()
    holding.join(0.05)
    assert holding.is_alive()
    queue.done(first[0])
    holding.join(5)
    assert not holding.is_alive()
