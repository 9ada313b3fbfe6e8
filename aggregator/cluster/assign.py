"""From scored pairs to events: which entries belong together, and which event each group is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.linkage import Edges, Nodes, agglomerate
from aggregator.cluster.links import Links, positions
from aggregator.types import EntryId, EventId

SAME_EVENT = 0.6
"""Probability from which two entries, or an entry and its event, are joined. Chosen on the first halves of the
labelled sets (docs/benchmarks.md has the other halves). To be chosen again when the weights change: a false
merge hides a story, a missed one only repeats it."""

NEAR_LINK = 0.3
"""Probability of a pair from which its events are settled together: groups are joined by the evidence of many
pairs, but not where no chain of pairs that are at least so likely leads from one to the other."""

Group = frozenset[EntryId]

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Bonds:
    """What people said of entries: pairs that tell the same event, and pairs that do not."""

    together: tuple[tuple[EntryId, EntryId], ...] = ()
    apart: tuple[tuple[EntryId, EntryId], ...] = ()


def near(links: Links) -> NDArray[np.bool_]:
    """Which of the pairs are so likely that their events are settled together."""
    found: NDArray[np.bool_] = links["is_copy"] | (links["score"] >= NEAR_LINK)
    return found


def partition(
    entries: Sequence[EntryId],
    kept: Iterable[Group],
    links: Links,
    bonds: Bonds,
    least: float = SAME_EVENT,
) -> list[Group]:
    """The entries in groups that tell one event each: a function of what is given, not of the order of `links`.

    `entries` come in an order made of their content, so that ties fall the same way in every database. The
    groups in `kept` stay whole. Pairs of `bonds` come first; then copies are together, unless that would join
    what people parted; then groups are joined by the evidence of all links between them
    (linkage.agglomerate), where the copies of one text count as one entry: a story reposted a hundred times
    must not outvote its rewrites. `least` is the probability from which groups are joined.
    """
    place = {entry: position for position, entry in enumerate(entries)}
    together, apart = (
        [(place[a], place[b]) for a, b in pairs if a in place and b in place]
        for pairs in (bonds.together, bonds.apart)
    )
    one, other, score, is_copy = _placed(entries, links)
    copies = sorted(zip(one[is_copy].tolist(), other[is_copy].tolist(), strict=True))
    whole = [
        (place[first], place[entry])
        for first, *rest in map(sorted, kept)
        for entry in rest
        if first in place and entry in place
    ]
    text = _joined(len(entries), [*together, *copies], apart)
    unit = _joined(len(entries), [*together, *whole, *copies], apart)
    texts = np.unique(text)
    weight = np.bincount(unit[texts], minlength=len(entries)).astype(np.float64)
    chain = _chains(len(entries), unit[one], unit[other], score >= NEAR_LINK)
    between = (unit[one] != unit[other]) & (chain[unit[one]] == chain[unit[other]])
    edges = _edges(unit, text[one[between]], text[other[between]], score[between])
    parted = unit[np.array(apart, dtype=np.int64).reshape(-1, 2)]
    group = agglomerate(weight, edges, float(np.log(least / (1 - least))), (parted[:, 0], parted[:, 1]))[unit]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1)).tolist()
    in_order = [entries[position] for position in order.tolist()]
    ends = [*starts[1:], len(in_order)]
    return [frozenset(in_order[start:end]) for start, end in zip(starts, ends, strict=True)]


def _placed(
    entries: Sequence[EntryId], links: Links
) -> tuple[Nodes, Nodes, NDArray[np.float64], NDArray[np.bool_]]:
    """The pairs among the entries by positions, lower first, with their scores, and whether they are copies."""
    numbers = np.array(entries, dtype=np.int64)
    one, other = positions(numbers, links["a"]), positions(numbers, links["b"])
    known = (one >= 0) & (other >= 0)
    one, other = one[known], other[known]
    return np.minimum(one, other), np.maximum(one, other), links["score"][known], links["is_copy"][known]


def _edges(unit: Nodes, one: Nodes, other: Nodes, score: NDArray[np.float64]) -> Edges:
    """The mean score between each two texts, as edges between their units."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    # In the order of scores: what a sum of floats is must not depend on the order of the links.
    order = np.lexsort((score, high, low))
    low, high, score = low[order], high[order], score[order]
    first = np.flatnonzero((np.diff(low, prepend=-1) != 0) | (np.diff(high, prepend=-1) != 0))
    if not len(first):
        return Edges(low, high, score)
    count = np.diff(first, append=len(low))
    return Edges(unit[low[first]], unit[high[first]], np.add.reduceat(score, first) / count)


def _chains(nodes: int, one: Nodes, other: Nodes, chosen: NDArray[np.bool_]) -> Nodes:
    """For each node the lowest of those that chains of the chosen pairs lead to.

    By hooking and shortcutting, all pairs at once (Shiloach, Vishkin 1982).
    """
    one, other = one[chosen], other[chosen]
    lowest = np.arange(nodes)
    while True:
        low, high = np.minimum(lowest[one], lowest[other]), np.maximum(lowest[one], lowest[other])
        if (low == high).all():
            return lowest
        np.minimum.at(lowest, high, low)
        while ((above := lowest[lowest]) != lowest).any():
            lowest = above


def _joined(count: int, pairs: Sequence[Pair], apart: Sequence[Pair]) -> Nodes:
    """For each of so many positions the lowest of its group, where pairs are joined one after another.

    No two that are to be `apart` get into one group: a pair that would bring that about is passed over.
    """
    members: dict[int, list[int]] = {}
    name: dict[int, int] = {}
    foes: dict[int, set[int]] = defaultdict(set)
    for a, b in apart:
        foes[a].add(b)
        foes[b].add(a)
    for a, b in pairs:
        for position in (a, b):
            if position not in name:
                name[position], members[position] = position, [position]
        one, other = sorted((name[a], name[b]), key=lambda group: -len(members[group]))
        if one == other or any(name.get(foe) == one for m in members[other] for foe in foes.get(m, ())):
            continue
        for member in members.pop(other):
            name[member] = one
            members[one].append(member)
    lowest = np.arange(count)
    for group in members.values():
        lowest[group] = min(group)
    return lowest


@dataclass(frozen=True, slots=True)
class Assignment:
    """One group and the event it is: `event_id` None = a new event, split off `split_from` if that is set."""

    entries: Group
    event_id: EventId | None
    split_from: EventId | None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Where every group goes, and which events end: `merged` maps an emptied event to the one it went into."""

    assignments: tuple[Assignment, ...]
    merged: Mapping[EventId, int]


def reconcile(
    groups: Sequence[Group], current: Mapping[EntryId, EventId], fixed: Mapping[EventId, int] | None = None
) -> Reconciled:
    """The groups with event ids, so that ids change for as few entries as can be.

    `fixed` says of events in which of the groups their id stays, by its position.

    `current` names the event of every entry that has one; it must hold all members of each event it names. An
    event's id stays with the group that holds most of its entries (then the older event, then the lower entry).
    An event whose entries all went to groups with other ids is merged into the one that got most of them:
    `merged` gives that group's position in `assignments`. The other part of a torn event is a split.
    """
    overlaps = [Counter(current[entry] for entry in group if entry in current) for group in groups]
    wishes = sorted(
        (-count, event, min(groups[index]), index)
        for index, overlap in enumerate(overlaps)
        for event, count in overlap.items()
    )
    event_of: dict[int, EventId] = {index: event for event, index in (fixed or {}).items()}
    taken: set[EventId] = set(fixed or {})
    for _, event, _, index in wishes:
        if index not in event_of and event not in taken:
            event_of[index] = event
            taken.add(event)
    heirs: dict[EventId, int] = {}
    for _, event, _, index in wishes:
        if event not in taken:
            heirs.setdefault(event, index)
    assignments = tuple(
        Assignment(group, event_of.get(index), None if index in event_of else _largest(overlaps[index]))
        for index, group in enumerate(groups)
    )
    return Reconciled(assignments, heirs)


def _largest(overlap: Counter[EventId]) -> EventId | None:
    return min(overlap, key=lambda event: (-overlap[event], event)) if overlap else None
