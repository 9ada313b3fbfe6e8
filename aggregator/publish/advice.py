"""What a person should do about a feed, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from aggregator.types import FeedHealth, FeedStatus

PATIENCE = 3
"""Failed polls in a row before a person is bothered: servers are restarted, networks come back."""


def feed_advice(status: FeedStatus) -> str:
    """What a person should do about the feed, in a sentence; "" if nothing."""
    if status.state == FeedHealth.GONE:
        return "It was taken down for good (410): remove it from the list."
    if status.twin:
        return f"It moved to {status.twin}, which the list has as well: remove this one."
    if status.has_moved:
        return f"It moved to {status.moved_to} and is polled there: put that address into the list."
    if status.state == FeedHealth.FAILING and status.failures >= PATIENCE:
        return f"It failed {status.failures:,} times in a row: {status.problem}"
    if status.state == FeedHealth.FAILING and status.last_success_at is None:
        return f"It was never read: {status.problem}"
    return ""


FEWEST_DAYS = 4
LONGER = 3
"""A feed's own rhythm: days with new entries from which it has one, and how many times its longest pause so far it
may be quiet before that is strange."""

MANY = 8
"""Entries on each day so far from which a whole day without any is strange."""

FLOOD, LEAST_FLOOD = 5, 50
"""How many times its busiest day so far, and how many entries at least, a feed brings on a day that is strange."""


def silence(by_day: Mapping[int, int], today: int) -> int:
    """For how many days the feed has been quiet, if that is much longer than it ever was; 0 if not.

    `by_day`: new entries by day (since 1970), as far back as is known; `today` counts the same way.
    """
    days = sorted(day for day, entries in by_day.items() if entries)
    if len(days) < FEWEST_DAYS:
        return 0
    longest = max(after - before for before, after in pairwise(days))
    # The first day may have begun in the middle, and the last one have been cut short by the silence.
    is_busy = longest == 1 and min(by_day[day] for day in days[1:-1]) >= MANY
    quiet = today - days[-1]
    return quiet if quiet > (1 if is_busy else LONGER * longest) else 0


def flood(by_day: Mapping[int, int], today: int) -> int:
    """How many entries the feed brought today, if that is far more than it ever did on a day; 0 if not."""
    before = [entries for day, entries in by_day.items() if entries and day < today]
    if len(before) < FEWEST_DAYS:
        return 0
    now = by_day.get(today, 0)
    return now if now >= max(LEAST_FLOOD, FLOOD * max(before)) else 0


def feed_alarm(by_day: Mapping[int, int], today: int) -> str:
    """What is strange about what the feed brings, in a sentence; "" if nothing."""
    if quiet := silence(by_day, today):
        return f"Quiet for {quiet:,} days, far longer than ever before."
    if flooding := flood(by_day, today):
        return f"{flooding:,} new entries today, far more than on any day before."
    return ""
