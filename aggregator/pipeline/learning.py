"""What people said of events -> weights of the score."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from aggregator.cluster.assign import SAME_EVENT
from aggregator.cluster.judge import judge, survey, weigh
from aggregator.cluster.network import Network, fit, probability
from aggregator.cluster.postings import day_of
from aggregator.cluster.signature import SCHEME
from aggregator.cluster.window import Window
from aggregator.store import Store
from aggregator.store.corrections import all_corrections
from aggregator.store.events import events_of, parts_of, signed_entries, signed_on
from aggregator.types import Correction, CorrectionKind, EntryId

FEWEST_CASES = 10
"""Separate cases that people spoke of, from which weights may learn: half of them to fit, half to see by."""

MOST_CASES = 2_000
PAIRS_OF_A_CASE = 60
SAID_SHARE = 0.5
"""What the pairs that people spoke of count together; the rest are all other pairs of the same entries, which
stand for what is to stay as it is."""

Pair = tuple[EntryId, EntryId]


class TooFewCorrectionsError(Exception):
    """There is not enough to learn from; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Case:
    """Pairs of entries that people said to tell one event (`together`) or different ones, all about one news."""

    together: tuple[Pair, ...]
    apart: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """How weights judge: `right` of `said` pairs as people said, `kept` of those `around` them as they stand."""

    right: int
    said: int
    kept: int
    around: int


@dataclass(frozen=True, slots=True)
class Learned:
    """Weights fitted to all cases.

    `before` and `after` are of half the cases: by the old weights, and by weights fitted to the other half.
    """

    network: Network
    cases: int
    before: Told
    after: Told


def learn(store: Store, days: float, old: Network, name: str) -> Iterator[Learned | None]:
    """Moves the weights towards what people said of events; gives None after each step, then what it learned.

    Raises TooFewCorrectionsError with fewer than FEWEST_CASES cases.
    """
    with store.read() as db:
        cases = cases_of(all_corrections(db))[-MOST_CASES:]
        if len(cases) < FEWEST_CASES:
            raise TooFewCorrectionsError(
                f"people have corrected {len(cases)} separate events in this database: at least {FEWEST_CASES} are "
                "needed to learn from (event merge, event split)"
            )
        yield None
        seen = _see(db, cases, days, old)
    yield None
    random.Random(1).shuffle(seen)  # noqa: S311 (an order, no secret)
    half = len(seen) // 2
    tried = _fitted(seen[:half], old, name)
    yield None
    network = _fitted(seen, old, name)
    yield Learned(network, len(seen), _told(seen[half:], old), _told(seen[half:], tried))


def cases_of(corrections: Iterable[Correction]) -> list[Case]:
    """What was said, in cases that share no entry, oldest first: with all that follows from it.

    Of entries bound together each two tell one event; of two bound groups that were parted each two do not.
    """
    said = [one for one in corrections if one.b is not None]
    bound, whole = _Sets(), _Sets()
    for one in said:
        whole.join(one.a, one.b)
        if one.kind is CorrectionKind.TOGETHER:
            bound.join(one.a, one.b)
    groups = bound.groups()
    together: dict[EntryId, list[Pair]] = defaultdict(list)
    apart: dict[EntryId, list[Pair]] = defaultdict(list)
    for members in groups.values():
        together[whole.name(members[0])] += combinations(members, 2)
    parted = {
        (bound.name(one.a), bound.name(one.b)) for one in said if one.kind is CorrectionKind.APART and one.b
    }
    for low, high in sorted({(min(pair), max(pair)) for pair in parted}):
        apart[whole.name(low)] += product(groups.get(low, [low]), groups.get(high, [high]))
    names = dict.fromkeys(whole.name(one.a) for one in said)
    return [Case(_some(together[name]), _some(apart[name])) for name in names]


def _some(pairs: list[Pair]) -> tuple[Pair, ...]:
    chosen = random.Random(len(pairs)).sample(pairs, min(len(pairs), PAIRS_OF_A_CASE))  # noqa: S311
    return tuple(sorted((min(pair), max(pair)) for pair in chosen))


class _Sets:
    """Entries in sets that grow (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[EntryId, EntryId] = {}

    def name(self, entry: EntryId) -> EntryId:
        while (parent := self._parent.get(entry, entry)) != entry:
            entry = parent
        return entry

    def join(self, one: EntryId, other: EntryId | None) -> None:
        if other is not None:
            low, high = sorted((self.name(one), self.name(other)))
            self._parent[high] = low
            self._parent.setdefault(low, low)

    def groups(self) -> dict[EntryId, list[EntryId]]:
        found: dict[EntryId, list[EntryId]] = defaultdict(list)
        for entry in sorted(self._parent):
            found[self.name(entry)].append(entry)
        return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """A case's pairs: [n, features], what is true of them, and which of them people spoke of.

    Pairs with a veto (judge.VETOES) are left out: no weights change what becomes of them.
    """

    features: NDArray[np.float32]
    truth: NDArray[np.bool_]
    said: NDArray[np.bool_]


def _see(db: Connection, cases: Sequence[Case], days: float, network: Network) -> list[_Seen]:
    """The cases as they look in a window that holds all that is near to them."""
    spoken = {end for case in cases for pair in (*case.together, *case.apart) for end in pair}
    window = Window(days, semantic=network.semantic)
    reach = 2 * math.ceil(days)
    known = {day_of(signed.at) for signed in signed_entries(db, spoken)}
    nearby = {day + step for day in known for step in range(-reach, reach + 1)}
    for part in parts_of(db, signed_on(db, nearby), SCHEME):
        window.put_columns(part.columns)
    rows = window.entries.find(list(spoken))
    for _ in survey(window, np.sort(rows[rows >= 0]).astype(np.int64)):
        continue
    return [seen for case in cases if (seen := _seen(db, case, window, network)) is not None]


def _seen(db: Connection, case: Case, window: Window, network: Network) -> _Seen | None:
    number = window.entries.number
    truth = dict.fromkeys(case.apart, False) | dict.fromkeys(case.together, True)
    ends = window.entries.find([end for pair in truth for end in pair]).astype(np.int64).reshape(-1, 2)
    ends = ends[(ends >= 0).all(axis=1)]
    if window.semantic and len(ends):
        ends = ends[window.has_meaning(ends.ravel()).reshape(-1, 2).all(axis=1)]
    if not len(ends):
        return None
    spoken, around = judge(window, network, ends[:, 0], ends[:, 1]), weigh(window, network, np.unique(ends))
    a, b = np.concatenate((spoken.a, around.a)), np.concatenate((spoken.b, around.b))
    features = np.concatenate((spoken.features, around.features))
    free = np.concatenate((spoken.veto, around.veto)) == 0
    event = events_of(db, [EntryId(entry) for entry in number[np.unique(np.concatenate((a, b)))].tolist()])
    found: dict[Pair, tuple[int, bool, bool]] = {}
    for place in np.flatnonzero(free).tolist():
        one, other = sorted((EntryId(int(number[a[place]])), EntryId(int(number[b[place]]))))
        stands = one in event and event[one] == event.get(other)
        found.setdefault((one, other), (place, truth.get((one, other), stands), (one, other) in truth))
    chosen = list(found.values())
    return _Seen(
        features[[place for place, _, _ in chosen]],
        np.array([true for _, true, _ in chosen], dtype=np.bool_),
        np.array([said for _, _, said in chosen], dtype=np.bool_),
    )


def _fitted(cases: Sequence[_Seen], old: Network, name: str) -> Network:
    features = np.concatenate([case.features for case in cases])
    truth = np.concatenate([case.truth for case in cases])
    said = np.concatenate([case.said for case in cases])
    count = max(1, int(said.sum()))
    others = max(1, len(said) - count)
    weight = np.where(said, SAID_SHARE / count, (1 - SAID_SHARE) / others)
    return fit(features, truth, weight, name, old)


def _told(cases: Sequence[_Seen], network: Network) -> Told:
    right = said = kept = around = 0
    for case in cases:
        agree = (probability(network.logits(case.features)) >= SAME_EVENT) == case.truth
        right, said = right + int(agree[case.said].sum()), said + int(case.said.sum())
        kept, around = kept + int(agree[~case.said].sum()), around + int((~case.said).sum())
    return Told(right, said, kept, around)
