"""Why entries are together or apart: the figures that the decision used, computed again from what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.engine import Connection

from aggregator.cluster.score import SAME_EVENT, Comparison, compare, prepare
from aggregator.cluster.signature import shared_words
from aggregator.config import Settings
from aggregator.store.events import entries_of, events_of, links_of, members, signed_entries
from aggregator.types import EntryId, EventId, Link, Member

MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries: what they have in common, and whether they stand in one event."""

    entry: Member
    other: Member
    together: bool
    verdict: str
    probability: float
    is_copy: bool
    reason: str
    hours_apart: float
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An entry, its event, the rule that put it there, and the entries that it was compared with, best first."""

    entry: Member
    event_id: EventId | None
    entry_count: int
    rule: str
    threshold: float
    pairs: tuple[Pair, ...]


def explain_entry(db: Connection, entry: EntryId, settings: Settings) -> Explanation | None:
    """Why the entry is in its event; None if there is no such entry."""
    found = members(db, [entry])
    if not found:
        return None
    event = events_of(db, [entry]).get(entry)
    together = set(entries_of(db, [event])) if event is not None else {entry}
    links = sorted(links_of(db, [entry]), key=lambda link: (not link.is_copy, -link.score, link.a, link.b))
    shown = [_other(link, entry) for link in links][:MOST_SHOWN]
    shown += sorted(together - {entry, *shown})[: MOST_SHOWN - len(shown)]
    pairs = [pair for number in shown if (pair := explain_pair(db, entry, number, settings)) is not None]
    return Explanation(
        found[0], event, len(together), _rule(event, together, links), SAME_EVENT, tuple(pairs)
    )


def _other(link: Link, entry: EntryId) -> EntryId:
    return link.b if link.a == entry else link.a


def _rule(event: EventId | None, together: set[EntryId], links: list[Link]) -> str:
    if event is None:
        return "it has been stored and waits to be grouped"
    inside = [link for link in links if link.a in together and link.b in together]
    if any(link.is_copy for link in inside):
        return "it is a copy of another entry of the event: copies are always together"
    if len(together) == 1:
        near = [link for link in links if link.score >= SAME_EVENT]
        if near:
            return "it is like single entries of other events, but not, on average, like all of any event"
        return f"it stands alone: no other entry is at least {SAME_EVENT:.0%} likely to tell the same event"
    return (
        f"it is, on average over the event's entries, at least {SAME_EVENT:.0%} likely to tell the same event"
    )


def explain_pair(db: Connection, entry: EntryId, other: EntryId, settings: Settings) -> Pair | None:
    """Why two entries are together or not; None if one of them does not exist."""
    known = {member.id: member for member in members(db, [entry, other])}
    signed = {one.id: one for one in signed_entries(db, [entry, other])}
    if entry not in known or other not in known:
        return None
    events = events_of(db, [entry, other])
    comparison = compare(prepare(signed[entry]), prepare(signed[other]))
    apart = abs(signed[entry].at - signed[other].at)
    together = entry in events and events.get(entry) == events.get(other)
    return Pair(
        entry=known[entry],
        other=known[other],
        together=together,
        verdict=_verdict(together, comparison, apart, timedelta(days=settings.window_days)),
        probability=comparison.probability,
        is_copy=comparison.is_copy,
        reason=comparison.reason,
        hours_apart=round(apart.total_seconds() / 3600, 1),
        features={
            **comparison.features,
            "shared words and pairs of words": shared_words(signed[entry].signature, signed[other].signature),
        },
    )


def _verdict(together: bool, comparison: Comparison, apart: timedelta, window: timedelta) -> str:  # noqa: FBT001
    likely = comparison.is_copy or comparison.probability >= SAME_EVENT
    if together and likely:
        return "together: " + ("copies" if comparison.is_copy else f"above the threshold of {SAME_EVENT:.0%}")
    if together:
        return "together: through the event's other entries, to which both are alike on average"
    if apart > window:
        return f"apart: published more than {window.total_seconds() / 86400:g} days from each other (WINDOW_DAYS)"
    if likely:
        return "apart: alike as a pair, but the events around them are not alike on average, or never met"
    return f"apart: below the threshold of {SAME_EVENT:.0%}"
