"""What is wrong with each feed of a list, by all that is known of it and of the others, and what to do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from aggregator.publish.advice import feed_finding
from aggregator.types import (
    FailureKind,
    FeedHealth,
    FeedId,
    FeedStatus,
    FeedTrouble,
    Finding,
    LatestEntry,
)

LOOKED_AT = 30
"""Latest entries of a feed that are looked at."""

COMPARED, FEWEST_SAME, SAME = 10, 5, 0.8
"""Two feeds are one if that part of either's latest COMPARED entries, at least FEWEST_SAME, are among those of
the other: a section's feed is within the feed of the whole paper, but not the other way round."""

FEWEST_DATED = 5
"""Entries from which their dates can be found wrong as a whole."""

AHEAD = timedelta(minutes=50)
"""How long after their arrival entries are dated whose zone is wrong: zones differ by hours, clocks by minutes."""

STALE_DAYS = 180
"""Age of a feed's newest entry from which a person should look whether it ended."""

SLOW_PART, SLOWER = 3, 5
"""A feed is slow if its server takes a third of FETCH_TIMEOUT and five times as long as most others."""

ORDER = {kind: number for number, kind in enumerate(FeedTrouble)}


@dataclass(frozen=True, slots=True)
class FeedEvidence:
    """What is known of a feed: its state and its latest entries."""

    status: FeedStatus
    latest: Sequence[LatestEntry] = ()


def diagnose(
    feeds: Sequence[FeedEvidence], now: datetime, timeout: float
) -> list[tuple[FeedStatus, tuple[Finding, ...]]]:
    """The feeds about which a person should do something, with what; the worst first. `timeout`: FETCH_TIMEOUT."""
    twins = _twins(feeds)
    known = [feed.status.answer_seconds for feed in feeds if feed.status.answer_seconds is not None]
    usual = median(known or [0.0])
    slow = max(timeout / SLOW_PART, SLOWER * usual if len(feeds) > 1 else 0.0)
    found = []
    for feed in feeds:
        findings = [finding for finding in (_by_state(feed), twins.get(feed.status.id)) if finding]
        if feed.status.state in (FeedHealth.OK, FeedHealth.SILENT):
            findings += _by_dates(feed.latest)
            findings += _by_age(feed, now) if feed.status.state == FeedHealth.OK else ()
            seconds = feed.status.answer_seconds
            if seconds is not None and seconds >= slow:
                findings.append(_slow(seconds))
        if findings:
            found.append((feed.status, tuple(sorted(findings, key=lambda finding: ORDER[finding.kind]))))
    return sorted(found, key=lambda each: ORDER[each[1][0].kind])


def _by_state(feed: FeedEvidence) -> Finding | None:
    finding = feed_finding(feed.status)
    if finding is None or finding.kind is not FeedTrouble.FAILING:
        return finding
    if feed.status.failure is None:
        return finding
    kind = {FailureKind.NOT_A_FEED: FeedTrouble.NOT_A_FEED, FailureKind.TIMEOUT: FeedTrouble.SLOW}
    return Finding(kind.get(feed.status.failure, finding.kind), finding.advice)


def _twins(feeds: Sequence[FeedEvidence]) -> dict[FeedId, Finding]:
    """For each feed that has the same entries as one listed before it: that."""
    known = {feed.status.id: [entry.name for entry in feed.latest if entry.name] for feed in feeds}
    having: dict[str, set[FeedId]] = defaultdict(set)
    for number, names in known.items():
        for name in names:
            having[name].add(number)

    def shared(names: Sequence[str]) -> set[FeedId]:
        newest = list(dict.fromkeys(names))[:COMPARED]
        counts = Counter(number for name in newest for number in having[name])
        return {number for number, count in counts.items() if count >= max(FEWEST_SAME, SAME * len(newest))}

    status_of = {feed.status.id: feed.status for feed in feeds}
    same = {number: shared(names) for number, names in known.items()}
    found = {}
    for number, others in same.items():
        first = min((other for other in others if other < number and number in same[other]), default=None)
        if first is not None:
            other = status_of[first]
            advice = f"It has the same entries as {other.title or 'the feed'} ({other.url}): remove one of the two."
            found[number] = Finding(FeedTrouble.DUPLICATE, advice)
    return found


def _by_dates(latest: Sequence[LatestEntry]) -> Iterator[Finding]:
    dated = [entry for entry in latest if not entry.date_guessed]
    ahead = [entry.published_at - entry.first_seen_at for entry in dated]
    early = [by for by in ahead if by > AHEAD]
    said = ""
    if len(latest) >= FEWEST_DATED and not dated:
        said = (
            "None of its dates can be used: they are missing, unreadable or far in the future. Its entries "
            "count as published when they came"
        )
    elif len(dated) >= FEWEST_DATED and len({entry.published_at for entry in dated}) == 1:
        said = (
            f"All its latest {len(dated)} entries bear the same date, {dated[0].published_at:%Y-%m-%d %H:%M}"
        )
    elif len(early) >= FEWEST_DATED:
        hours = max(early).total_seconds() / 3600
        said = f"Its dates are in the future, by up to {hours:.1f} hours: its time zone may be wrong"
    if said:
        yield Finding(
            FeedTrouble.WRONG_DATES, f"{said}; tell its publisher, or look for another feed of the site."
        )


def _by_age(feed: FeedEvidence, now: datetime) -> Iterator[Finding]:
    newest = max((entry.published_at for entry in feed.latest if not entry.date_guessed), default=None)
    old = (now - newest).days if newest else 0
    said = ""
    if not feed.latest and feed.status.last_success_at and not feed.status.entries:
        said = "It is read without fault, but never had an entry"
    elif newest and old >= STALE_DAYS:
        said = f"Its newest entry is of {newest:%Y-%m-%d}, {old:,} days ago"
    if said:
        yield Finding(FeedTrouble.SILENT, f"{said}: see on its site whether the feed has ended or moved.")


def _slow(seconds: float) -> Finding:
    advice = (
        f"Its server took {seconds:.1f} s: if that stays so, set a longer interval for it (agg:interval), or raise "
        "FETCH_TIMEOUT before it begins to fail."
    )
    return Finding(FeedTrouble.SLOW, advice)
