"""Scored pairs of entries, many at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aggregator.types import EntryId

LINK = np.dtype([("a", "<i8"), ("b", "<i8"), ("score", "<f8"), ("is_copy", "?")])
"""A pair, lower number first. `score` is the probability that both tell the same event.

`is_copy`: the texts are the same item (or one is the truncated start of the other).
"""

Links = NDArray[np.void]
"""Pairs [n, LINK], maybe with more fields; each pair once unless it is said otherwise."""

Numbers = NDArray[np.int64]


def links_from(pairs: Iterable[tuple[int, int, float, bool]]) -> Links:
    """The pairs (a, b, score, is_copy)."""
    return np.array(list(pairs), dtype=LINK)


def each_once(links: Links) -> Links:
    """The pairs in order; of those that stand there twice the first."""
    order = np.lexsort((links["b"], links["a"]))
    a, b = links["a"][order], links["b"][order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(a) != 0) | (np.diff(b) != 0)
    return links[order[fresh]]


def ends_of(links: Links) -> set[EntryId]:
    """The entries that are part of a pair."""
    return {EntryId(number) for number in np.unique(np.concatenate((links["a"], links["b"]))).tolist()}


def positions(known: Numbers, asked: Numbers) -> Numbers:
    """Where each of the numbers asked stands among those known, each of which is there once; -1 = nowhere."""
    if not len(known):
        return np.full(len(asked), -1, np.int64)
    order = np.argsort(known, kind="stable")
    place = order[np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)]
    found: Numbers = np.where(known[place] == asked, place, -1)
    return found
