"""Rows placed among all that is near them: how probably each pair tells the same event."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.copies import COLUMN_APART
from aggregator.cluster.facts import NAME, NUMBER, TITLED
from aggregator.cluster.features import FEATURES, measure
from aggregator.cluster.measured import Found, pair_numbers
from aggregator.cluster.network import Network, probability
from aggregator.cluster.rows import Rows
from aggregator.cluster.weights import Shared
from aggregator.cluster.window import Near, Window

AT_ONCE = 128
"""Rows placed at once: what they and their candidates share takes some 40 MB meanwhile, with 256 twice as much and
hardly less time."""

LEAST_ALIKE = 0.07
"""Cosine of two entries' terms below which a candidate is not measured: that is more than half of all candidates
of ordinary news, and on no labelled set did it lose more than one in eighty of the pairs that would be joined."""

DAY_ODDS = 0.4
"""Log-odds that a day between two entries takes away: 1.2 at the end of the window. Judged, not fitted: none
of the labelled sets has true times over days."""

LEAST_SAID = 20.0
"""Sum of the idf of an entry's terms below which nothing but a copy is joined to it: "News in brief" says too
little. A headline of four telling words has about 25."""

ONE_TITLE = 0.999
SERIES_TITLES = 0.5
"""Cosine of titles from which two items of one outlet whose titles' numbers differ are items of a series."""


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Candidate pairs that are worth measuring: `a` a position among some rows, and the other row.

    `number`: see `pair_numbers`. All that is measured of a pair is the same from both sides, so it is done once.
    """

    a: NDArray[np.int16]
    others: NDArray[np.int32]
    number: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Judged pairs of rows. `chance` is the probability that both tell the same event; `veto` says why it is 0."""

    a: Rows
    b: Rows
    features: NDArray[np.float32]
    chance: NDArray[np.float64]
    veto: NDArray[np.int8]

    def only(self, kept: NDArray[np.bool_]) -> Pairs:
        """Those pairs alone."""
        return Pairs(self.a[kept], self.b[kept], self.features[kept], self.chance[kept], self.veto[kept])


VETOES = (
    "",
    "too few telling words to say",
    "titles of one outlet that differ in their numbers: items of a series",
    "one title over two texts of one outlet: items of a series",
    "different languages are not compared",
    "titles of one outlet that differ in their names alone: items of a series",
)
"""Why two entries that are no copies are never joined, whatever their words say. Daily weather, closing prices,
"Day 21", "The week in pictures", "Forecast for Alder" and "Forecast for Wendmoor": an outlet fills one template
in anew."""

SERIES_FRAME, SERIES_OTHER = 3, 2
"""Terms that the titles of such a series share at the least, and terms in which they differ at the most."""


def place(window: Window, network: Network, rows: Rows) -> Pairs:
    """The candidates of rows judged; what is near to the rows is known afterwards."""
    found = [_place(window, network, part) for part in _parts(rows)]
    return _joined(found) if found else _none()


def judge(window: Window, network: Network, a: Rows, b: Rows) -> Pairs:
    """Any pairs of rows judged, near or not. All must have been placed before."""
    found = []
    order = np.argsort(a, kind="stable")
    a, b = a[order], b[order]
    different, place_of = np.unique(a, return_inverse=True)
    for start in range(0, len(different), AT_ONCE):
        part = different[start : start + AT_ONCE]
        chosen = (place_of >= start) & (place_of < start + AT_ONCE)
        shared = window.share(part, place_of[chosen] - start, b[chosen])
        found.append(_judged(window, network, a[chosen], b[chosen], shared))
    return _joined(found) if found else _none()


def _place(window: Window, network: Network, rows: Rows) -> Pairs:
    a, others, shared = window.settle(rows)
    _settle_others(window, others)
    changed = np.setdiff1d(window.neighbours_of(rows), rows)
    for part in (rows, changed):
        window.echo(part)
    for part in (rows, changed):
        window.compare_echoes(part)
    return _with_foreign(window, network, rows, _judged(window, network, *_telling(rows[a], others, shared)))


def _with_foreign(window: Window, network: Network, rows: Rows, pairs: Pairs) -> Pairs:
    """The pairs, and those with entries in other languages if these can be compared."""
    if not window.semantic:
        return pairs
    a, others = window.meet_foreign(rows)
    _settle_others(window, others)
    return _joined([pairs, _judged(window, network, rows[a], others, window.share(rows, a, others))])


def _settle_others(window: Window, others: Rows) -> None:
    unsettled = window.unsettled(others)
    parts = _parts(unsettled)
    for part in parts:
        window.settle(part)
        window.echo(part)
    for part in parts:
        window.compare_echoes(part)


def survey(window: Window, rows: Rows, beside: Rows | None = None) -> Generator[None, None, list[Met]]:
    """Finds what is near to each of rows anew, in steps: afterwards it is the same in whatever order they came.

    `beside`: other rows of which that is found, too. Returns the candidates of rows, those of `AT_ONCE` rows
    together, which stand until the next `put`.
    """
    everyone = rows if beside is None else np.concatenate((rows, beside))
    window.keep_weights(everyone)
    # All at first: each part finds entries of the others near, too.
    window.forget_near(everyone)
    met: list[Met] = []
    near: list[Near] = []
    for part in _parts(rows):
        candidates, found = find_near(window, part)
        met.append(candidates)
        near.append(found)
        yield
    others = [] if beside is None else _parts(beside)
    for part in others:
        near.append(find_near(window, part)[1])
        yield
    # What is near to the candidates is known before any pair is judged: no part makes a difference to the next.
    for part in _parts(unsettled(window, met)):
        near.append(find_near(window, part)[1])
        others.append(part)
        yield
    yield from window.remember(near)
    yield from listen(window, _parts(rows) + others)
    return paired(rows, met)


def unsettled(window: Window, met: Sequence[Met]) -> Rows:
    """Those of the candidates whose own nearest were never found."""
    return window.unsettled(
        np.concatenate([found.others for found in met] or [np.empty(0, np.int32)]).astype(np.int64)
    )


def find_near(window: Window, rows: Rows) -> tuple[Met, Near]:
    """The candidates of at most AT_ONCE rows, and what is near to them, for `Window.remember`."""
    a, others, closeness, near = window.compare(rows)
    return _met(a, others, closeness), near


def paired(rows: NDArray[np.integer], met: Sequence[Met]) -> list[Met]:
    """The candidates of rows, those of each AT_ONCE together, with the numbers of pairs that are there twice."""
    if not met:
        return []
    parts = _parts(rows.astype(np.int64))
    one = np.concatenate([part[found.a] for part, found in zip(parts, met, strict=True)])
    numbers = pair_numbers(one.astype(np.int32), np.concatenate([found.others for found in met]))
    ends = np.cumsum([len(found.a) for found in met])
    return [
        replace(found, number=number) for found, number in zip(met, np.split(numbers, ends[:-1]), strict=True)
    ]


def listen(window: Window, parts: Sequence[Rows]) -> Generator[None, None, None]:
    """Makes the echoes of rows from what is near to them by now, in steps."""
    for step in (window.echo, window.compare_echoes):
        for part in parts:
            step(part)
            yield


def _parts(rows: Rows) -> list[Rows]:
    return [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]


def _met(a: NDArray[np.int64], others: Rows, closeness: NDArray[np.float64]) -> Met:
    kept = np.flatnonzero(closeness >= LEAST_ALIKE)
    return Met(a[kept].astype(np.int16), others[kept].astype(np.int32), np.zeros(len(kept), np.int32))


def weigh(window: Window, network: Network, rows: Rows) -> Pairs:
    """The candidates of rows judged by what a survey found to be near."""
    found = []
    for part in _parts(rows):
        a, others = window.meet(part)
        found.append(
            weigh_met(window, network, part, _met(a, others, window.share(part, a, others).cosine()))
        )
    return _joined(found) if found else _none()


def weigh_surveyed(window: Window, network: Network, rows: Rows, met: Sequence[Met]) -> Pairs:
    """As `weigh`, with the candidates that a survey found of each AT_ONCE rows."""
    starts = range(0, len(rows), AT_ONCE)
    return _joined(
        [
            weigh_met(window, network, rows[start : start + AT_ONCE], found)
            for start, found in zip(starts, met, strict=True)
        ]
    )


def weigh_met(window: Window, network: Network, rows: Rows, met: Met) -> Pairs:
    """As `weigh`, at most AT_ONCE rows with the candidates that their survey found."""
    a, others = met.a.astype(np.int64), met.others.astype(np.int64)
    _settle_others(window, others)
    pairs = _weighed(window, network, rows[a], others, _measured_once(window, rows, met))
    return _with_foreign(window, network, rows, pairs)


def _measured_once(window: Window, rows: Rows, met: Met) -> Found:
    """The features and vetoes of the pairs; of those that were met before from the other side as it was then."""
    again = np.flatnonzero(met.number < 0)
    again = again[window.measured.known(-met.number[again])]
    is_new = np.ones(len(met.a), np.bool_)
    is_new[again] = False
    new = np.flatnonzero(is_new)
    a, others = met.a[new].astype(np.int64), met.others[new].astype(np.int64)
    found = _measured(window, rows[a], others, window.share(rows, a, others))
    later = np.flatnonzero(met.number[new] > 0)
    window.measured.keep(met.number[new[later]], (found[0][later], found[1][later]))
    if not len(again):
        return found
    features, veto = np.empty((len(met.a), found[0].shape[1]), np.float32), np.empty(len(met.a), np.int8)
    features[new], veto[new] = found
    features[again], veto[again] = window.measured.take(-met.number[again])
    return features, veto


def _telling(one: Rows, others: Rows, shared: Shared) -> tuple[Rows, Rows, Shared]:
    """The pairs that are worth measuring."""
    kept = shared.cosine() >= LEAST_ALIKE
    return one[kept], others[kept], shared.only(kept)


def _judged(window: Window, network: Network, one: Rows, others: Rows, shared: Shared) -> Pairs:
    return _weighed(window, network, one, others, _measured(window, one, others, shared))


def _measured(window: Window, one: Rows, others: Rows, shared: Shared) -> Found:
    """The features and vetoes of pairs, the same from both sides."""
    features = measure(window, one, others, shared)
    return features, _vetoes(window, one, others, shared, features)


def _weighed(window: Window, network: Network, one: Rows, others: Rows, found: Found) -> Pairs:
    features, veto = found
    apart = np.abs(window.entries.at[one] - window.entries.at[others]) / 86_400
    chance = np.where(veto > 0, 0.0, probability(network.logits(features) - DAY_ODDS * apart))
    return Pairs(one, others, features, chance, veto)


def _vetoes(
    window: Window, one: Rows, others: Rows, shared: Shared, features: NDArray[np.float32]
) -> NDArray[np.int8]:
    """For each pair the number of its veto in VETOES, 0 = none."""
    said, said_other = shared.left.facts.said[shared.a], shared.right.facts.said[shared.b]
    outlet = window.entries.outlet
    same_outlet = (outlet[one] == outlet[others]) & (outlet[one] > 0)
    alike = features[:, FEATURES.index("titles alike")]
    both = features[:, FEATURES.index("shorter text")] > 0
    one_only = ~both & (features[:, FEATURES.index("longer text")] > 0)
    apart = np.abs(window.entries.at[one] - window.entries.at[others]) >= COLUMN_APART.total_seconds()
    veto = np.where(same_outlet & (both | (one_only & apart)) & (alike > ONE_TITLE), 3, 0)
    veto = np.where(same_outlet & (alike >= SERIES_TITLES) & _other_numbers(shared), 2, veto)
    veto = np.where(same_outlet & _other_names(shared), 5, veto)
    veto = np.where(np.minimum(said, said_other) < LEAST_SAID, 1, veto)
    lang = window.entries.lang
    foreign = (lang[one] != lang[others]) & (lang[one] > 0) & (lang[others] > 0)
    if window.semantic:
        foreign &= ~(window.has_meaning(one) & window.has_meaning(others))
    return np.where(foreign, 4, veto).astype(np.int8)


def _other_numbers(shared: Shared) -> NDArray[np.bool_]:
    """Whether both titles have numbers and not the same ones."""
    both = shared.count(NUMBER + TITLED)
    one, other = shared.left.facts.title_numbers[shared.a], shared.right.facts.title_numbers[shared.b]
    return (one > 0) & (other > 0) & ((both < one) | (both < other))


def _other_names(shared: Shared) -> NDArray[np.bool_]:
    """Whether both titles are the same but for a name of one or two words."""
    both, both_names = shared.count(TITLED), shared.count(NAME + TITLED)
    found = both >= SERIES_FRAME
    for facts, ends in ((shared.left.facts, shared.a), (shared.right.facts, shared.b)):
        found &= (facts.titled[ends] - both <= SERIES_OTHER) & (facts.title_names[ends] - both_names >= 1)
    return found


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.a for part in parts]),
        np.concatenate([part.b for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.chance for part in parts]),
        np.concatenate([part.veto for part in parts]),
    )


def _none() -> Pairs:
    rows = np.empty(0, np.int64)
    return Pairs(rows, rows, np.empty((0, len(FEATURES)), np.float32), np.empty(0), np.empty(0, np.int8))
