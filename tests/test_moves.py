"""When a permanent redirect becomes a feed's address: late, and never by a slip."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aggregator.moves import LOST_AFTER, SIGHTINGS, after_answer, after_failure
from aggregator.types import NOT_MOVED, FeedState
from tests.states import new_state

OLD, NEW = "http://old.example/feed", "http://new.example/feed"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STATE = new_state(url=OLD)


def seen(state: FeedState, to: str, *hours: float) -> FeedState:
    for hour in hours:
        state = after_answer(state, to, NOW + timedelta(hours=hour))
    return state


def test_a_feed_moves_after_sightings_on_several_days() -> None:
    state = seen(STATE, NEW, 0, 24, 48)
    assert (state.address, state.move.to, state.move.sightings) == (OLD, NEW, SIGHTINGS - 1)
    assert seen(state, NEW, 72).address == NEW


def test_polls_within_a_day_count_once() -> None:
    assert seen(STATE, NEW, *(hour / 2 for hour in range(40))).move.sightings == 1


def test_a_poll_without_the_redirect_starts_the_count_again() -> None:
    state = seen(seen(STATE, NEW, 0, 24, 48), "", 60)
    assert state.move == NOT_MOVED
    assert seen(state, NEW, 72).address == OLD


def test_another_target_starts_the_count_again() -> None:
    state = seen(seen(STATE, NEW, 0, 24, 48), "http://else.example/feed", 72)
    assert (state.address, state.move.sightings) == (OLD, 1)


def test_the_step_up_to_tls_on_the_same_host_counts_at_once() -> None:
    assert seen(STATE, "https://old.example/feed/", 0).address == "https://old.example/feed/"
    assert seen(STATE, "https://new.example/feed", 0).address == OLD
    assert seen(new_state(url="https://old.example/feed"), "http://old.example/feed", 0).move.address == ""


def test_a_moved_feed_that_is_asked_at_its_new_address_stays_there() -> None:
    assert seen(seen(STATE, NEW, 0, 24, 48, 72), "", 96, 120).address == NEW


def test_a_moved_feed_can_move_on_and_back() -> None:
    moved = seen(STATE, NEW, 0, 24, 48, 72)
    assert seen(moved, "http://third.example/feed", 96, 120, 144, 168).address == "http://third.example/feed"
    assert seen(moved, OLD, 96).move == NOT_MOVED


def test_a_new_address_that_fails_again_and_again_is_given_up() -> None:
    moved = seen(STATE, NEW, 0, 24, 48, 72)
    assert after_failure(replace(moved, failures=LOST_AFTER - 1)).address == NEW
    assert after_failure(replace(moved, failures=LOST_AFTER)).move == NOT_MOVED
    assert after_failure(replace(STATE, failures=99)) == replace(STATE, failures=99)
