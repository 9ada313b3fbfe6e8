"""When a feed is asked next: what is known of it, what its poll brought and the time give its new state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

from aggregator.config import Settings
from aggregator.types import Failed, FailureKind, FeedHealth, FeedState

DAY = 86_400

SHRINK = 0.5
GROW = 1.2
"""What a poll with news, and one without, make of the interval. It comes to rest where GROW and SHRINK balance,
ln 1.2 : ln 2, so when one poll in five brings news: for items at random times after a fifth to a quarter of the
mean gap between them. An item then waits about a sixth of that gap for its poll (simulated: 0.18), and a feed
that falls silent takes 22 polls over nearly six days to get from half an hour to a day."""

FRESHNESS_CAP = DAY
"""Seconds; a feed that calls itself fresh for longer (max-age of a year is a common slip) is asked anyway."""

BACKOFF_CAP = DAY
"""Seconds; a feed that has failed for long is still tried once a day, to notice that it is back."""

RETRY_AFTER_CAP = 7 * DAY
"""Seconds; a server may ask for a week's rest, and a slip of the pen there must not silence a feed for years."""

SPREAD = 0.1
"""Part of a wait by which it is moved, so that feeds that met once do not go on starting together."""

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The next poll of a feed that is gone."""


def after_success(  # noqa: PLR0913, PLR0917  the six things that the rule depends on
    state: FeedState,
    now: datetime,
    news: int,
    freshness: int | None,
    settings: Settings,
    jitter: float,
) -> FeedState:
    """The state after a poll that was answered, unchanged or not, with `news` items never seen before.

    The interval halves with news and grows by a fifth without, within MIN_INTERVAL and MAX_INTERVAL; the first
    answer starts it at INTERVAL, as all its items are new. `freshness` is the seconds for which the feed says it
    won't change (max-age, ttl; None = unstated): the next poll waits for them, at most a day, even beyond
    MAX_INTERVAL. `jitter`, in [0, 1), moves the poll by up to a tenth either way, but never under a limit.
    """
    if state.last_success_at is None:
        interval = float(settings.interval)
    elif news:
        interval = state.interval * SHRINK
    else:
        interval = state.interval * GROW
    held = _within_limits(ceil(interval), settings)
    floor = max(settings.min_interval, min(freshness or 0, FRESHNESS_CAP))
    return replace(
        state,
        health=_unless_paused(state, FeedHealth.OK),
        interval=held,
        failures=0,
        problem="",
        next_poll_at=now + _spread(held, settings.max_interval, floor, jitter),
        last_polled_at=now,
        last_success_at=now,
        retry_at=None,
    )


def after_failure(
    state: FeedState, failure: Failed, now: datetime, settings: Settings, jitter: float
) -> FeedState:
    """The state after a poll that failed: the feed is failing from the first time on, with `failure` as problem.

    The wait is the feed's interval and doubles with each further failure up to a day; Retry-After (RFC 9110,
    10.2.3), up to a week, can only lengthen it. A server that finds itself asked too often (429) is asked half as
    often from then on. A feed that is gone (410) is not polled again. `jitter` as in `after_success`.
    """
    throttled = failure.kind is FailureKind.THROTTLED
    interval = _within_limits(state.interval * (2 if throttled else 1), settings)
    failed = replace(
        state,
        health=_unless_paused(state, FeedHealth.FAILING),
        interval=interval,
        failures=state.failures + 1,
        problem=failure.detail,
        last_polled_at=now,
        retry_at=None,
    )
    if failure.kind is FailureKind.GONE:
        return replace(failed, health=FeedHealth.GONE, next_poll_at=NEVER)
    cap = max(BACKOFF_CAP, interval)
    backoff = min(interval * 2 ** min(state.failures, 32), cap)
    pause = min(max(failure.retry_after or 0, 0), RETRY_AFTER_CAP)
    wait = _spread(backoff, cap, max(settings.min_interval, pause), jitter)
    return replace(
        failed,
        next_poll_at=now + wait,
        retry_at=now + timedelta(seconds=pause) if pause else None,
    )


def due_at_all(state: FeedState, now: datetime, settings: Settings) -> bool:
    """Whether `poll --all` may ask this feed now, whatever its interval, backoff and freshness say.

    It may not within MIN_INTERVAL of the last poll, before a Retry-After has passed, or a feed gone or paused.
    """
    if state.health in (FeedHealth.GONE, FeedHealth.PAUSED):
        return False
    if state.retry_at is not None and now < state.retry_at:
        return False
    return state.last_polled_at is None or now >= state.last_polled_at + timedelta(
        seconds=settings.min_interval
    )


def _within_limits(interval: int, settings: Settings) -> int:
    return max(1, settings.min_interval, min(interval, settings.max_interval))


def _unless_paused(state: FeedState, health: FeedHealth) -> FeedHealth:
    """Paused by the operator while the poll was under way, a feed stays so."""
    return FeedHealth.PAUSED if state.health is FeedHealth.PAUSED else health


def _spread(wait: float, cap: float, floor: float, jitter: float) -> timedelta:
    """The wait moved by up to a tenth: either way, but downwards only at the cap and upwards only at the floor."""
    moved = min(wait * (1 - SPREAD + 2 * SPREAD * jitter), cap * (1 - SPREAD + SPREAD * jitter))
    return timedelta(seconds=max(moved, floor * (1 + SPREAD * jitter)))
