"""When a feed is asked next: what is known of it, what its poll brought and the time give its new state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

from aggregator.config import Settings
from aggregator.types import Failed, FailureKind, FeedHealth, FeedState, PollHints

DAY = 86_400

SHRINK = 0.5
GROW = 1.2
"""What a poll with news, and one without, make of the interval. It comes to rest where GROW and SHRINK balance,
ln 1.2 : ln 2, so when one poll in five brings news: for items at random times after a fifth to a quarter of the
mean gap between them. An item then waits about a sixth of that gap for its poll (simulated: 0.18), and a feed
that falls silent takes 22 polls over nearly six days to get from half an hour to a day."""

FRESHNESS_CAP = DAY
"""Seconds; a feed that calls itself fresh for longer (max-age of a year is a common slip) is asked anyway."""

SKIP_CAP = 3 * DAY
"""Seconds by which hours and days to skip may put a poll off: a long weekend. A feed that skips the whole week is
asked all the same."""

SKIP_SPREAD = 1800
"""Seconds over which the polls are spread that wait for the end of a skipped hour: it is the same for all feeds."""

WHOLE_AGAIN = 7 * DAY
"""Seconds after which a feed is asked for as a whole although its server says that nothing has changed: some
say so for ever."""

BACKOFF_CAP = DAY
"""Seconds; a feed that has failed for long is still tried once a day, to notice that it is back."""

RETRY_AFTER_CAP = 7 * DAY
"""Seconds; a server may ask for a week's rest, and a slip of the pen there must not silence a feed for years."""

SPREAD = 0.1
"""Part of a wait by which it is moved, so that feeds that met once do not go on starting together."""

EVER = datetime(1, 1, 1, tzinfo=UTC)

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
    answer starts it at INTERVAL, as all its items are new. One that the list sets stays, beyond MAX_INTERVAL too.
    `freshness` is the seconds for which its server says that the feed won't change (max-age, Expires; None =
    unstated): the next poll waits for them and for the feed's own ttl, at most a day, even beyond MAX_INTERVAL, and
    leaves out the hours and days that the feed skips, at most for SKIP_CAP. `jitter`, in [0, 1), moves the poll by
    up to a tenth either way, but never under a limit.
    """
    if state.set_interval is not None:
        interval = float(state.set_interval)
    elif state.last_success_at is None:
        interval = float(settings.interval)
    elif news:
        interval = state.interval * SHRINK
    else:
        interval = state.interval * GROW
    held = _within_limits(ceil(interval), state, settings)
    floor = max(settings.min_interval, min(_freshness(freshness, state.hints), FRESHNESS_CAP))
    at = now + _spread(held, _longest(state, settings), floor, jitter)
    return replace(
        state,
        health=_unless_paused(state, FeedHealth.OK),
        interval=held,
        failures=0,
        failure=None,
        problem="",
        next_poll_at=_unskipped(at, state.hints, jitter),
        last_polled_at=now,
        last_success_at=now,
        retry_at=None,
    )


def after_failure(
    state: FeedState, failure: Failed, now: datetime, settings: Settings, jitter: float
) -> FeedState:
    """The state after a poll that failed: the feed is failing from the first time on, with `failure` as problem.

    The wait is the feed's interval and doubles with each further failure up to a day; Retry-After (RFC 9110,
    10.2.3), up to a week, and max-age, up to a day, can only lengthen it. A server that finds itself asked too
    often (429) is asked half as often from then on. A feed that is gone (410) is not polled again. `jitter` as in
    `after_success`.
    """
    throttled = failure.kind is FailureKind.THROTTLED
    interval = _within_limits(state.interval * (2 if throttled else 1), state, settings)
    failed = replace(
        state,
        health=_unless_paused(state, FeedHealth.FAILING),
        interval=interval,
        failures=state.failures + 1,
        failure=failure.kind,
        problem=failure.detail,
        last_polled_at=now,
        retry_at=None,
    )
    if failure.kind is FailureKind.GONE:
        return replace(failed, health=FeedHealth.GONE, next_poll_at=NEVER)
    cap = max(BACKOFF_CAP, interval)
    backoff = min(interval * 2 ** min(state.failures, 32), cap)
    pause = min(max(failure.retry_after or 0, 0), RETRY_AFTER_CAP)
    fresh = min(failure.max_age or 0, FRESHNESS_CAP)
    wait = _spread(backoff, cap, max(settings.min_interval, pause, fresh), jitter)
    return replace(
        failed,
        next_poll_at=now + wait,
        retry_at=now + timedelta(seconds=pause) if pause else None,
    )


def due_at_all(state: FeedState, now: datetime, settings: Settings) -> bool:
    """Whether `poll --all` may ask this feed now, whatever its interval, backoff and freshness say.

    It may not within MIN_INTERVAL of the last poll, before a Retry-After has passed, or a feed gone or paused.
    """
    return now >= earliest(state, settings)


def earliest(state: FeedState, settings: Settings) -> datetime:
    """When the feed may be asked at the earliest, whatever its schedule says: in the past if now."""
    if state.health in (FeedHealth.GONE, FeedHealth.PAUSED):
        return NEVER
    asked = state.last_polled_at
    least = EVER if asked is None else asked + timedelta(seconds=settings.min_interval)
    return max(least, state.retry_at or EVER)


def wants_whole(state: FeedState, now: datetime) -> bool:
    """Whether the feed shall be asked without validators: it has not been sent or asked for whole for a week."""
    return state.whole_at is not None and abs(now - state.whole_at) >= timedelta(seconds=WHOLE_AGAIN)


def moved_along(state: FeedState, step: timedelta) -> FeedState:
    """The state with all its times moved by `step`, by which the clock was set since they were told."""
    if not step:
        return state
    return replace(
        state,
        next_poll_at=state.next_poll_at if state.next_poll_at == NEVER else state.next_poll_at + step,
        last_polled_at=_moved(state.last_polled_at, step),
        last_success_at=_moved(state.last_success_at, step),
        retry_at=_moved(state.retry_at, step),
        whole_at=_moved(state.whole_at, step),
        move=replace(state.move, seen_at=_moved(state.move.seen_at, step)),
    )


def _moved(at: datetime | None, step: timedelta) -> datetime | None:
    return None if at is None else at + step


def capped_waits(state: FeedState, max_age: int | None, retry_after: int | None) -> Iterator[str]:
    """A sentence for each wait that the feed or its server asked for and that is longer than is honoured."""
    if (asked := _freshness(max_age, state.hints)) > FRESHNESS_CAP:
        yield f"asks to be left alone for {_days(asked)}: it is asked again after {_days(FRESHNESS_CAP)}"
    if (retry_after or 0) > RETRY_AFTER_CAP:
        yield f"asks for a pause of {_days(retry_after or 0)}: it gets {_days(RETRY_AFTER_CAP)}"
    if len(state.hints.skip_hours) == len(range(24)) or len(state.hints.skip_days) == len(range(7)):
        yield f"skips every hour of the week: it is asked every {_days(SKIP_CAP)}"


def _days(seconds: int) -> str:
    days = round(seconds / DAY, 1)
    return "1 day" if days == 1 else f"{days:,g} days"


def _freshness(max_age: int | None, hints: PollHints) -> int:
    return max(max_age or 0, hints.ttl or 0)


def _unskipped(at: datetime, hints: PollHints, jitter: float) -> datetime:
    """The first moment from `at` on in an hour and a day that the feed does not skip."""
    latest = at + timedelta(seconds=SKIP_CAP)
    moved = at
    while moved.hour in hints.skip_hours or moved.weekday() in hints.skip_days:
        moved = moved.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if moved >= latest:
            return latest
    return at if moved == at else moved + timedelta(seconds=SKIP_SPREAD * jitter)


def _within_limits(interval: int, state: FeedState, settings: Settings) -> int:
    return max(1, settings.min_interval, min(interval, _longest(state, settings)))


def _longest(state: FeedState, settings: Settings) -> int:
    return max(settings.max_interval, state.set_interval or 0)


def _unless_paused(state: FeedState, health: FeedHealth) -> FeedHealth:
    """Paused by the operator while the poll was under way, a feed stays so."""
    return FeedHealth.PAUSED if state.health is FeedHealth.PAUSED else health


def _spread(wait: float, cap: float, floor: float, jitter: float) -> timedelta:
    """The wait moved by up to a tenth: either way, but downwards only at the cap and upwards only at the floor."""
    moved = min(wait * (1 - SPREAD + 2 * SPREAD * jitter), cap * (1 - SPREAD + SPREAD * jitter))
    return timedelta(seconds=max(moved, floor * (1 + SPREAD * jitter)))
