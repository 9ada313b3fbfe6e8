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


def silence(by_day: Mapping[int, int], today: int) -> int:
    """For how many days the feed has been quiet, if that is much longer than it ever was; 0 if not.

    `by_day`: new entries by day (since 1970), as far back as is known; `today` counts the same way.
    """
    days = sorted(day for day, entries in by_day.items() if entries)
    if len(days) < FEWEST_DAYS:
        return 0
    longest = max(after - before for before, after in pairwise(days))
    quiet = today - days[-1]
    return quiet if quiet > LONGER * longest else 0
