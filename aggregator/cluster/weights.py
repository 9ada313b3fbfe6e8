"""The terms of rows with their weights, and those that two rows share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.facts import Facts, facts_of, joined
from aggregator.cluster.rows import FREQUENCY

PIECE = 8192
"""Rows whose terms are looked at together: some 10 MB of intermediate values."""


@dataclass(frozen=True)
class Weighed:
    """Some rows and their terms: those of row i stand at `starts[i]` to `starts[i + 1]` of the other columns.

    `idf`: how rare each is among the entries of the row's days.
    """

    starts: NDArray[np.int64]
    term: NDArray[np.int32]
    mark: NDArray[np.uint8]
    rarity: NDArray[np.uint8]
    idf: NDArray[np.float32]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.starts) - 1

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """The row of each term."""
        return np.repeat(np.arange(self.rows), np.diff(self.starts))

    def weight(self, places: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float64]:
        """The weights of the terms at these places."""
        found: NDArray[np.float64] = FREQUENCY.take(self.mark[places])
        found *= self.idf[places]
        return found

    @cached_property
    def norm(self) -> NDArray[np.float64]:
        """The length of each row's weights."""
        squares = [np.bincount(one.owner, one.weight() ** 2, minlength=one.rows) for one in self._pieces()]
        return np.sqrt(np.concatenate(squares))

    @cached_property
    def facts(self) -> Facts:
        """What is told of each row by its terms."""
        return joined(
            [
                facts_of(one.owner, one.rows, one.mark, one.rarity, one.idf.astype(np.float64))
                for one in self._pieces()
            ]
        )

    def _pieces(self) -> Iterator[Weighed]:
        if self.rows <= PIECE:
            yield self
            return
        for start in range(0, self.rows, PIECE):
            starts = self.starts[start : start + PIECE + 1]
            terms = slice(starts[0], starts[-1])
            yield Weighed(
                starts - starts[0], self.term[terms], self.mark[terms], self.rarity[terms], self.idf[terms]
            )


@dataclass(frozen=True)
class Shared:
    """Terms that two rows share, for many pairs of rows.

    `pair` is a position among the pairs, in order; `one` and `other` positions among the terms of left and right.
    Pair p is of the rows `a[p]` of left and `b[p]` of right.
    """

    left: Weighed
    right: Weighed
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    pair: NDArray[np.int64]
    one: NDArray[np.int64]
    other: NDArray[np.int64]

    def cosine(self) -> NDArray[np.float64]:
        """The cosine of each pair's weighed terms."""
        dot = self.sum_of(self.left.weight(self.one) * self.right.weight(self.other))
        return dot / np.maximum(self.left.norm[self.a] * self.right.norm[self.b], 1e-9)

    def only(self, kept: NDArray[np.bool_]) -> Shared:
        """The same of those pairs alone."""
        chosen, of_chosen = np.flatnonzero(kept), np.flatnonzero(kept[self.pair])
        place = np.cumsum(kept) - 1
        return Shared(
            self.left,
            self.right,
            self.a[chosen],
            self.b[chosen],
            place[self.pair[of_chosen]],
            self.one[of_chosen],
            self.other[of_chosen],
        )

    def sum_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over each pair's shared terms."""
        return np.bincount(self.pair, values, minlength=len(self.a)).astype(np.float64)

    def sum_at(self, places: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over those of each pair's shared terms that stand at these places."""
        return np.bincount(self.pair[places], values, minlength=len(self.a)).astype(np.float64)

    @cached_property
    def kind(self) -> NDArray[np.uint8]:
        """What kind each shared term is of on both sides."""
        found: NDArray[np.uint8] = self.left.facts.kind[self.one] & self.right.facts.kind[self.other]
        return found

    def count(self, kind: int) -> NDArray[np.float64]:
        """How many shared terms of this kind, or of all kinds that are added up in it, each pair has."""
        found = np.flatnonzero(self.kind & kind == kind)
        return np.bincount(self.pair[found], minlength=len(self.a)).astype(np.float64)
