"""What two entries have in common, and how it stands out among all that is near to them: the input of the score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.rows import Rows
from aggregator.cluster.signature import LEAD_SHIFT, MOST_IN_LEAD, MOST_IN_TITLE
from aggregator.cluster.tokens import NUMBER_MARK, RARITY_STEPS
from aggregator.cluster.window import NEIGHBOURS, Shared, Weighed, Window

FEATURES = (
    "texts alike",
    "titles alike",
    "title found in the other, better",
    "title found in the other, worse",
    "terms found in the other, better",
    "terms found in the other, worse",
    "rarest shared term",
    "shared terms",
    "rarest title terms found",
    "rarest title terms missing, fewer",
    "rarest title terms missing, more",
    "shared numbers",
    "numbers on either side alone",
    "titles' numbers differ",
    "shared names",
    "names found in the other",
    "names on either side alone",
    "shorter title",
    "shorter text",
    "longer text",
    "nearer ones, fewer",
    "nearer ones, more",
    "3 nearest, looser",
    "3 nearest, closer",
    "10 nearest, looser",
    "10 nearest, closer",
    "all near, looser",
    "texts alike to 10 nearest",
    "texts alike to looser 3 nearest",
    "texts alike to closer 3 nearest",
    "surroundings alike",
    "surroundings alike to usual",
    "usual surroundings, looser",
    "usual surroundings, closer",
    "near entries in common",
)
"""Each is symmetric; most lie between 0 and 1. "Looser" and "closer" are the lower and the higher of the two
entries' values. A cosine of .3 is much where the nearest others reach .1, and little where ten others reach
.5: that is what the features of the nearest say (hubness: Radovanović, Nanopoulos, Ivanović 2010)."""

MEANINGS = ("titles' meanings alike", "meanings alike", "different languages")
"""What is known besides if entries were encoded (cluster.meaning)."""

FLOOR = 0.02
"""Keeps a ratio to an empty neighbourhood finite."""


def measure(window: Window, rows: Rows, others: Rows, shared: Shared) -> NDArray[np.float32]:
    """The features [pairs, FEATURES] of `shared`, whose pairs are of `rows[shared.a]` and `others`.

    In a window that knows meanings they are FEATURES + MEANINGS.
    """
    alike = shared.cosine()
    columns = [
        alike,
        *_words(window, shared),
        *_rarest(window, shared),
        *_numbers(window, shared),
        *_names(window, shared),
        *_lengths(window, shared),
        *_nearest(window, rows[shared.a], others, alike),
    ]
    if window.semantic:
        columns += [*window.meaning_alike(rows[shared.a], others), _foreign(window, rows[shared.a], others)]
    return np.stack(columns, axis=1).astype(np.float32)


def _foreign(window: Window, one: Rows, other: Rows) -> NDArray[np.float64]:
    lang = window.entries.lang
    found: NDArray[np.float64] = ((lang[one] != lang[other]) & (lang[one] > 0) & (lang[other] > 0)).astype(
        np.float64
    )
    return found


def _words(window: Window, shared: Shared) -> list[NDArray[np.float64]]:
    mark = window.entries.mark
    left, right = shared.left, shared.right
    in_left, in_right = mark[left.at] & MOST_IN_TITLE > 0, mark[right.at] & MOST_IN_TITLE > 0
    idf, idf_right = left.idf[shared.one], right.idf[shared.other]
    of_left, of_right = in_left[shared.one], in_right[shared.other]
    lower = np.minimum(idf, idf_right)
    titles = shared.sum_of(idf * idf_right * (of_left & of_right))
    norms = np.sqrt(
        _total(left, left.idf**2 * in_left)[shared.a] * _total(right, right.idf**2 * in_right)[shared.b]
    )
    one = shared.sum_of(idf * of_left) / np.maximum(_total(left, left.idf * in_left)[shared.a], 1e-9)
    other = shared.sum_of(idf_right * of_right) / np.maximum(
        _total(right, right.idf * in_right)[shared.b], 1e-9
    )
    total = shared.sum_of(lower)
    part = total / np.maximum(_total(left, left.idf)[shared.a], 1e-9)
    part_other = total / np.maximum(_total(right, right.idf)[shared.b], 1e-9)
    rarest = np.zeros(len(shared.a))
    np.maximum.at(rarest, shared.pair, lower)
    return [
        titles / np.maximum(norms, 1e-9),
        np.maximum(one, other),
        np.minimum(one, other),
        np.maximum(part, part_other),
        np.minimum(part, part_other),
        rarest / 5,
        np.log1p(total) / 2,
    ]


MOST_IDF = 64.0
"""More than the logarithm of any number of entries."""

RAREST = 4
"""Title terms of each entry that tell it from its like: the place of an earthquake, the name of the accused."""


def _rarest(window: Window, shared: Shared) -> list[NDArray[np.float64]]:
    """How rare the rarest title terms are that the other entry has, and those that it lacks."""
    sides = [
        _rarest_of(window, weighed, ends, shared.pair, matched)
        for weighed, ends, matched in (
            (shared.left, shared.a, shared.one),
            (shared.right, shared.b, shared.other),
        )
    ]
    (found, missing), (found_other, missing_other) = sides
    return [
        np.maximum(found, found_other) / 5,
        np.minimum(missing, missing_other) / 5,
        np.maximum(missing, missing_other) / 5,
    ]


def _rarest_of(
    window: Window, weighed: Weighed, ends: Rows, pair: NDArray[np.int64], matched: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each pair the idf of the rarest of one side's RAREST title terms that matched, and that did not."""
    titled = np.flatnonzero(window.entries.mark[weighed.at] & MOST_IN_TITLE > 0)
    # Rows stand in order, and an idf is far below MOST_IDF: one number sorts by both, in a third of the time.
    by_rarity = weighed.owner[titled] * MOST_IDF - weighed.idf[titled]
    order = titled[np.argsort(by_rarity, kind="stable")]
    owner = weighed.owner[order]
    rank = np.arange(len(order)) - np.searchsorted(owner, np.arange(len(weighed.norm)))[owner]
    top = rank < RAREST
    rank_of = np.full(len(weighed.at), RAREST, dtype=np.int64)
    rank_of[order[top]] = rank[top]
    idf = np.zeros((len(weighed.norm), RAREST))
    idf[owner[top], rank[top]] = weighed.idf[order[top]]
    has = np.zeros((len(ends), RAREST + 1), np.bool_)
    has[pair, rank_of[matched]] = True
    return (idf[ends] * has[:, :RAREST]).max(axis=1), (idf[ends] * ~has[:, :RAREST]).max(axis=1)


def _numbers(window: Window, shared: Shared) -> list[NDArray[np.float64]]:
    mark = window.entries.mark[shared.left.at], window.entries.mark[shared.right.at]
    number = [marks & NUMBER_MARK > 0 for marks in mark]
    titled = [numbers & (marks & MOST_IN_TITLE > 0) for numbers, marks in zip(number, mark, strict=True)]

    both, one, other = counted(shared, number)
    both_titles, title, other_title = counted(shared, titled)
    return [
        np.minimum(both, 3) / 3,
        np.minimum(np.minimum(one, other) - both, 3) / 3,
        ((title > 0) & (other_title > 0) & (both_titles == 0)).astype(float),
    ]


NAME_RARITY = 5 * RARITY_STEPS
"""Rarity, in eighths, from which a word is most often a name: one in a hundred thousand words, or in no list."""


def _names(window: Window, shared: Shared) -> list[NDArray[np.float64]]:
    both, one, other = counted(shared, [named(window, side) for side in (shared.left, shared.right)])
    fewer = np.minimum(one, other)
    return [np.log1p(both) / 2, both / np.maximum(fewer, 1), np.minimum(fewer - both, 8) / 8]


def named(window: Window, side: Weighed) -> NDArray[np.bool_]:
    """Which of the terms are so rare that they are names, most of them."""
    number = window.entries.mark[side.at] & NUMBER_MARK > 0
    found: NDArray[np.bool_] = (window.entries.rarity[side.at] >= NAME_RARITY) & ~number
    return found


def counted(shared: Shared, chosen: list[NDArray[np.bool_]]) -> list[NDArray[np.float64]]:
    """How many chosen terms each pair shares, and how many its left and its right have."""
    both = shared.sum_of((chosen[0][shared.one] & chosen[1][shared.other]).astype(float))
    return [both, _total(shared.left, chosen[0])[shared.a], _total(shared.right, chosen[1])[shared.b]]


def _lengths(window: Window, shared: Shared) -> list[NDArray[np.float64]]:
    def lengths(weighed: Weighed, bits: int) -> NDArray[np.float64]:
        return _total(weighed, window.entries.mark[weighed.at] & bits > 0)

    title = np.minimum(
        lengths(shared.left, MOST_IN_TITLE)[shared.a], lengths(shared.right, MOST_IN_TITLE)[shared.b]
    )
    one = lengths(shared.left, MOST_IN_LEAD << LEAD_SHIFT)[shared.a]
    other = lengths(shared.right, MOST_IN_LEAD << LEAD_SHIFT)[shared.b]
    return [np.log1p(title) / 2, np.log1p(np.minimum(one, other)) / 4, np.log1p(np.maximum(one, other)) / 4]


def _nearest(window: Window, one: Rows, other: Rows, alike: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    rows, place = np.unique(np.concatenate((one, other)), return_inverse=True)
    a, b = np.split(place, 2)
    close = window.closeness(rows)
    # The pair itself is among the nearest of both: its rounded copy must not count as nearer.
    nearer = (close[a] > alike[:, None] + 1e-4).sum(axis=1)
    nearer_other = (close[b] > alike[:, None] + 1e-4).sum(axis=1)
    closest3, closest10, closest = (close[:, :most].mean(axis=1) for most in (3, 10, NEIGHBOURS))
    loose3, close3 = _looser_closer(closest3[a], closest3[b])
    loose10, close10 = _looser_closer(closest10[a], closest10[b])
    loose, _ = _looser_closer(closest[a], closest[b])
    echo = window.echo_alike(one, other)
    loose_echo, close_echo = _looser_closer(window.usual_echo(one), window.usual_echo(other))
    return [
        np.log1p(np.minimum(nearer, nearer_other)) / 3,
        np.log1p(np.maximum(nearer, nearer_other)) / 3,
        loose3,
        close3,
        loose10,
        close10,
        loose,
        alike / (np.sqrt(loose10 * close10) + FLOOR),
        alike / (loose3 + FLOOR),
        alike / (close3 + FLOOR),
        echo,
        echo / (np.sqrt(loose_echo * close_echo) + 0.05),
        loose_echo,
        close_echo,
        window.near_in_common(one, other),
    ]


def _looser_closer(
    one: NDArray[np.floating], other: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.minimum(one, other).astype(np.float64), np.maximum(one, other).astype(np.float64)


def _total(weighed: Weighed, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """The sum of values over each row's terms."""
    return np.bincount(weighed.owner, values, minlength=len(weighed.norm)).astype(np.float64)
