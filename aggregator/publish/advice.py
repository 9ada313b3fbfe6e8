"""What a person should do about a feed, in plain words."""

from __future__ import annotations

from aggregator.types import AlarmKind, FeedHealth, FeedStatus, FeedTrouble, Finding

PATIENCE = 3
"""Failed polls in a row before a person is bothered: servers are restarted, networks come back."""


def feed_advice(status: FeedStatus) -> str:
    """What a person should do about the feed, in a sentence; "" if nothing."""
    found = feed_finding(status)
    return found.advice if found else ""


def feed_finding(status: FeedStatus) -> Finding | None:
    """What is wrong with the feed by its state alone, None if nothing."""
    if status.state == FeedHealth.GONE:
        return Finding(FeedTrouble.GONE, "It was taken down for good (410): remove it from the list.")
    if status.twin:
        advice = f"It moved to {status.twin}, which the list has as well: remove this one."
        return Finding(FeedTrouble.DUPLICATE, advice)
    if status.has_moved:
        advice = f"It moved to {status.moved_to} and is polled there: put that address into the list."
        return Finding(FeedTrouble.MOVED, advice)
    is_known = status.last_success_at is not None
    if status.state == FeedHealth.FAILING and (status.failures >= PATIENCE or not is_known):
        times = (
            f"It failed {status.failures:,} times in a row"
            if status.failures >= PATIENCE
            else "It was never read"
        )
        return Finding(FeedTrouble.FAILING, f"{times}: {status.problem}")
    if status.state == FeedHealth.SILENT:
        return Finding(FeedTrouble.SILENT, _silence_advice(status))
    return None


def _silence_advice(status: FeedStatus) -> str:
    quiet = alarm_words(AlarmKind.SILENCE, status.quiet_days)
    return f"{quiet} See whether the site still publishes, or has another feed."


def alarm_words(kind: AlarmKind, count: int) -> str:
    """What is strange, in a sentence."""
    match kind:
        case AlarmKind.SILENCE:
            return f"Quiet for {count:,} days, far longer than ever before."
        case AlarmKind.FLOOD:
            return f"{count:,} new entries in a day, far more than on any day before."
        case AlarmKind.AGAIN:
            return f"{count:,} items that it had brought before came again, as new, renamed or changed."
