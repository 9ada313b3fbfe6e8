"""What a person should do about a feed, in plain words."""

from __future__ import annotations

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
