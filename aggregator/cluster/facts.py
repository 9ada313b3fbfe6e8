"""What is told of rows by their terms alone: how much they say, how many names and numbers, the rarest words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.signature import LEAD_SHIFT, MOST_IN_LEAD, MOST_IN_TITLE
from aggregator.cluster.tokens import NUMBER_MARK, RARITY_STEPS

TITLED, NUMBER, NAME = 1, 2, 4
"""Kinds of terms, which go together: a number may stand in the title."""

NAME_RARITY = 5 * RARITY_STEPS
"""Rarity, in eighths, from which a word is most often a name: one in a hundred thousand words, or in no list."""

RAREST = 4
"""Title terms of each entry that tell it from its like: the place of an earthquake, the name of the accused."""

MOST_IDF = 64.0
"""More than the logarithm of any number of entries."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of some rows, and of their terms.

    `said`: the sum of the idf of a row's terms; `title_said` and `title_squares`: of those in its title, and of
    their squares. `titled` to `title_names`: how many terms are in its title, in its lead, and of these kinds.
    `rarest` [RAREST, rows]: the idf of the rarest terms in its title, rarest first, 0 where it has none.
    `kind` [terms]: TITLED, NUMBER and NAME added up. `rank` [terms]: the place among the rarest of the title, or
    RAREST.
    """

    said: NDArray[np.float64]
    title_said: NDArray[np.float64]
    title_squares: NDArray[np.float64]
    titled: NDArray[np.float64]
    in_lead: NDArray[np.float64]
    numbers: NDArray[np.float64]
    title_numbers: NDArray[np.float64]
    names: NDArray[np.float64]
    title_names: NDArray[np.float64]
    rarest: NDArray[np.float64]
    kind: NDArray[np.uint8]
    rank: NDArray[np.uint8]


def facts_of(
    owner: NDArray[np.int64],
    rows: int,
    mark: NDArray[np.uint8],
    rarity: NDArray[np.uint8],
    idf: NDArray[np.float64],
) -> Facts:
    """The facts of so many rows, whose terms stand in order: `owner` is the row of each."""
    titled, number = mark & MOST_IN_TITLE > 0, mark & NUMBER_MARK > 0
    name = (rarity >= NAME_RARITY) & ~number
    rarest, rank = _rarest(owner, rows, np.flatnonzero(titled), idf)

    def total(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(owner, values, minlength=rows).astype(np.float64)

    return Facts(
        said=total(idf),
        title_said=total(idf * titled),
        title_squares=total(idf**2 * titled),
        titled=total(titled),
        in_lead=total(mark & (MOST_IN_LEAD << LEAD_SHIFT) > 0),
        numbers=total(number),
        title_numbers=total(number & titled),
        names=total(name),
        title_names=total(name & titled),
        rarest=rarest,
        kind=(titled * TITLED + number * NUMBER + name * NAME).astype(np.uint8),
        rank=rank,
    )


def joined(parts: Sequence[Facts]) -> Facts:
    """The facts of rows that stand one after another."""
    if len(parts) == 1:
        return parts[0]
    return Facts(
        *(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in Facts.__slots__)
    )


def _rarest(
    owner: NDArray[np.int64], rows: int, titled: NDArray[np.int64], idf: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    # Rows stand in order, and an idf is far below MOST_IDF: one number sorts by both, in a third of the time.
    order = titled[np.argsort(owner[titled] * MOST_IDF - idf[titled], kind="stable")]
    row = owner[order]
    place = np.arange(len(order)) - np.searchsorted(row, np.arange(rows))[row]
    top = np.flatnonzero(place < RAREST)
    order, row, place = order[top], row[top], place[top]
    rarest = np.zeros((RAREST, rows))
    rarest[place, row] = idf[order]
    rank = np.full(len(owner), RAREST, np.uint8)
    rank[order] = place
    return rarest, rank
