"""What was measured of pairs of rows, kept until they are met from the other side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.postings import order_of

MOST_MEASURED = 200_000
"""Pairs of which it is kept: 28 MB. Of 10,000 made-up entries 99,000 wait at the most. What finds no room is
measured again."""

Found = tuple[NDArray[np.float32], NDArray[np.int8]]
"""The features [pairs, FEATURES] of pairs, and their vetoes."""


class Measured:
    """Features and vetoes by the number of a pair (see `pair_numbers`). Each is given once, and forgotten then."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forgets all of it."""
        self._place = self._free = np.empty(0, np.int32)
        self._kept: Found | None = None

    def known(self, numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of the pairs it has."""
        self._grow(numbers)
        return self._place[numbers] >= 0

    def take(self, numbers: NDArray[np.int32]) -> Found:
        """The features and vetoes of pairs, all of which it has."""
        assert self._kept is not None, "nothing was kept"
        places = self._place[numbers]
        self._place[numbers] = -1
        self._free = np.concatenate((places, self._free))
        features, vetoes = self._kept
        return features.take(places, axis=0), vetoes.take(places)

    def keep(self, numbers: NDArray[np.int32], found: Found) -> None:
        """Keeps what was found of pairs, as far as there is room."""
        if self._kept is None:
            self._free = np.arange(MOST_MEASURED, dtype=np.int32)
            self._kept = (
                np.empty((MOST_MEASURED, found[0].shape[1]), np.float32),
                np.empty(MOST_MEASURED, np.int8),
            )
        self._grow(numbers)
        places, self._free = self._free[: len(numbers)], self._free[len(numbers) :]
        self._place[numbers[: len(places)]] = places
        features, vetoes = self._kept
        features[places], vetoes[places] = found[0][: len(places)], found[1][: len(places)]

    def _grow(self, numbers: NDArray[np.int32]) -> None:
        more = int(numbers.max(initial=-1)) + 1 - len(self._place)
        if more > 0:
            self._place = np.concatenate((self._place, np.full(more, -1, np.int32)))


def pair_numbers(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
    """A number for each pair of rows that is there from both sides: n where it comes first, -n where again.

    0 for all other pairs.
    """
    low, high = np.minimum(one, other), np.maximum(one, other)
    order = order_of(low & 0xFFFF, low >> 16, high & 0xFFFF, high >> 16)
    low, high = low.take(order), high.take(order)
    again = np.flatnonzero((low[1:] == low[:-1]) & (high[1:] == high[:-1])) + 1
    found = np.zeros(len(one), np.int32)
    found[order[again - 1]] = np.arange(1, len(again) + 1)
    found[order[again]] = -np.arange(1, len(again) + 1)
    return found
