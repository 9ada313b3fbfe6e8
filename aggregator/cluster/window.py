"""All entries within some days of one another: how common each term is among them, and who is near to whom."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.columns import SignedColumns, columns_of
from aggregator.cluster.meaning import VECTOR, to_bytes
from aggregator.cluster.measured import Measured
from aggregator.cluster.postings import Postings, order_of
from aggregator.cluster.ranking import best, counted, numbered, ranks
from aggregator.cluster.rows import RARITIES, Column, Entries, Recent, Rows
from aggregator.cluster.signature import BAND_ROWS, PERMUTATIONS, band_keys
from aggregator.cluster.weights import Shared, Weighed
from aggregator.types import Signed

EXPECTED = 300.0
"""Entries that a language's word list counts for beside the window's own: what a word's rarity is before the
window has said anything. A fresh database has no window."""

ENTRY_WORDS = 40.0

NEIGHBOURS = 24
"""Nearest entries that are remembered for each entry."""

LEAST_NEAR = 0.05
"""Cosine below which nothing is near."""

MOST_ASKED = 20
FEWEST_ASKED = 3
BUDGET = 800
"""Of an entry's rarest terms up to MOST_ASKED are looked up, as long as they stand in at most BUDGET entries
together; at least FEWEST_ASKED always."""

CANDIDATES = 64
"""Entries that share the most of the looked up terms, by their weight, and are compared in full."""

LEAST_MEANING = 0.5
FOREIGN = 16
"""Of entries in other languages those that mean at least so much alike, as a cosine, and of these the closest."""

ECHO = 256
ECHO_NEIGHBOURS = 12
"""An entry's echo: its terms and those of its nearest entries, as a sketch of ECHO numbers (Charikar, Chen,
Farach-Colton 2002: Finding frequent items in data streams)."""

MOST_SKETCHES = 200_000
"""Sketches that are kept, and echoes: 51 MB each. Those of other rows are made anew where they are asked for."""

MOST_KEPT = 300_000
KEPT_FOR_EACH = 50
"""Rows of a window whose weights are kept while rows of it are surveyed, at most so many for each of these."""

REMEMBERED = 1024
"""Rows whose lists of the nearest are made together: 32 MB of intermediate values, twice as many take 53 MB and the
same time."""

USUAL = 10
PAIRS_AT_ONCE = 4096
KNOWN_DAYS = 64

COUNTED = 50_000
"""Rows of a day whose terms are counted at once: 40 MB of intermediate values."""

LOOKED_UP_BANDS = 16
"""Bands of the MinHash by which copies meet that share no rare term, or share theirs with hundreds: two
entries of Jaccard similarity .8 share one with probability .9998, of .6 with .89."""


Near = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
"""Pairs of rows that are near to one another, and their cosines."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """What is near to some rows: `near` and `closeness` [rows, NEIGHBOURS], rows and cosines, highest first.

    -1 = nothing more. `settled`: which of the rows had it found for themselves, not by others alone;
    `usual_echo`: see Window.usual_echo.
    """

    near: NDArray[np.int32]
    closeness: NDArray[np.float32]
    settled: NDArray[np.bool_]
    usual_echo: NDArray[np.float32]

    def only(self, kept: NDArray[np.bool_]) -> Nearest:
        """That of some of the rows."""
        return Nearest(self.near[kept], self.closeness[kept], self.settled[kept], self.usual_echo[kept])


class Window:
    """Entries that may meet: those within `days` days of one another.

    All of it is a cache of the store, kept in step by `put`. A row whose entry was edited is dead: it is
    found no more, and the edited entry has a new one.
    """

    def __init__(self, days: float, *, semantic: bool = False) -> None:
        self.entries = Entries(semantic=semantic)
        self.days = days
        self._reach = math.ceil(days)
        self._terms = Postings()
        self._bands = Postings()
        self._counts: OrderedDict[int, tuple[Column, list[int]]] = OrderedDict()
        self._rows_of_day: dict[int, list[NDArray[np.int32]]] = {}
        self._living: Counter[int] = Counter()
        self._alive = Column(np.bool_)
        self._among = Column(np.int32)
        self._settled = Column(np.bool_)
        self._near = Column(np.int32, NEIGHBOURS, -1)
        self._closeness = Column(np.float32, NEIGHBOURS)
        self._sketches = Recent(np.int8, ECHO, MOST_SKETCHES)
        self._echoes = Recent(np.int8, ECHO, MOST_SKETCHES)
        self._echo_norm = Column(np.float32)
        self._usual_echo = Column(np.float32)
        self._of_near = (self._near, self._closeness, self._settled, self._usual_echo)
        self._of_rows = (self._among, self._echo_norm, *self._of_near)
        self._everyone: Weighed | None = None
        self.measured = Measured()
        """Of pairs of rows, while nothing changes that it is made of."""

    @property
    def semantic(self) -> bool:
        """Whether what entries mean is known and compared, too."""
        return self.entries.semantic

    def reserve(self, entries: int) -> None:
        """Has room for so many more entries, if they are more than those that are here."""
        self.entries.reserve(entries)
        for column in (self._alive, *self._of_rows):
            column.reserve(len(self.entries) + entries)

    def put(self, entries: Sequence[Signed]) -> Rows:
        """The rows of entries, which are findable from now on; an entry that was here before gets a new row."""
        return self.put_columns(columns_of(entries))

    def put_columns(self, entries: SignedColumns) -> Rows:
        """As `put`: many at once, as the store gives them."""
        known = self.entries.find(entries.ids)
        if (known >= 0).any():
            self._bury(known[known >= 0].astype(np.int64))
        rows = self.entries.append(entries)
        for column in self._of_rows:
            column.grow(len(self.entries))
        self._alive.extend(np.ones(len(rows), np.bool_))
        days = self.entries.day[rows]
        minhashes = np.frombuffer(entries.minhashes, "<u4").reshape(-1, PERMUTATIONS)
        for day in np.unique(days).tolist():
            chosen = days == day
            self._rows_of_day.setdefault(day, []).append(rows[chosen].astype(np.int32))
            worded = np.flatnonzero(chosen & (entries.term_counts > 0))
            if len(worded):
                owner, at = self.entries.spread(rows[worded])
                self._terms.add(day, self.entries.term[at].astype(np.uint32), rows[worded[owner]])
                keys = _bands(minhashes[worded])
                self._bands.add(day, keys.ravel(), np.repeat(rows[worded], keys.shape[1]))
        self._recount(rows, 1)
        return rows

    def _bury(self, rows: Rows) -> None:
        self._alive.view[rows] = False
        self._recount(rows, -1)
        lost = np.isin(self._near.view, rows)
        self._near.view[lost], self._closeness.view[lost] = -1, 0
        # The lists stay in falling order of closeness.
        for row in np.flatnonzero(lost.any(axis=1)).tolist():
            order = np.argsort(-self._closeness.view[row], kind="stable")
            self._near.view[row], self._closeness.view[row] = (
                self._near.view[row, order],
                self._closeness.view[row, order],
            )

    def _recount(self, rows: Rows, step: int) -> None:
        self._everyone = None
        self.measured.forget()
        days = self.entries.day[rows]
        for day in np.unique(days).tolist():
            chosen = rows[days == day]
            self._living[day] += step * len(chosen)
            near = range(day - self._reach, day + self._reach + 1)
            counted = [self._counts[about] for about in near if about in self._counts]
            if counted:
                terms = self.entries.term[self.entries.spread(chosen)[1]]
                for counts in counted:
                    _count(counts, terms, len(chosen), self.entries.vocabulary, step)

    def rows_on(self, days: Iterable[int]) -> Rows:
        """The living rows of these days."""
        rows = np.sort(np.concatenate([self._rows_on(day) for day in days] or [np.empty(0, np.int64)]))
        living: Rows = rows[self._alive.view[rows]]
        return living

    def rows_beside(self, rows: Rows) -> Rows:
        """The living rows of all days whose entries may change what is near to rows, see `surroundings`."""
        most = 3 * self._reach
        days = np.unique(self.entries.day[rows]).tolist()
        return self.rows_on({day + step for day in days for step in range(-most, most + 1)})

    def _rows_on(self, day: int) -> Rows:
        parts = self._rows_of_day.get(day)
        if parts is None:
            return np.empty(0, np.int64)
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0].astype(np.int64)

    def surroundings(self, rows: Rows) -> NDArray[np.int64]:
        """How many entries there are whose coming and going may change what is near to each row.

        An entry within reach changes the weights of terms there; so what is near to an entry changes with all
        within twice the reach, and the echoes of those near to it with all within three times the reach.
        """
        days, place = np.unique(self.entries.day[rows], return_inverse=True)
        known = np.array(sorted(self._living), dtype=np.int64)
        count = np.cumsum([0, *(self._living[day] for day in known.tolist())])
        reach = 3 * self._reach
        first, last = np.searchsorted(known, days - reach), np.searchsorted(known, days + reach, side="right")
        found: NDArray[np.int64] = (count[last] - count[first])[place]
        return found

    def remember_among(self, rows: Rows, among: NDArray[np.int64]) -> None:
        """What `surroundings` were when rows were last decided on; 0 = never, negative = as they came."""
        self._among.view[rows] = among

    def outgrown(self, growth: float, exact_below: int, within: Rows | None = None) -> Rows:
        """The rows, decided on before, whose surroundings are `growth` times as many since then, or shrank so.

        `within`: the rows that are looked at, instead of all.
        Of fewer than `exact_below` any change is enough, and for all others if it is time for half of them: then
        what becomes of them is a function of what is there by now. Rows that have just come have changed, too:
        what is near to them was found while others of their kind were still to come.
        """
        known = self._alive.view & (self._among.view != 0)
        rows = np.flatnonzero(known) if within is None else within[known[within]]
        if not len(rows):
            return rows
        among, now = self._among.view[rows], self.surroundings(rows)
        before = np.abs(among)
        far = (now > before * growth) | (now * growth < before)
        different = (now != before) | (among < 0)
        found: Rows = rows[far | (different & ((now < exact_below) | (2 * far.sum() >= different.sum())))]
        return found

    def _counts_about(self, day: int) -> tuple[Column, list[int]]:
        known = self._counts.get(day)
        if known is None:
            known = self._counts[day] = (Column(np.int32), [0])
            for near in range(day - self._reach, day + self._reach + 1):
                rows = self._rows_on(near)
                rows = rows[self._alive.view[rows]]
                for start in range(0, len(rows), COUNTED):
                    part = rows[start : start + COUNTED]
                    terms = self.entries.term[self.entries.spread(part)[1]]
                    _count(known, terms, len(part), self.entries.vocabulary, 1)
            if len(self._counts) > KNOWN_DAYS:
                self._counts.popitem(last=False)
        self._counts.move_to_end(day)
        known[0].grow(self.entries.vocabulary)
        return known

    # ---- weights ---------------------------------------------------------------------------------

    def weigh(self, rows: Rows) -> Weighed:
        """The terms of rows with their weights on the days of these rows."""
        owner, at = self.entries.spread(rows)
        idf = self._idf_of(rows, owner, at) if self._everyone is None else self._everyone.idf[at]
        starts = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=len(rows)))))
        return Weighed(starts, self.entries.term[at], self.entries.mark[at], self.entries.rarity[at], idf)

    def keep_weights(self, rows: Rows) -> None:
        """Keeps the weights of all terms until the next `put`, if what is asked of rows makes up for it."""
        everyone = np.arange(len(self.entries))
        if len(everyone) <= min(MOST_KEPT, KEPT_FOR_EACH * len(rows)):
            entries = self.entries
            idf = self._idf_of(everyone, *entries.spread(everyone))
            self._everyone = Weighed(entries.starts, entries.term, entries.mark, entries.rarity, idf)

    def _idf_of(self, rows: Rows, owner: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.float32]:
        idf = np.empty(len(at), np.float32)
        days = self.entries.day[rows]
        for day in np.unique(days).tolist():
            chosen = np.flatnonzero((days == day)[owner])
            idf[chosen] = self._idf(day, at[chosen])
        return idf

    def _idf(self, day: int, at: NDArray[np.int64]) -> NDArray[np.float64]:
        column, (size,) = self._counts_about(day)
        expected = EXPECTED * EXPECTED_SHARE[self.entries.rarity[at]]
        return np.maximum(
            np.log((size + EXPECTED) / (column.view[self.entries.term[at]] + expected + 0.5)), 0.0
        )

    # ---- who is near -----------------------------------------------------------------------------

    def meet(self, rows: Rows) -> tuple[NDArray[np.int64], Rows]:
        """Pairs (position in rows, row): those that share the most of each row's telling terms."""
        weighed = self.weigh(rows)
        rarity = ~weighed.idf.view(np.uint32)  # positive numbers rise as their bits do
        order = order_of(rarity & 0xFFFF, rarity >> 16, weighed.owner)
        owner, term, idf = weighed.owner[order], weighed.term[order], weighed.idf[order].astype(np.float64)
        first = np.searchsorted(owner, np.arange(len(rows)))
        rank = np.arange(len(owner)) - first[owner]
        days = self.entries.day[rows]
        count = np.empty(len(term))
        for day in np.unique(days).tolist():
            chosen = (days == day)[owner]
            count[chosen] = self._counts_about(day)[0].view[term[chosen]]
        total = np.bincount(owner, count, minlength=len(rows))
        reached = np.cumsum(count) - (np.cumsum(total) - total)[owner]
        asked = (rank < MOST_ASKED) & ((reached <= BUDGET) | (rank < FEWEST_ASKED)) & (count > 1)
        owner, term, idf = owner[asked], term[asked], idf[asked]
        position, found = self._terms.find(days[owner], term.astype(np.uint32), self._reach)
        return self._chosen(rows, owner[position], found.astype(np.int64), np.square(idf[position]))

    def same_bands(self, rows: Rows) -> tuple[NDArray[np.int64], Rows]:
        """Pairs (position in rows, row) that share most MinHash bands: nearly all are copies."""
        days = self.entries.day[rows]
        asking, keys = self._bands.keys_of(days, rows)
        position, found = self._bands.find(days[asking], keys, self._reach)
        return self._chosen(
            rows, asking[position].astype(np.int64), found.astype(np.int64), np.ones(len(position))
        )

    def meet_foreign(self, rows: Rows) -> tuple[NDArray[np.int64], Rows]:
        """Pairs (position in rows, row): those of another language that mean the most alike.

        All within reach are compared: encoding a text takes longer than comparing it with 100,000.
        """
        entries = self.entries
        asks = np.flatnonzero((entries.lang[rows] > 0) & self.has_meaning(rows))
        asking = rows[asks]
        if not len(asking):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        days = entries.day[asking]
        there = self.rows_on(range(int(days.min()) - self._reach, int(days.max()) + self._reach + 1))
        there = np.extract(entries.lang[there] > 0, there)
        vectors = _unit(entries.meaning[asking, VECTOR:])
        found: list[tuple[NDArray[np.int64], Rows, NDArray[np.float64]]] = []
        for start in range(0, len(there), PAIRS_AT_ONCE):
            part = there[start : start + PAIRS_AT_ONCE]
            alike = vectors @ _unit(entries.meaning[part, VECTOR:]).T
            position, place = np.nonzero(alike >= LEAST_MEANING)
            foreign = entries.lang[asking[position]] != entries.lang[part[place]]
            position, place = position[foreign], place[foreign]
            found.append((position, part[place], alike[position, place].astype(np.float64)))
        position, others, worth = (np.concatenate(columns) for columns in zip(*found, strict=True))
        near = np.flatnonzero(np.abs(entries.at[asking[position]] - entries.at[others]) <= self.days * 86_400)
        position, others, worth = position[near], others[near], worth[near]
        chosen = best(position, worth, others, entries.content[others], FOREIGN)
        return asks[position[chosen]], others[chosen]

    def has_meaning(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of rows have been encoded."""
        found: NDArray[np.bool_] = np.any(self.entries.meaning[rows, :VECTOR] != 0, axis=1)
        return found

    def meaning_alike(self, one: Rows, other: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The cosines of what the titles of pairs of rows mean, and of what the whole means."""
        alike = np.zeros((2, len(one)))
        for start in range(0, len(one), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            a, b = self.entries.meaning[one[part]], self.entries.meaning[other[part]]
            for number, half in enumerate((slice(VECTOR), slice(VECTOR, None))):
                alike[number, part] = np.einsum("ij,ij->i", _unit(a[:, half]), _unit(b[:, half]))
        return alike[0], alike[1]

    def _chosen(
        self, rows: Rows, asking: NDArray[np.int64], found: Rows, worth: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], Rows]:
        """Each pair once, of every asking row's the CANDIDATES of most worth."""
        kept = np.flatnonzero(self._may_meet(rows[asking], found))
        if not len(kept):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        asking, found, worth = asking.take(kept), found.take(kept), worth.take(kept)
        order = order_of(found & 0xFFFF, found >> 16, asking)
        asking, found = asking.take(order), found.take(order)
        is_first = np.ones(len(order), np.bool_)
        is_first[1:] = (found[1:] != found[:-1]) | (asking[1:] != asking[:-1])
        starts = np.flatnonzero(is_first)
        total = np.add.reduceat(worth.take(order), starts)
        asking, found = asking.take(starts), found.take(starts)
        chosen = best(asking, total, found, self.entries.content[found], CANDIDATES)
        return asking.take(chosen), found.take(chosen)

    def _may_meet(self, one: Rows, other: Rows) -> NDArray[np.bool_]:
        lang, at = self.entries.lang, self.entries.at
        speaks, understands = lang.take(one), lang.take(other)
        speak = (speaks == understands) | (speaks == 0) | (understands == 0)
        near = np.abs(at.take(one) - at.take(other)) <= self.days * 86_400
        found: NDArray[np.bool_] = (one != other) & speak & near & self._alive.view.take(other)
        return found

    def share(self, rows: Rows, a: NDArray[np.int64], others: Rows) -> Shared:
        """The terms that `rows[a[p]]` and `others[p]` share, for each pair p. `rows` are at most some hundreds."""
        if self._everyone is not None:
            left = right = self._everyone
            one, other = rows[a], others
        else:
            different, other = numbered(others, len(self.entries))
            left, right, one = self.weigh(rows), self.weigh(different), a
        column_of, table = self._table(rows)
        lengths = (right.starts[1:] - right.starts[:-1])[other]
        before = np.cumsum(lengths) - lengths
        at = np.repeat(right.starts[other] - before, lengths)
        at += np.arange(len(at))
        place = column_of.take(right.term.take(at))
        place += np.repeat(a.astype(np.int32) * (len(table) // max(1, len(rows))), lengths)
        found = table.take(place)
        both = np.flatnonzero(found != 0)
        pair = np.repeat(np.arange(len(a)), lengths).take(both)
        return Shared(
            left, right, one, other, pair, left.starts[one].take(pair) + found.take(both) - 1, at.take(both)
        )

    def _table(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Each row's terms as a row of a table, by their place among its terms, from 1; and each word's column.

        The last column stands for all words that no row has.
        """
        owner, at = self.entries.spread(rows)
        words, column = numbered(self.entries.term[at], self.entries.vocabulary)
        column_of = np.full(self.entries.vocabulary, len(words), dtype=np.int32)
        column_of[words] = np.arange(len(words))
        width = len(words) + 1
        table = np.zeros(len(rows) * width, np.uint8)
        table[owner * width + column] = at - self.entries.starts[rows][owner] + 1
        return column_of, table

    def forget_near(self, rows: Rows) -> None:
        """Forgets what is near to rows."""
        self.measured.forget()
        self._near.view[rows], self._closeness.view[rows] = -1, 0

    def nearest(self, rows: Rows) -> Nearest:
        """What is known to be near to rows."""
        return Nearest(*(column.view[rows] for column in self._of_near))

    def put_nearest(self, rows: Rows, found: Nearest) -> None:
        """Has that near to rows, instead of what was."""
        self.measured.forget()
        for column, values in zip(
            self._of_near, (found.near, found.closeness, found.settled, found.usual_echo), strict=True
        ):
            column.view[rows] = values

    def settled(self, rows: Rows) -> None:
        """What is near to rows has been found, by whatever window that has the same entries."""
        self._settled.view[rows] = True

    def settle(self, rows: Rows) -> tuple[NDArray[np.int64], Rows, Shared]:
        """Finds what is near to rows, beside what is known; returns the candidate pairs with what they share."""
        a, others, shared, _, (one, other, closeness) = self._compare(rows)
        self._remember(one, other, closeness)
        self._remember(other, one, closeness)
        return a, others, shared

    def compare(self, rows: Rows) -> tuple[NDArray[np.int64], Rows, NDArray[np.float64], Near]:
        """As `settle`, but the pairs come with their cosines, and those that are near are left to `remember`."""
        a, others, _, closeness, near = self._compare(rows)
        return a, others, closeness, near

    def _compare(self, rows: Rows) -> tuple[NDArray[np.int64], Rows, Shared, NDArray[np.float64], Near]:
        a, others = self.meet(rows)
        shared = self.share(rows, a, others)
        closeness = shared.cosine()
        near = np.flatnonzero(closeness >= LEAST_NEAR)
        self._settled.view[rows] = True
        self._sketch_of(rows)
        found = (
            rows[a[near]].astype(np.int32),
            others[near].astype(np.int32),
            closeness[near].astype(np.float32),
        )
        return a, others, shared, closeness, found

    def remember(self, near: list[Near]) -> Iterator[None]:
        """Puts either row of each pair into the list of the other's nearest, in steps; empties `near`.

        A pair that is named from both sides has one cosine: nothing was put meanwhile.
        """
        if not near:
            return
        one, other, closeness = (np.concatenate(columns) for columns in zip(*near, strict=True))
        near.clear()
        chosen = np.zeros(len(self.entries), np.bool_)
        chosen[one] = chosen[other] = True
        everyone = np.flatnonzero(chosen)
        # All pairs are looked through for many rows at once, and those found for a part of these: all anew for
        # each part would take the square of their number.
        size = REMEMBERED * math.isqrt(1 + len(everyone) // REMEMBERED)
        for start in range(0, len(everyone), size):
            many = everyone[start : start + size]
            chosen[:] = False
            chosen[many] = True
            kept = np.flatnonzero(chosen.take(one) | chosen.take(other))
            yield from self._remember_in_parts(many, one.take(kept), other.take(kept), closeness.take(kept))

    def _remember_in_parts(
        self, rows: Rows, one: NDArray[np.int32], other: NDArray[np.int32], closeness: NDArray[np.float32]
    ) -> Iterator[None]:
        chosen = np.zeros(len(self.entries), np.bool_)
        for start in range(0, len(rows), REMEMBERED):
            chosen[:] = False
            chosen[rows[start : start + REMEMBERED]] = True
            of_one, of_other = np.flatnonzero(chosen.take(one)), np.flatnonzero(chosen.take(other))
            self._remember(
                np.concatenate((one[of_one], other[of_other])),
                np.concatenate((other[of_one], one[of_other])),
                np.concatenate((closeness[of_one], closeness[of_other])),
            )
            yield

    def unsettled(self, rows: Rows) -> Rows:
        """Those of rows whose nearest are not known yet, each once."""
        found: Rows = np.unique(rows[~self._settled.view[rows]])
        return found

    def neighbours_of(self, rows: Rows) -> Rows:
        """Rows that have one of `rows` among their three nearest."""
        near = self._near.view[rows]
        others = np.unique(near[near >= 0]).astype(np.int64)
        return others[np.isin(self._near.view[others][:, :3], rows).any(axis=1)]

    def _remember(
        self, rows: NDArray[np.int32], others: NDArray[np.int32], closeness: NDArray[np.float32]
    ) -> None:
        """Puts entries into the lists of the nearest of rows."""
        self.measured.forget()
        changed, owner = numbered(rows, len(self.entries))
        known = self._near.view[changed]
        # The new value of a pair that is known already replaces it.
        listed = np.flatnonzero((known[:, 0] >= 0)[owner])
        again, place = np.nonzero(known[owner[listed]] == others[listed, None])
        known[owner[listed[again]], place] = -1
        keeper, place = np.nonzero(known >= 0)
        owners = np.concatenate((owner, keeper))
        everyone = np.concatenate((others, known[keeper, place]))
        values = np.concatenate((closeness, self._closeness.view[changed[keeper], place]))
        # A pair may come from both sides: then it stands there twice, one next to the other.
        chosen = best(owners, values, everyone, self.entries.content[everyone], 2 * NEIGHBOURS)
        owners, everyone = owners[chosen], everyone[chosen]
        once = np.flatnonzero((np.diff(owners, prepend=-1) != 0) | (np.diff(everyone, prepend=-1) != 0))
        rank = ranks(owners[once])
        once, rank = once[rank < NEIGHBOURS], rank[rank < NEIGHBOURS]
        near = np.full((len(changed), NEIGHBOURS), -1, np.int32)
        close = np.zeros((len(changed), NEIGHBOURS), np.float32)
        near[owners[once], rank], close[owners[once], rank] = everyone[once], values[chosen[once]]
        self._near.view[changed], self._closeness.view[changed] = near, close

    def _sketch_of(self, rows: Rows) -> NDArray[np.int8]:
        """A sketch of the terms of rows, as they weigh now; it is remembered."""
        weighed = self.weigh(rows)
        bucket, sign = _bucket(self.entries.word[weighed.term])
        sketch = np.bincount(
            weighed.owner * ECHO + bucket, weighed.weight() * sign, minlength=len(rows) * ECHO
        )
        found = to_bytes(sketch.astype(np.float64).reshape(-1, ECHO))
        self._sketches.put(rows, found)
        return found

    def _sketches_of(self, rows: Rows) -> NDArray[np.int8]:
        known = self._sketches.known(rows)
        if known.all():
            return self._sketches.get(rows)
        found = np.empty((len(rows), ECHO), np.int8)
        found[known] = self._sketches.get(rows[known])
        found[~known] = self._sketch_of(rows[~known])
        return found

    def echo(self, rows: Rows) -> NDArray[np.int8]:
        """The echoes [rows, ECHO] of rows, made anew from the entries that are near to them, and remembered."""
        near = self._near.view[rows][:, :ECHO_NEIGHBOURS]
        close = np.where(near >= 0, self._closeness.view[rows][:, :ECHO_NEIGHBOURS], np.float32(0))
        who = np.concatenate((rows[:, None], np.maximum(near, 0)), axis=1)
        share = np.concatenate((np.ones((len(rows), 1), np.float32), close), axis=1)
        different, which = numbered(who, len(self.entries))
        sketch = self._sketches_of(different).astype(np.float32)
        sketch /= np.maximum(np.linalg.norm(sketch, axis=1), 1e-9)[:, None]
        summed = np.einsum("rn,rne->re", share, sketch.take(which, axis=0))
        found = to_bytes(summed)
        self._echoes.put(rows, found)
        self._echo_norm.view[rows] = np.sqrt(_dot(found, found))
        return found

    def _echoes_of(self, rows: Rows) -> NDArray[np.int8]:
        known = self._echoes.known(rows)
        if known.all():
            return self._echoes.get(rows)
        found = np.zeros((len(rows), ECHO), np.int8)
        found[known] = self._echoes.get(rows[known])
        # Rows whose nearest are not known have no echo yet; those of others were forgotten.
        forgotten = np.flatnonzero(~known & self._settled.view[rows])
        if len(forgotten):
            missing, which = np.unique(rows[forgotten], return_inverse=True)
            found[forgotten] = self.echo(missing)[which]
        return found

    def compare_echoes(self, rows: Rows) -> None:
        """Makes the usual likeness of rows' echoes to those of their nearest anew."""
        self.measured.forget()
        near = self._near.view[rows][:, :USUAL]
        owner, place = np.nonzero(near >= 0)
        alike = self.echo_alike(rows[owner], near[owner, place].astype(np.int64))
        count = np.bincount(owner, minlength=len(rows))
        total = np.bincount(owner, np.maximum(alike, 0.0), minlength=len(rows))
        self._usual_echo.view[rows] = total / np.maximum(count, 1)

    def closeness(self, rows: Rows) -> NDArray[np.float32]:
        """The cosines [rows, NEIGHBOURS] of each row's nearest entries, highest first, 0 where there is none."""
        found: NDArray[np.float32] = self._closeness.view[rows]
        return found

    def usual_echo(self, rows: Rows) -> NDArray[np.float32]:
        """How much the echoes of each row's nearest entries are like its own, in the mean."""
        found: NDArray[np.float32] = self._usual_echo.view[rows]
        return found

    def near_in_common(self, one: Rows, other: Rows) -> NDArray[np.float64]:
        """The share of NEIGHBOURS that two rows have in common, for pairs of rows; `one` are few."""
        rows, place = numbered(one, len(self.entries))
        near = self._near.view[rows]
        owner, at = np.nonzero(near >= 0)
        known, column = numbered(near[owner, at], len(self.entries))
        # Column 0 stands for all that is near to none of `rows`; -1, nothing, is looked up at the end.
        column_of = np.zeros(len(self.entries) + 1, np.int32)
        column_of[known] = np.arange(1, len(known) + 1)
        width = len(known) + 1
        table = np.zeros(len(rows) * width, np.bool_)
        table[owner * width + column + 1] = True
        looked_up = column_of.take(self._near.view.take(other, axis=0))
        looked_up += (place * width).astype(np.int32)[:, None]
        return counted(table.take(looked_up)) / NEIGHBOURS

    def echo_alike(self, one: Rows, other: Rows) -> NDArray[np.float32]:
        """The cosine of the echoes of pairs of rows."""
        echo = self._echoes_of(np.concatenate((one, other)))
        found = _dot(echo[: len(one)], echo[len(one) :])
        norm = self._echo_norm.view
        found /= np.maximum(norm.take(one) * norm.take(other), 1e-9)
        return found


EXPECTED_SHARE = 1.0 - np.exp(-ENTRY_WORDS * 10.0**-RARITIES)
"""In what share of entries a term of each rarity (in eighths) is expected."""


def _count(
    counts: tuple[Column, list[int]], terms: NDArray[np.int32], rows: int, vocabulary: int, step: int
) -> None:
    column, size = counts
    column.grow(vocabulary)
    if len(terms) > vocabulary:
        column.view[:vocabulary] += step * np.bincount(terms, minlength=vocabulary)
    else:
        np.add.at(column.view, terms, step)
    size[0] += step * rows


def _bands(minhashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (band_keys(minhashes[:, : LOOKED_UP_BANDS * BAND_ROWS]) >> np.uint64(32)).astype(np.uint32)


def _unit(vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Each row scaled to length 1."""
    found: NDArray[np.float32] = vectors.astype(np.float32)
    found /= np.maximum(np.linalg.norm(found, axis=1), np.float32(1e-9))[:, None]
    return found


def _bucket(words: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    mixed = (words.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return (mixed % np.uint64(ECHO)).astype(np.int64), np.where(mixed >> np.uint64(63), 1.0, -1.0)


def _dot(one: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.float32]:
    """The scalar product of each row of one with that of other: a whole number, which is exact so."""
    found: NDArray[np.float32] = np.einsum("ij,ij->i", one, other, dtype=np.int32).astype(np.float32)
    return found
