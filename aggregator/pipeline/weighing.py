"""Entries of a window weighed against all that is near to them, and what is kept of that."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from aggregator.cluster.copies import copy_reason
from aggregator.cluster.features import FEATURES
from aggregator.cluster.fingerprints import FINGERPRINT, Fingerprints, fingerprints, may_be_copies
from aggregator.cluster.judge import AT_ONCE, Met, Pairs, place, survey, weigh_surveyed
from aggregator.cluster.links import LINK, Links, each_once
from aggregator.cluster.network import Network
from aggregator.cluster.prepared import Prepared
from aggregator.cluster.rows import Recent, Rows
from aggregator.cluster.window import Window
from aggregator.store import Store, decisions
from aggregator.store import events as stored
from aggregator.store.pairs import copies_of
from aggregator.types import EntryId, Signed

LEAST_LINK = 0.1
"""Probability from which a pair is kept. What is left out moved the B-cubed F1 of no labelled set by .002,
and is most of all pairs."""

WRITTEN = 8
"""Parts of AT_ONCE entries weighed anew that one transaction writes: some .2 s."""

KEPT_COMPARED = 8
"""Candidates that are kept with a decision."""

MOST_PREPARED = 2_500
"""Prepared entries kept between parts, about 4 kB each."""

MOST_FINGERPRINTS = 200_000
"""Fingerprints that are kept, 20 MB. Those of other rows are made anew where they are asked for."""

COPY_SIGNS = (("texts alike", 0.6), ("titles alike", 0.8), ("terms found in the other, better", 0.7))
"""What makes a pair worth comparing word for word: copies reach at least one of these. Those of the labelled sets
have .73 or 1 of the first, or share bands of their MinHash besides."""

DATED = np.dtype([*LINK.descr, ("day", "<i4")])
"""A pair that is kept; `day`: that of the later one."""

Copies = Collection[tuple[EntryId, EntryId]]
"""Pairs that are the same text, lower number first."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """What weighing some entries found: a decision on each, and `links` [pairs, DATED].

    `features`: how many each compared entry has.
    """

    decided: list[decisions.Weighed]
    links: Links
    features: int

    def without(self, entries: Collection[EntryId]) -> Weighing:
        """The same as if these entries had not been weighed."""
        if not entries:
            return self
        gone = list(entries)
        kept = ~(np.isin(self.links["a"], gone) | np.isin(self.links["b"], gone))
        decided = [one for one in self.decided if one.entry not in entries]
        return replace(self, decided=decided, links=self.links[kept])


class Carried:
    """Links to entries that are still to be weighed: these would lose those that were found from this side only."""

    def __init__(self) -> None:
        self._links: Links = np.empty(0, DATED)
        self._end = np.empty(0, np.int64)
        """The entry for which each link is carried."""
        self._weighed = np.empty(0, np.int64)

    def begin(self, first: int) -> None:
        """Entries of the day `first` and later are weighed from now on: links before that are carried no more."""
        self._weighed = np.empty(0, np.int64)
        self._keep(self._links["day"] >= first)

    def with_carried(self, entries: Collection[EntryId], links: Links) -> Links:
        """The links of entries weighed now, and those carried for them."""
        numbers = np.fromiter(entries, np.int64, len(entries))
        for_them = np.isin(self._end, numbers)
        both = np.concatenate((links, self._links[for_them]))
        # A copy is told by the new one of the two: where the old one is judged by others, they can't know it yet.
        every = each_once(both[np.argsort(~both["is_copy"], kind="stable")])
        self._keep(~for_them)
        self._weighed = np.concatenate((self._weighed, numbers))
        for end in ("a", "b"):
            ahead = ~np.isin(links[end], self._weighed)
            self._links = np.concatenate((self._links, links[ahead]))
            self._end = np.concatenate((self._end, links[end][ahead]))
        return every

    def _keep(self, chosen: NDArray[np.bool_]) -> None:
        self._links, self._end = self._links[chosen], self._end[chosen]


class Weigher:
    """A window and how its entries are compared. All of it is a cache of the store."""

    def __init__(self, days: float, network: Network) -> None:
        self.window = Window(days, semantic=network.semantic)
        self.network = network
        self._prepared: dict[EntryId, Prepared] = {}
        self._fingerprints = Recent(np.uint64, FINGERPRINT, MOST_FINGERPRINTS)

    def place(self, db: Connection, batch: Sequence[Signed]) -> Weighing:
        """New entries put and weighed as they come. What is near to older ones changes with them."""
        self._forget_prepared()
        self.forget(entry.id for entry in batch)
        rows = self.window.put(batch)
        signatures = [entry.signature for entry in batch]
        self._fingerprints.put(rows, fingerprints([(one.title, one.lead, one.body) for one in signatures]))
        pairs = place(self.window, self.network, rows)
        copies = self._copies(db, pairs, rows)
        among = -self.window.surroundings(rows)
        self.window.remember_among(rows, among)
        return self._weighing(rows, pairs, copies, among)

    def weigh(
        self, store: Store, rows: Rows, new: Collection[EntryId], beside: Rows | None = None
    ) -> Generator[Weighing | None, None, None]:
        """Weighs rows in the window as it is now, in steps; None = one that found what is near.

        `new`: entries weighed for the first time; of the others it stays as it was found whether two are copies.
        `beside`: other rows whose nearest are found anew, too.
        """
        met = yield from survey(self.window, rows, beside)
        yield from self.weigh_met(store, rows, met, new)

    def weigh_met(
        self, store: Store, rows: Rows, met: Sequence[Met], new: Collection[EntryId]
    ) -> Iterator[Weighing]:
        """Weighs rows whose candidates a survey found, those of each AT_ONCE rows; `new`: as in `weigh`."""
        for start in range(0, len(rows), WRITTEN * AT_ONCE):
            self._forget_prepared()
            part, first = rows[start : start + WRITTEN * AT_ONCE], start // AT_ONCE
            pairs = weigh_surveyed(self.window, self.network, part, met[first : first + WRITTEN])
            numbers = {EntryId(number) for number in self.window.entries.number[part].tolist()}
            with store.read() as db:
                known = copies_of(db, numbers.difference(new))
                # Of a pair with a new entry that one tells, whether it has been written yet or not.
                copies = {pair for pair in known if not any(end in new for end in pair)}
                fresh = self.window.entries.rows_of(numbers.intersection(new))
                copies |= self._copies(db, pairs, fresh)
            yield self._weighing(part, pairs, copies, self.window.surroundings(part))

    def _weighing(self, rows: Rows, pairs: Pairs, copies: Copies, among: NDArray[np.int64]) -> Weighing:
        return Weighing(
            self._decided(rows, pairs, copies, among), self._links(pairs, copies), pairs.features.shape[1]
        )

    # ---- copies ----------------------------------------------------------------------------------

    def _copies(self, db: Connection, pairs: Pairs, rows: Rows) -> set[tuple[EntryId, EntryId]]:
        """The pairs of these rows, with one another or with other ones, that are the same text."""
        if not len(rows):
            return set()
        signs = [pairs.features[:, FEATURES.index(name)] >= least for name, least in COPY_SIGNS]
        worth = np.logical_or.reduce(signs) & np.isin(pairs.a, rows)
        asking, banded = self.window.same_bands(rows)
        one = np.concatenate((pairs.a[worth], rows[asking]))
        other = np.concatenate((pairs.b[worth], banded))
        different, position = np.unique(np.concatenate((one, other)), return_inverse=True)
        a, b = np.split(self._fingerprints_of(db, different)[position], 2)
        maybe = may_be_copies(a, b)
        number = self.window.entries.number
        ends = np.sort(np.stack((number[one[maybe]], number[other[maybe]]), axis=1), axis=1)
        return self._compared(db, {(EntryId(a), EntryId(b)) for a, b in ends.tolist()})

    def _compared(
        self, db: Connection, pairs: Collection[tuple[EntryId, EntryId]]
    ) -> set[tuple[EntryId, EntryId]]:
        """Those of these pairs that are the same text; none of an entry that was removed meanwhile."""
        missing = {end for pair in pairs for end in pair} - self._prepared.keys()
        self._prepared.update((one.id, one) for one in stored.prepared_entries(db, missing))
        there = self._prepared
        return {(a, b) for a, b in pairs if a in there and b in there and copy_reason(there[a], there[b])}

    def _fingerprints_of(self, db: Connection, rows: Rows) -> Fingerprints:
        found = np.zeros((len(rows), FINGERPRINT), np.uint64)
        known = self._fingerprints.known(rows)
        found[known] = self._fingerprints.get(rows[known])
        if known.all():
            return found
        missing = rows[~known]
        texts = stored.texts_of(db, self.window.entries.number[missing].tolist())
        numbers = [number for number, *_ in texts]
        at = np.searchsorted(rows, self.window.entries.rows_of(numbers))
        found[at] = fingerprints([(title, lead, body) for _, title, lead, body in texts])
        self._fingerprints.put(rows[at], found[at])
        return found

    def _forget_prepared(self) -> None:
        for entry in list(self._prepared)[:-MOST_PREPARED]:
            del self._prepared[entry]

    def forget(self, entries: Iterable[EntryId]) -> None:
        """The store no longer has these, or has others in their place."""
        for entry in entries:
            self._prepared.pop(entry, None)

    # ---- what is kept ----------------------------------------------------------------------------

    def _links(self, pairs: Pairs, copies: Copies) -> Links:
        """The pairs that are kept, each once; copies have 1."""
        entries = self.window.entries
        strong = np.flatnonzero(pairs.chance >= LEAST_LINK)
        copied = entries.rows_of(end for pair in sorted(copies) for end in pair).reshape(-1, 2)
        rows = np.concatenate((copied, np.stack((pairs.a[strong], pairs.b[strong]), axis=1)))
        ends = np.sort(entries.number[rows], axis=1)
        found = np.empty(len(rows), DATED)
        found["a"], found["b"], found["day"] = (
            ends[:, 0],
            ends[:, 1],
            entries.day[rows].max(axis=1, initial=0),
        )
        found["score"] = np.concatenate((np.ones(len(copied)), pairs.chance[strong]))
        found["is_copy"] = np.arange(len(rows)) < len(copied)
        # Of a pair that was found twice the first counts: as a copy, or from the side that was weighed first.
        return each_once(found)

    def _decided(
        self, rows: Rows, pairs: Pairs, copies: Copies, among: NDArray[np.int64]
    ) -> list[decisions.Weighed]:
        """What was seen of rows, and among how many entries."""
        number = self.window.entries.number
        order = np.lexsort((-pairs.chance, pairs.a))
        start = np.searchsorted(pairs.a[order], rows, side="left")
        seen = np.searchsorted(pairs.a[order], rows, side="right") - start
        kept = np.minimum(seen, KEPT_COMPARED)
        before = np.cumsum(kept) - kept
        best = order[np.arange(kept.sum()) + np.repeat(start - before, kept)]
        one, other = number[pairs.a[best]], number[pairs.b[best]]
        is_copy = [
            (min(a, b), max(a, b)) in copies for a, b in zip(one.tolist(), other.tolist(), strict=True)
        ]
        compared = decisions.packed(
            other, pairs.chance[best], np.array(is_copy, np.bool_), pairs.veto[best], pairs.features[best]
        )
        return [
            decisions.Weighed(EntryId(entry), population, count, compared(first, first + some))
            for entry, population, count, first, some in zip(
                number[rows].tolist(),
                among.tolist(),
                seen.tolist(),
                before.tolist(),
                kept.tolist(),
                strict=True,
            )
        ]
