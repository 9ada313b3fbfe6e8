"""What a person should do about a feed, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aggregator.types import AlarmKind, Failed, FailureKind, FeedHealth, FeedStatus, FeedTrouble, Finding

PATIENCE = 3
"""Failed polls in a row before a person is bothered: servers are restarted, networks come back."""


REMEDIES: Mapping[FailureKind, str] = MappingProxyType(
    {
        FailureKind.DNS: "Wait; if it stays so, check the name in the address, or the network of this machine.",
        FailureKind.CONNECT: "Wait; if it stays so, see in a browser whether the site is up or has moved.",
        FailureKind.TLS: "If a browser says so too, tell the site; an authority of your own goes in SSL_CERT_FILE.",
        FailureKind.TIMEOUT: "Wait; if it stays so and a browser gets it, raise FETCH_TIMEOUT.",
        FailureKind.HTTP: "See in a browser what is there, and look on the site for its present feed.",
        FailureKind.GONE: "Give it up, or look on the site for another feed.",
        FailureKind.THROTTLED: "Wait; if it stays so, set a longer interval for it (agg:interval).",
        FailureKind.FORBIDDEN_ADDRESS: "If it is meant to be asked, add that address to ALLOW_ADDRESSES.",
        FailureKind.BAD_URL: "Correct it.",
        FailureKind.TOO_LARGE: "Look on the site for a smaller feed, such as that of a section.",
        FailureKind.BROKEN_BODY: "Wait; if it stays so, tell the site, or look for another feed there.",
        FailureKind.NOT_A_FEED: "See in a browser what is there, and look on the site for its feed.",
        FailureKind.PARSER: "Tell its publisher, or look for another feed of the site.",
        FailureKind.BUG: "Report it, with what the log says.",
    }
)
"""What to do about a failure of each kind, in few words: they stand in tables and on phones."""

LOG_IN = "Put USER:PASSWORD@ before the host in its address."
ASK = "Ask the site to let this program in (USER_AGENT_CONTACT tells who asks), or look for another feed."
BUSY = "Wait; if it stays so, tell the site."

OF_STATUS: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: LOG_IN,
        HTTPStatus.PAYMENT_REQUIRED: ASK,
        HTTPStatus.FORBIDDEN: ASK,
        HTTPStatus.NOT_ACCEPTABLE: ASK,
        HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: ASK,
        HTTPStatus.REQUEST_TIMEOUT: BUSY,
        HTTPStatus.TOO_EARLY: BUSY,
    }
)
"""What to do about refusals that say more than that there is no feed."""


def failure_words(failure: Failed) -> str:
    """What went wrong and what to do about it, for whoever runs the program."""
    return f"{failure.detail} {_remedy(failure)}"


def _remedy(failure: Failed) -> str:
    if failure.kind is FailureKind.HTTP and failure.status is not None:
        if failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return BUSY
        return OF_STATUS.get(failure.status, REMEDIES[failure.kind])
    return REMEDIES[failure.kind]


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
