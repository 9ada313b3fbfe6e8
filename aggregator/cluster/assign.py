"""From scored pairs to events: which entries belong together, and which event each group is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.cluster.linkage import Edges, agglomerate
from aggregator.types import EntryId, EventId, Link

SAME_EVENT = 0.6
"""Probability from which two entries, or an entry and its event, are joined. Chosen on the first halves of the
labelled sets (docs/benchmarks.md has the other halves). To be chosen again when the weights change: a false
merge hides a story, a missed one only repeats it."""

NEAR_LINK = 0.3
"""Probability of a pair from which its events are settled together: groups are joined by the evidence of many
pairs, but not where no chain of pairs that are at least so likely leads from one to the other."""

Group = frozenset[EntryId]


@dataclass(frozen=True, slots=True)
class Bonds:
    """What people said of entries: pairs that tell the same event, and pairs that do not."""

    together: tuple[tuple[EntryId, EntryId], ...] = ()
    apart: tuple[tuple[EntryId, EntryId], ...] = ()


def partition(
    entries: Sequence[EntryId],
    kept: Iterable[Group],
    links: Iterable[Link],
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
    links = list(links)
    texts = _joined(entries, (), links, bonds)
    units = _joined(entries, kept, links, bonds)
    rank = {entry: position for position, entry in enumerate(entries)}
    text_of = {entry: min(map(rank.__getitem__, text)) for text in texts for entry in text}
    unit_of = {entry: min(map(rank.__getitem__, unit)) for unit in units for entry in unit}
    chain_of = _chains(unit_of, links)
    weight = np.zeros(len(entries))
    for text in set(text_of.values()):
        weight[unit_of[entries[text]]] += 1
    between: dict[tuple[int, int], list[float]] = defaultdict(list)
    for link in links:
        if (
            link.a in rank
            and link.b in rank
            and unit_of[link.a] != unit_of[link.b]
            and chain_of[unit_of[link.a]] == chain_of[unit_of[link.b]]
        ):
            one, other = text_of[link.a], text_of[link.b]
            between[min(one, other), max(one, other)].append(link.score)
    pairs = sorted(between)
    edges = Edges(
        np.array([unit_of[entries[one]] for one, _ in pairs], dtype=np.int64),
        np.array([unit_of[entries[other]] for _, other in pairs], dtype=np.int64),
        np.array([sum(sorted(between[pair])) / len(between[pair]) for pair in pairs]),
    )
    parted = [(unit_of[a], unit_of[b]) for a, b in bonds.apart if a in rank and b in rank]
    apart = np.array(parted, dtype=np.int64).reshape(-1, 2)
    group = agglomerate(weight, edges, float(np.log(least / (1 - least))), (apart[:, 0], apart[:, 1]))
    found: dict[int, set[EntryId]] = defaultdict(set)
    for entry in entries:
        found[int(group[unit_of[entry]])].add(entry)
    return [frozenset(found[name]) for name in sorted(found)]


def _chains(unit_of: Mapping[EntryId, int], links: Iterable[Link]) -> dict[int, int]:
    """For each unit the lowest of those that chains of links of at least NEAR_LINK lead to (union-find)."""
    lower = {unit: unit for unit in unit_of.values()}

    def lowest(unit: int) -> int:
        while (found := lower[unit]) != unit:
            lower[unit] = lower[found]
            unit = found
        return unit

    for link in links:
        if link.score >= NEAR_LINK and link.a in unit_of and link.b in unit_of:
            one, other = lowest(unit_of[link.a]), lowest(unit_of[link.b])
            lower[max(one, other)] = min(one, other)
    return {unit: lowest(unit) for unit in lower}


def _joined(
    entries: Sequence[EntryId], kept: Iterable[Group], links: Iterable[Link], bonds: Bonds
) -> list[list[EntryId]]:
    """The entries joined by people, by `kept` and as copies, in this order, without joining what people parted."""
    groups = _Groups(entries, bonds.apart)
    for a, b in bonds.together:
        groups.join(a, b)
    for group in kept:
        first, *others = sorted(group)
        for other in others:
            groups.join(first, other)
    rank = {entry: position for position, entry in enumerate(entries)}
    copies = [(link.a, link.b) for link in links if link.is_copy and link.a in rank and link.b in rank]
    for a, b in sorted(copies, key=lambda pair: sorted((rank[pair[0]], rank[pair[1]]))):
        groups.join(a, b)
    return groups.lists()


class _Groups:
    """Entries in groups that grow (union by size), none of which holds two that are to be apart."""

    def __init__(self, entries: Sequence[EntryId], apart: Iterable[tuple[EntryId, EntryId]]) -> None:
        self._members = {entry: [entry] for entry in entries}
        self._name = {entry: entry for entry in entries}
        self._apart: dict[EntryId, set[EntryId]] = defaultdict(set)
        for a, b in apart:
            self._apart[a].add(b)
            self._apart[b].add(a)

    def join(self, a: EntryId, b: EntryId) -> None:
        if a not in self._name or b not in self._name:
            return
        one, other = sorted((self._name[a], self._name[b]), key=lambda name: -len(self._members[name]))
        if one == other or any(
            self._name.get(foe) == one for m in self._members[other] for foe in self._apart[m]
        ):
            return
        for member in self._members.pop(other):
            self._name[member] = one
            self._members[one].append(member)

    def lists(self) -> list[list[EntryId]]:
        return list(self._members.values())


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
