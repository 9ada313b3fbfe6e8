"""From scored pairs to events: which entries belong together, and which event each group is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregator.types import EntryId, EventId, Link

Score = Callable[[EntryId, EntryId], float]
"""The probability that two entries tell the same event; symmetric, and the same whenever it is asked."""

Order = Callable[[EntryId], tuple[object, ...]]
"""A sort key made of an entry's content alone, so that ties fall the same way in every database."""

Group = frozenset[EntryId]
Node = TypeVar("Node", bound=int)

REPRESENTATIVES = 4
"""Members of a group of copies that speak for it in the average: copies score nearly alike, and a story
reposted a hundred times must not outvote its rewrites."""

MOST_GROUPS = 200
"""Groups of copies in one component up to which every pair of groups is scored. In a larger component (a theme
rather than an event) only pairs that met as candidates count and the others are taken as unrelated, which can
only keep groups apart."""


def partition(
    entries: Iterable[EntryId], links: Sequence[Link], threshold: float, score: Score, order: Order
) -> list[Group]:
    """The entries in groups that tell one event each: a function of the set alone, not of its order.

    Copies are together whatever else holds. Groups of copies are joined by average link (UPGMA, Sokal and
    Michener 1958): the two with the highest mean score first, as long as it is at least `threshold`. Only
    groups connected by links at or above it can end together, so each connected component is settled by itself.
    """
    copies = _components(set(entries), [(link.a, link.b) for link in links if link.is_copy])
    group_of = {entry: index for index, group in enumerate(copies) for entry in group}
    met: dict[tuple[EntryId, EntryId], float] = {}
    near: set[tuple[int, int]] = set()
    for link in links:
        if link.a in group_of and link.b in group_of:
            met[link.a, link.b] = met[link.b, link.a] = link.score
            if link.score >= threshold and group_of[link.a] != group_of[link.b]:
                near.add((group_of[link.a], group_of[link.b]))
    settled: list[Group] = []
    for component in _components(set(range(len(copies))), near):
        groups = [frozenset(copies[index]) for index in component]
        if len(groups) > 1:
            known = _known_or(0.0 if len(groups) > MOST_GROUPS else score, met)
            groups = _average_link(groups, threshold, known, order)
        settled.extend(groups)
    return settled


def _known_or(score: Score | float, met: Mapping[tuple[EntryId, EntryId], float]) -> Score:
    def known(a: EntryId, b: EntryId) -> float:
        found = met.get((a, b))
        if found is not None:
            return found
        return score(a, b) if callable(score) else score

    return known


def _components(nodes: set[Node], edges: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Connected components, each sorted, by the smallest node."""
    neighbours: dict[Node, list[Node]] = defaultdict(list)
    for a, b in edges:
        if a in nodes and b in nodes:
            neighbours[a].append(b)
            neighbours[b].append(a)
    found: list[list[Node]] = []
    seen: set[Node] = set()
    for start in sorted(nodes):
        if start in seen:
            continue
        seen.add(start)
        reached = [start]
        for node in reached:
            fresh = {other for other in neighbours[node] if other not in seen}
            seen |= fresh
            reached.extend(fresh)
        found.append(sorted(reached))
    return found


def _average_link(groups: list[Group], threshold: float, score: Score, order: Order) -> list[Group]:
    """Agglomeration with the mean over the representatives' scores, highest mean first."""
    speakers = [sorted(group, key=order)[:REPRESENTATIVES] for group in groups]
    ranks = sorted(range(len(groups)), key=lambda index: order(speakers[index][0]))
    speakers = [speakers[index] for index in ranks]
    parts: list[Group | None] = [groups[index] for index in ranks]
    weights = np.array([len(names) for names in speakers], dtype=np.float64)
    means = _mean_scores(speakers, score)
    while True:
        # argmax takes the first of equal maxima: rows are in content order, so ties fall the same way everywhere.
        first, second = divmod(int(np.argmax(means)), len(parts))
        if means[first, second] < threshold:
            return [part for part in parts if part is not None]
        joined, left = parts[first], parts[second]
        assert joined is not None
        assert left is not None
        parts[first], parts[second] = joined | left, None
        mean = (weights[first] * means[first] + weights[second] * means[second]) / (
            weights[first] + weights[second]
        )
        weights[first] += weights[second]
        means[first, :], means[:, first] = mean, mean
        means[second, :], means[:, second] = -np.inf, -np.inf
        means[first, first] = -np.inf


def _mean_scores(speakers: Sequence[Sequence[EntryId]], score: Score) -> NDArray[np.float64]:
    size = len(speakers)
    means = np.full((size, size), -np.inf)
    for i in range(size):
        for j in range(i + 1, size):
            scores = [score(a, b) for a in speakers[i] for b in speakers[j]]
            means[i, j] = means[j, i] = sum(sorted(scores)) / len(scores)
    return means


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


def reconcile(groups: Sequence[Group], current: Mapping[EntryId, EventId]) -> Reconciled:
    """The groups with event ids, so that ids change for as few entries as can be.

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
    event_of: dict[int, EventId] = {}
    taken: set[EventId] = set()
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
