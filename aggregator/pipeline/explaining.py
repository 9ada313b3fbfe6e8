"""Why entries are together or apart: the decisions as they were stored when they were made, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.engine import Connection

from aggregator.cluster.assign import SAME_EVENT
from aggregator.cluster.copies import copy_reason
from aggregator.cluster.judge import VETOES
from aggregator.cluster.network import Network, shipped
from aggregator.cluster.prepared import prepare
from aggregator.cluster.signature import shared_words
from aggregator.config import Settings
from aggregator.pipeline.calibrating import network_of
from aggregator.store.corrections import corrections_of
from aggregator.store.decisions import decision_of
from aggregator.store.events import events_of, members, signed_entries
from aggregator.store.pairs import links_of
from aggregator.types import (
    Compared,
    Correction,
    CorrectionKind,
    Decision,
    EntryId,
    EventId,
    Member,
    Rule,
    Signed,
)

TELLING = 0.25
"""Log-odds from which a feature is worth a word."""

SENTENCES = {
    Rule.COPY: "it has the same text as another entry of the event, whole or in part: copies are always together",
    Rule.CORRECTED: "people said so: event merge or event split",
}

MOST_TOLD = 3
"""Features named for, and against."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a feature said: its value, the usual value, and by how much it moved the log-odds."""

    feature: str
    value: float
    usual: float
    weight: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries: what they have in common, and whether they stand in one event.

    `told` is empty where the two were never compared, or not among the most probable; `probability` is None
    where it was not kept.
    """

    entry: Member
    other: Member
    together: bool
    verdict: str
    probability: float | None
    is_copy: bool
    reason: str
    hours_apart: float
    shared_words: float
    told: tuple[Told, ...]

    @property
    def features(self) -> Mapping[str, float]:
        """The features by name."""
        return {one.feature: one.value for one in self.told}


@dataclass(frozen=True, slots=True)
class Explanation:
    """An entry, its event, the decision on it, and the entries that it was compared with, best first."""

    entry: Member
    event_id: EventId | None
    rule: str
    decision: Decision | None
    pairs: tuple[Pair, ...]


def explain_entry(db: Connection, entry: EntryId, settings: Settings) -> Explanation | None:
    """Why the entry is in its event; None if there is no such entry."""
    found = members(db, [entry])
    if not found:
        return None
    event = events_of(db, [entry]).get(entry)
    decision = decision_of(db, entry)
    if decision is None:
        return Explanation(found[0], event, "it has been stored and waits to be grouped", None, ())
    pairs = [
        pair
        for compared in decision.compared
        if (pair := explain_pair(db, entry, compared.other, settings)) is not None
    ]
    return Explanation(found[0], event, _rule(decision), decision, tuple(pairs))


def reasons(db: Connection, entries: Iterable[EntryId]) -> dict[EntryId, str]:
    """For each of these entries that was decided on, what decided, in words."""
    found = ((entry, decision_of(db, entry)) for entry in entries)
    return {entry: _rule(decision) for entry, decision in found if decision is not None}


def _rule(decision: Decision) -> str:
    needed, size = f"{decision.threshold:.0%}", decision.size
    if decision.rule in SENTENCES:
        return SENTENCES[decision.rule]
    if decision.rule is Rule.AVERAGE and size == 2:
        return (
            f"it is {decision.mean:.0%} likely to tell the same event as the other entry ({needed} is needed)"
        )
    if decision.rule is Rule.AVERAGE:
        return (
            f"it is, on average, {decision.mean:.0%} likely to tell the same event as each of the other "
            f"{size - 1} entries ({needed} is needed of two; the more entries agree, the less)"
        )
    best = max((one.probability for one in decision.compared), default=None)
    if best is None:
        return "it stands alone: no other entry in the window shares telling words with it"
    if best >= decision.threshold:
        return (
            f"it stands alone: it is up to {best:.0%} likely to tell the same event as one other entry, but not "
            "enough so, on average, as that entry's whole event"
        )
    return (
        f"it stands alone: the likeliest of {decision.seen} candidates reaches {best:.0%}; {needed} is needed"
    )


def explain_pair(db: Connection, entry: EntryId, other: EntryId, settings: Settings) -> Pair | None:
    """Why two entries are together or not; None if one of them does not exist."""
    known = {member.id: member for member in members(db, [entry, other])}
    signed = {one.id: one for one in signed_entries(db, [entry, other])}
    if entry not in known or other not in known:
        return None
    events = events_of(db, [entry, other])
    together = entry in events and events[entry] == events.get(other)
    compared = _compared(db, entry, other)
    score, is_linked_copy = _link(db, entry, other)
    copies = _copies(signed, entry, other) if is_linked_copy else ""
    probability = 1.0 if copies else compared.probability if compared else score
    told = _told(_network(settings, compared), compared) if compared else ()
    said = _said(db, entry, other)
    apart = abs(known[entry].published_at - known[other].published_at)
    return Pair(
        entry=known[entry],
        other=known[other],
        together=together,
        verdict=said or _verdict(together, bool(copies), probability, apart, settings),
        probability=probability,
        is_copy=bool(copies),
        reason=_reason(copies, compared, told) or _absent(score, known[entry], known[other]),
        hours_apart=round(apart.total_seconds() / 3600, 1),
        shared_words=shared_words(signed[entry].signature, signed[other].signature)
        if signed.keys() >= {entry, other}
        else 0.0,
        told=told,
    )


def _compared(db: Connection, entry: EntryId, other: EntryId) -> Compared | None:
    """The comparison of the two as the decision on either kept it."""
    for one, two in ((entry, other), (other, entry)):
        decision = decision_of(db, one)
        for compared in decision.compared if decision else ():
            if compared.other == two:
                return compared
    return None


def _copies(signed: Mapping[EntryId, Signed], entry: EntryId, other: EntryId) -> str:
    if not signed.keys() >= {entry, other}:
        return "found to be so before an edit"
    return copy_reason(prepare(signed[entry]), prepare(signed[other])) or "found to be so before an edit"


def _network(settings: Settings, compared: Compared) -> Network:
    """The network that tells what the features of a comparison meant; SEMANTIC may have been changed since."""
    network = network_of(settings)
    if len(network.features) == len(compared.features):
        return network
    return shipped(semantic=not network.semantic)


def _told(network: Network, compared: Compared) -> tuple[Told, ...]:
    """What each feature said: how the log-odds would change if it had its usual value instead."""
    told = [
        Told(name, value, usual, weight)
        for name, value, usual, weight in zip(
            network.features,
            compared.features,
            network.mean.tolist(),
            network.weights_of(compared.features),
            strict=True,
        )
    ]
    return tuple(sorted(told, key=lambda one: -abs(one.weight)))


def _said(db: Connection, entry: EntryId, other: EntryId) -> str:
    """What people said of the two, directly or by way of others; nothing if they did not."""
    tied: dict[EntryId, Correction] = {}
    frontier = {entry}
    while frontier:
        reached: set[EntryId] = set()
        for one in corrections_of(db, frontier):
            if one.b is None:
                continue
            for here, there in ((one.a, one.b), (one.b, one.a)):
                if here in frontier and there != entry and there not in tied:
                    tied[there] = one
                    if one.kind is CorrectionKind.TOGETHER:
                        reached.add(there)
        frontier = reached
    if other not in tied:
        return ""
    said = tied[other]
    if said.kind is CorrectionKind.TOGETHER:
        return (
            f"together: people said so on {said.at:%Y-%m-%d} (event merge, or a split of both from another)"
        )
    return f"apart: people said so on {said.at:%Y-%m-%d} (event split)"


def _verdict(
    together: bool,  # noqa: FBT001 (what the sentence is about)
    copies: bool,  # noqa: FBT001
    probability: float | None,
    apart: timedelta,
    settings: Settings,
) -> str:
    likely = probability is not None and probability >= SAME_EVENT
    if together and (likely or copies):
        return "together: " + ("copies" if copies else f"above the threshold of {SAME_EVENT:.0%}")
    if together:
        return "together: through the event's other entries, to which both are alike"
    if apart > timedelta(days=settings.window_days):
        return f"apart: published more than {settings.window_days:g} days from each other (WINDOW_DAYS)"
    if likely or copies:
        return "apart: alike as a pair, but the events around them are not alike on average"
    return f"apart: below the threshold of {SAME_EVENT:.0%}"


def _reason(copies: str, compared: Compared | None, told: tuple[Told, ...]) -> str:
    if copies:
        return f"copies: {copies}"
    if compared is None:
        return ""
    if compared.veto:
        return VETOES[compared.veto]
    speaks_for = [one.feature for one in told if one.weight >= TELLING][:MOST_TOLD]
    against = [one.feature for one in told if one.weight <= -TELLING][:MOST_TOLD]
    parts = [f"{compared.probability:.0%} likely the same event"]
    if speaks_for:
        parts.append(f"for it: {', '.join(speaks_for)}")
    if against:
        parts.append(f"against it: {', '.join(against)}")
    return "; ".join(parts)


def _link(db: Connection, entry: EntryId, other: EntryId) -> tuple[float | None, bool]:
    """The probability that was kept of a pair, and whether it is one of copies; None if none was kept."""
    for a, b, score, is_copy in links_of(db, [entry]).tolist():
        if other in (a, b):
            return score, is_copy
    return None, False


def _absent(score: float | None, one: Member, other: Member) -> str:
    """Why there are no figures for two entries."""
    if score is not None:
        return f"{score:.0%} likely the same event; others were likelier, so its figures were not kept"
    if one.lang and other.lang and one.lang != other.lang:
        return f"different languages ({one.lang}, {other.lang}) are not compared"
    return "never close: others share more telling words with each of them, or the likelihood was below 10%"
