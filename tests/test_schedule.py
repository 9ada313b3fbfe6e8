"""What the schedule promises publishers (never too often) and readers (never too late)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import Settings, load_settings
from aggregator.schedule import (
    BACKOFF_CAP,
    DAY,
    FRESHNESS_CAP,
    NEVER,
    RETRY_AFTER_CAP,
    SKIP_CAP,
    after_failure,
    after_success,
    capped_waits,
    due_at_all,
    wants_whole,
)
from aggregator.types import NO_HINTS, NOT_MOVED, Failed, FailureKind, FeedHealth, FeedState, PollHints
from tests.states import new_state


def limits(interval: int, least: int, most: int) -> Settings:
    return load_settings({"interval": interval, "min_interval": least, "max_interval": most})


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIDDLE = 0.5  # the jitter that moves nothing
SETTINGS = limits(1800, 600, DAY)
TIMEOUT = Failed(FailureKind.TIMEOUT, "The server did not answer within 30 seconds.")
NEW = new_state(
    url="https://reader:secret@example.com/feed",
    title="Example",
    category="World/Europe",
    lang="en",
    etag='"1"',
    last_modified="yesterday",
    body_hash="abc",
    next_poll_at=NOW,
    move=replace(NOT_MOVED, to="https://example.com/new"),
)
KNOWN = replace(NEW, last_polled_at=NOW - timedelta(hours=1), last_success_at=NOW - timedelta(hours=1))

jitters = st.floats(0, 1, exclude_max=True)
settings = st.builds(
    lambda interval, low, more: limits(interval, low, low + more),
    st.integers(1, 3 * DAY),
    st.integers(0, DAY),
    st.integers(1, 10 * DAY),
)
states = st.builds(
    lambda interval, failures, known, health: replace(
        KNOWN if known else NEW, interval=interval, failures=failures, health=health
    ),
    st.integers(0, 20 * DAY),
    st.integers(0, 10_000),
    st.booleans(),
    st.sampled_from(FeedHealth),
)
kinds = st.sampled_from([kind for kind in FailureKind if kind is not FailureKind.GONE])


def wait_of(state: FeedState) -> float:
    return (state.next_poll_at - NOW).total_seconds()


@given(states, settings, jitters, st.integers(0, 500), st.none() | st.integers(-5, 10**12))
def test_a_poll_with_an_answer_is_followed_by_one_within_the_documented_limits(
    state: FeedState, chosen: Settings, jitter: float, news: int, freshness: int | None
) -> None:
    after = after_success(state, NOW, news, freshness, chosen, jitter)
    floor = max(chosen.min_interval, min(freshness or 0, FRESHNESS_CAP))
    assert floor <= wait_of(after) <= max(chosen.max_interval, floor * 1.1)
    assert max(1, chosen.min_interval) <= after.interval <= chosen.max_interval


@given(states, settings, jitters, kinds, st.none() | st.integers(-5, 10**12))
def test_a_failed_poll_is_followed_by_one_within_the_documented_limits(
    state: FeedState, chosen: Settings, jitter: float, kind: FailureKind, retry_after: int | None
) -> None:
    after = after_failure(state, Failed(kind, "It failed.", retry_after), NOW, chosen, jitter)
    floor = max(chosen.min_interval, min(retry_after or 0, RETRY_AFTER_CAP))
    assert floor <= wait_of(after) <= max(BACKOFF_CAP, chosen.max_interval, floor * 1.1)
    assert after.failures == state.failures + 1


@given(states, settings, jitters, st.integers(0, 3))
def test_a_poll_changes_nothing_of_what_the_feed_is(
    state: FeedState, chosen: Settings, jitter: float, news: int
) -> None:
    for after in (
        after_success(state, NOW, news, None, chosen, jitter),
        after_failure(state, TIMEOUT, NOW, chosen, jitter),
    ):
        kept = (
            "id",
            "url",
            "title",
            "category",
            "lang",
            "etag",
            "last_modified",
            "body_hash",
            "hints",
            "move",
        )
        assert [getattr(after, name) for name in kept] == [getattr(state, name) for name in kept]
        assert after.last_polled_at == NOW


def test_the_first_answer_starts_the_interval_although_all_is_new() -> None:
    assert after_success(replace(NEW, interval=99), NOW, 40, None, SETTINGS, MIDDLE).interval == 1800


def test_news_halves_the_interval_and_its_absence_lets_it_grow_slowly() -> None:
    assert after_success(KNOWN, NOW, 3, None, SETTINGS, MIDDLE).interval == 900
    assert after_success(KNOWN, NOW, 0, None, SETTINGS, MIDDLE).interval == 2160


def test_the_smallest_interval_still_grows() -> None:
    quick = limits(1, 0, 10)
    state = replace(KNOWN, interval=1)
    for _ in range(10):
        state = after_success(state, NOW, 0, None, quick, MIDDLE)
    assert state.interval == 10


def test_the_interval_settles_where_one_poll_in_five_brings_news() -> None:
    random, state, next_item, gap = Random(7), KNOWN, NOW, timedelta(hours=10)
    now, polls_with_news = NOW, 0
    for _ in range(4000):
        now = state.next_poll_at
        news = 0
        while next_item <= now:
            news += 1
            next_item += gap * random.expovariate(1)
        polls_with_news += news > 0
        state = after_success(state, now, news, None, SETTINGS, random.random())
    assert polls_with_news / 4000 == pytest.approx(0.208, abs=0.01)


def test_a_feed_that_calls_itself_fresh_is_left_alone_for_so_long() -> None:
    for jitter in (0, 0.999):
        assert 7200 <= wait_of(after_success(KNOWN, NOW, 1, 7200, SETTINGS, jitter)) <= 7920


def test_a_feed_that_calls_itself_fresh_for_a_year_is_asked_after_a_day() -> None:
    assert wait_of(after_success(KNOWN, NOW, 1, 365 * DAY, SETTINGS, 0)) == DAY


def test_an_answer_ends_all_trouble() -> None:
    failing = replace(
        KNOWN,
        health=FeedHealth.FAILING,
        failures=7,
        problem="It failed.",
        retry_at=NOW,
    )
    after = after_success(failing, NOW, 0, None, SETTINGS, MIDDLE)
    assert (after.health, after.failures, after.problem, after.retry_at) == (FeedHealth.OK, 0, "", None)
    assert after.last_success_at == NOW


def test_feeds_polled_at_once_drift_apart() -> None:
    jitters = [number / 100 for number in range(100)]
    for state, chosen in (
        (KNOWN, SETTINGS),
        (replace(KNOWN, interval=1), SETTINGS),  # at MIN_INTERVAL
        (replace(KNOWN, interval=2 * DAY), SETTINGS),  # at MAX_INTERVAL
    ):
        waits = [wait_of(after_success(state, NOW, 0, None, chosen, jitter)) for jitter in jitters]
        assert len(set(waits)) == 100
        assert max(waits) - min(waits) >= 0.09 * min(waits)


def test_waiting_doubles_with_each_failure_up_to_a_day() -> None:
    state, waits = KNOWN, []
    for _ in range(9):
        state = after_failure(state, TIMEOUT, NOW, SETTINGS, MIDDLE)
        waits.append(wait_of(state))
    assert waits[:6] == [1800, 3600, 7200, 14400, 28800, 57600]
    assert all(0.9 * DAY <= wait <= DAY for wait in waits[6:])


def test_the_first_failure_already_shows_in_the_feeds_health() -> None:
    after = after_failure(KNOWN, TIMEOUT, NOW, SETTINGS, MIDDLE)
    assert (after.health, after.failures, after.problem) == (FeedHealth.FAILING, 1, TIMEOUT.detail)
    assert after.last_success_at == KNOWN.last_success_at


def test_retry_after_lengthens_the_wait_and_is_remembered() -> None:
    busy = Failed(FailureKind.THROTTLED, "The server asks for a pause.", 3 * DAY)
    after = after_failure(KNOWN, busy, NOW, SETTINGS, 0)
    assert after.next_poll_at == after.retry_at == NOW + timedelta(days=3)


def test_a_short_retry_after_does_not_shorten_the_wait() -> None:
    after = after_failure(KNOWN, Failed(FailureKind.HTTP, "503.", 5), NOW, SETTINGS, MIDDLE)
    assert wait_of(after) == 1800
    assert after.retry_at == NOW + timedelta(seconds=5)


def test_a_retry_after_of_years_is_cut_to_a_week() -> None:
    after = after_failure(KNOWN, Failed(FailureKind.HTTP, "503.", 10**15), NOW, SETTINGS, 0)
    assert after.next_poll_at == after.retry_at == NOW + timedelta(days=7)


def test_a_server_that_is_asked_too_often_is_asked_half_as_often_from_then_on() -> None:
    after = after_failure(KNOWN, Failed(FailureKind.THROTTLED, "Too many."), NOW, SETTINGS, MIDDLE)
    assert after.interval == 3600
    assert after_failure(KNOWN, TIMEOUT, NOW, SETTINGS, MIDDLE).interval == 1800


def test_a_gone_feed_is_never_polled_again() -> None:
    after = after_failure(KNOWN, Failed(FailureKind.GONE, "The feed is gone."), NOW, SETTINGS, MIDDLE)
    assert (after.health, after.next_poll_at) == (FeedHealth.GONE, NEVER)
    assert not due_at_all(after, NOW + timedelta(days=3650), SETTINGS)


def test_a_feed_paused_during_its_poll_stays_paused() -> None:
    paused = replace(KNOWN, health=FeedHealth.PAUSED)
    assert after_success(paused, NOW, 1, None, SETTINGS, MIDDLE).health is FeedHealth.PAUSED
    assert after_failure(paused, TIMEOUT, NOW, SETTINGS, MIDDLE).health is FeedHealth.PAUSED
    assert not due_at_all(paused, NOW + timedelta(days=9), SETTINGS)


def test_poll_all_overrides_freshness_and_backoff_but_not_min_interval() -> None:
    fresh = after_success(KNOWN, NOW, 0, DAY, SETTINGS, MIDDLE)
    failing = after_failure(replace(KNOWN, failures=9), TIMEOUT, NOW, SETTINGS, MIDDLE)
    for state in (fresh, failing):
        assert not due_at_all(state, NOW + timedelta(seconds=599), SETTINGS)
        assert due_at_all(state, NOW + timedelta(seconds=600), SETTINGS)


def test_poll_all_asks_a_new_feed_at_once() -> None:
    assert due_at_all(NEW, NOW, SETTINGS)


def test_poll_all_waits_for_retry_after() -> None:
    state = after_failure(KNOWN, Failed(FailureKind.HTTP, "503.", 7200), NOW, SETTINGS, MIDDLE)
    assert not due_at_all(state, NOW + timedelta(seconds=7199), SETTINGS)
    assert due_at_all(state, NOW + timedelta(seconds=7200), SETTINGS)


# ---- what the feed itself asks for -----------------------------------------------------------------


def hinted(ttl: int | None = None, hours: tuple[int, ...] = (), days: tuple[int, ...] = ()) -> FeedState:
    return replace(KNOWN, hints=PollHints(ttl, frozenset(hours), frozenset(days)))


def test_the_longer_of_ttl_and_max_age_is_waited_for() -> None:
    assert wait_of(after_success(hinted(7200), NOW, 1, None, SETTINGS, 0)) == 7200
    assert wait_of(after_success(hinted(7200), NOW, 1, 9000, SETTINGS, 0)) == 9000
    assert wait_of(after_success(hinted(7200), NOW, 1, 60, SETTINGS, 0)) == 7200


def test_skipped_hours_are_waited_out_and_their_end_is_no_rush_hour() -> None:
    state = hinted(hours=(12, 13, 14))  # NOW is noon
    ends = [after_success(state, NOW, 1, None, SETTINGS, jitter).next_poll_at for jitter in (0, 0.5, 0.99)]
    assert ends[0] == NOW.replace(hour=15)
    assert len({end.minute for end in ends}) == len(ends)
    assert {end.hour for end in ends} == {15}


def test_skipped_days_are_waited_out() -> None:
    after = after_success(hinted(days=(NOW.weekday(),)), NOW, 0, None, SETTINGS, 0)
    assert after.next_poll_at == (NOW + timedelta(days=1)).replace(hour=0)


def test_a_feed_that_skips_the_whole_week_is_asked_all_the_same() -> None:
    for state in (hinted(hours=tuple(range(24))), hinted(days=tuple(range(7)))):
        assert wait_of(after_success(state, NOW, 1, None, SETTINGS, MIDDLE)) <= SKIP_CAP + 1800
        assert [words for words in capped_waits(state, None, None) if "skips" in words]


@given(
    st.builds(
        hinted, st.none() | st.integers(1, 10**9), st.tuples(st.integers(0, 23)), st.tuples(st.integers(0, 6))
    ),
    st.none() | st.integers(0, 2**31),
    jitters,
)
def test_no_wish_of_a_feed_keeps_it_waiting_beyond_the_documented_limits(
    state: FeedState, max_age: int | None, jitter: float
) -> None:
    wait = wait_of(after_success(state, NOW, 0, max_age, SETTINGS, jitter))
    assert 600 <= wait <= 1.1 * FRESHNESS_CAP + SKIP_CAP + 1800


def test_a_wish_that_is_capped_is_told_in_a_sentence() -> None:
    assert list(capped_waits(KNOWN, DAY, 7 * DAY)) == []
    assert list(capped_waits(KNOWN, 365 * DAY, None)) == [
        "asks to be left alone for 365 days: it is asked again after 1 day"
    ]
    assert list(capped_waits(KNOWN, None, 70 * DAY)) == ["asks for a pause of 70 days: it gets 7 days"]


def test_a_refusal_that_calls_itself_fresh_is_not_asked_for_again_before() -> None:
    refused = Failed(FailureKind.THROTTLED, "429.", retry_after=60, max_age=20_000)
    assert wait_of(after_failure(KNOWN, refused, NOW, SETTINGS, 0)) == 20_000
    assert wait_of(after_failure(KNOWN, replace(refused, retry_after=30_000), NOW, SETTINGS, 0)) == 30_000
    assert wait_of(after_failure(KNOWN, replace(refused, max_age=10**9), NOW, SETTINGS, 0)) == DAY


def test_a_feed_is_wanted_whole_once_a_week() -> None:
    assert not wants_whole(KNOWN, NOW)
    assert not wants_whole(replace(KNOWN, whole_at=NOW - timedelta(days=6, hours=23)), NOW)
    assert wants_whole(replace(KNOWN, whole_at=NOW - timedelta(days=7)), NOW)
    assert KNOWN.hints == NO_HINTS


def test_an_interval_of_the_list_stays_whatever_comes_and_however_long() -> None:
    slow = replace(KNOWN, set_interval=3 * DAY)
    for news in (0, 5):
        later = after_success(slow, NOW, news, None, SETTINGS, MIDDLE)
        assert later.next_poll_at - NOW == timedelta(days=3) * 0.95  # moved, but never beyond
    quick = replace(KNOWN, set_interval=60)
    assert after_success(quick, NOW, 1, None, SETTINGS, MIDDLE).interval == SETTINGS.min_interval
