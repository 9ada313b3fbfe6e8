"""What two entries have in common, and how it stands out among all that is near to them: the input of the score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.facts import NAME, NUMBER, RAREST, TITLED, Facts
from aggregator.cluster.ranking import counted, numbered
from aggregator.cluster.rows import Rows
from aggregator.cluster.weights import Shared
from aggregator.cluster.window import NEIGHBOURS, Window

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


def measure(window: Window, one: Rows, other: Rows, shared: Shared) -> NDArray[np.float32]:
    """The features [pairs, FEATURES] of `shared`, whose pairs are of the rows `one` and `other`.

    In a window that knows meanings they are FEATURES + MEANINGS.
    """
    alike = shared.cosine()
    columns: list[NDArray[np.floating]] = [
        alike,
        *_words(shared),
        *_rarest(shared),
        *_numbers(shared),
        *_names(shared),
        *_lengths(shared),
        *_nearest(window, one, other, alike),
    ]
    if window.semantic:
        columns += [*window.meaning_alike(one, other), _foreign(window, one, other)]
    features = np.empty((len(one), len(columns)), np.float32)
    for number, column in enumerate(columns):
        features[:, number] = column
    return features


def _foreign(window: Window, one: Rows, other: Rows) -> NDArray[np.float64]:
    lang = window.entries.lang
    found: NDArray[np.float64] = ((lang[one] != lang[other]) & (lang[one] > 0) & (lang[other] > 0)).astype(
        np.float64
    )
    return found


def _words(shared: Shared) -> list[NDArray[np.float64]]:
    left, right, a, b = shared.left.facts, shared.right.facts, shared.a, shared.b
    idf = shared.left.idf[shared.one].astype(np.float64)
    idf_right = shared.right.idf[shared.other].astype(np.float64)
    lower = np.minimum(idf, idf_right)
    in_left = np.flatnonzero(left.kind[shared.one] & TITLED > 0)
    in_right = np.flatnonzero(right.kind[shared.other] & TITLED > 0)
    in_both = np.flatnonzero(shared.kind & TITLED > 0)
    titles = shared.sum_at(in_both, idf[in_both] * idf_right[in_both])
    norms = np.sqrt(left.title_squares[a] * right.title_squares[b])
    one = shared.sum_at(in_left, idf[in_left]) / np.maximum(left.title_said[a], 1e-9)
    other = shared.sum_at(in_right, idf_right[in_right]) / np.maximum(right.title_said[b], 1e-9)
    total = shared.sum_of(lower)
    part, part_other = total / np.maximum(left.said[a], 1e-9), total / np.maximum(right.said[b], 1e-9)
    rarest = np.zeros(len(a))
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


def _rarest(shared: Shared) -> list[NDArray[np.float64]]:
    """How rare the rarest title terms are that the other entry has, and those that it lacks."""
    found, missing = _rarest_of(shared.left.facts, shared.a, shared.pair, shared.one)
    found_other, missing_other = _rarest_of(shared.right.facts, shared.b, shared.pair, shared.other)
    return [
        np.maximum(found, found_other) / 5,
        np.minimum(missing, missing_other) / 5,
        np.maximum(missing, missing_other) / 5,
    ]


def _rarest_of(
    facts: Facts, ends: Rows, pair: NDArray[np.int64], matched: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each pair the idf of the rarest of one side's RAREST title terms that matched, and that did not."""
    rank = facts.rank[matched]
    ranked = np.flatnonzero(rank < RAREST)
    has = np.zeros((RAREST, len(ends)), np.bool_)
    has[rank[ranked], pair[ranked]] = True
    idf = facts.rarest[:, ends]
    return (idf * has).max(axis=0), (idf * ~has).max(axis=0)


def _numbers(shared: Shared) -> list[NDArray[np.float64]]:
    left, right, a, b = shared.left.facts, shared.right.facts, shared.a, shared.b
    both, fewer = shared.count(NUMBER), np.minimum(left.numbers[a], right.numbers[b])
    titled = (left.title_numbers[a] > 0) & (right.title_numbers[b] > 0)
    return [
        np.minimum(both, 3) / 3,
        np.minimum(fewer - both, 3) / 3,
        (titled & (shared.count(NUMBER + TITLED) == 0)).astype(float),
    ]


def _names(shared: Shared) -> list[NDArray[np.float64]]:
    both = shared.count(NAME)
    fewer = np.minimum(shared.left.facts.names[shared.a], shared.right.facts.names[shared.b])
    return [np.log1p(both) / 2, both / np.maximum(fewer, 1), np.minimum(fewer - both, 8) / 8]


def _lengths(shared: Shared) -> list[NDArray[np.float64]]:
    left, right, a, b = shared.left.facts, shared.right.facts, shared.a, shared.b
    title = np.minimum(left.titled[a], right.titled[b])
    one, other = left.in_lead[a], right.in_lead[b]
    return [np.log1p(title) / 2, np.log1p(np.minimum(one, other)) / 4, np.log1p(np.maximum(one, other)) / 4]


def _nearest(
    window: Window, one: Rows, other: Rows, alike: NDArray[np.float64]
) -> list[NDArray[np.floating]]:
    rows, place = numbered(np.concatenate((one, other)), len(window.entries))
    a, b = place[: len(one)], place[len(one) :]
    close = window.closeness(rows)
    # The pair itself is among the nearest of both: its rounded copy must not count as nearer.
    nearer, nearer_other = (counted(close.take(ends, axis=0) > (alike + 1e-4)[:, None]) for ends in (a, b))
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
