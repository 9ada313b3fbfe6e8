"""How well the program groups labelled entries: the real flow into a scratch database, compared with the labels."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from aggregator.cluster.metrics import Agreement, Scores, agreement, bcubed, difference
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.store import Store, open_store
from aggregator.store.tables import ENTRY
from aggregator.types import Relation

STREAM = 500
"""Lines that arrive before what has come is grouped, in streaming order."""

SIZES = ((1, 1), (2, 2), (3, 5), (6, 20), (21, None))
"""Sizes of the labelled groups for which figures are given apart."""


class LabelsError(Exception):
    """The labels can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What one run made of the entries: each id's event and relation, each event's canonical id."""

    event: Mapping[str, int]
    relation: Mapping[str, Relation]
    canonical: Mapping[int, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of the first run; `orders` those of each run, and how much its events differ from the first's.

    `by_relation`: entries of each relation, and the share of them labelled like the canonical entry of their event.
    `by_size`: B-cubed figures of the entries in labelled groups of each size, as (least, most, entries, scores).
    """

    entries: int
    unlabelled: int
    missing: int
    agreement: Agreement
    per_second: float
    by_relation: Mapping[Relation, tuple[int, float]]
    by_size: Sequence[tuple[int, int | None, int, Scores]]
    orders: Sequence[tuple[str, Agreement, float]]


def read_labels(file: Path) -> dict[str, str]:
    """The event of each id. Raises LabelsError if the file can't be read or a line is not `id<TAB>event`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise LabelsError(f"{file}: can't be read ({reason}): name a file of lines id<TAB>event") from None
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, tab, event = line.partition("\t")
        if line.strip() and not (tab and name and event.strip()):
            raise LabelsError(
                f"{file}, line {number}: is not id<TAB>event: write an id, a tab and the name of its event"
            )
        if line.strip():
            labels.setdefault(name, event.strip())
    if not labels:
        raise LabelsError(f"{file}: holds no labels: it needs lines id<TAB>event")
    return labels


def evaluate(
    lines: Sequence[bytes],
    labels: Mapping[str, str],
    settings: Settings,
    orders: int,
    advance: Callable[[], None],
) -> Evaluation:
    """Groups the lines of JSON once as a stream in their order, once all at once, and `orders` times shuffled.

    `advance` is called after each of these runs. Raises LabelsError if no entry has a label.
    """
    runs: list[tuple[str, Grouping]] = []
    now = utc_now()
    for name, ordered, step in _arrivals(lines, orders):
        runs.append((name, _group(ordered, settings, step, now)))
        advance()
    first = runs[0][1]
    known = [name for name in first.event if name in labels]
    if not known:
        raise LabelsError("no entry of the file has a label: the ids of both files must be the same")
    reference = {name: labels[name] for name in known}
    compared = [(name, {key: grouping.event[key] for key in known}) for name, grouping in runs]
    found = compared[0][1]
    return Evaluation(
        entries=len(first.event),
        unlabelled=len(first.event) - len(known),
        missing=len(labels.keys() - first.event.keys()),
        agreement=agreement(found, reference),
        per_second=len(first.event) / max(first.seconds, 1e-9),
        by_relation=_by_relation(first, reference),
        by_size=list(_by_size(found, reference)),
        orders=[(name, agreement(events, reference), difference(found, events)) for name, events in compared],
    )


def _arrivals(lines: Sequence[bytes], orders: int) -> Iterator[tuple[str, Sequence[bytes], int]]:
    yield "stream", lines, STREAM
    if orders:
        yield "batch", lines, len(lines) or 1
    for seed in range(1, orders + 1):
        shuffled = list(lines)
        random.Random(seed).shuffle(shuffled)  # noqa: S311 (an order, no secret)
        yield f"shuffled {seed}", shuffled, STREAM


def _group(lines: Sequence[bytes], settings: Settings, step: int, now: datetime) -> Grouping:
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/scratch.db")
        try:
            clusterer = Clusterer(store, settings, utc_now)
            for start in range(0, len(lines), step):
                for _report in import_lines(store, lines[start : start + step], now):
                    continue
                before = time.perf_counter()
                for _step in clusterer.settle_pending():
                    continue
                seconds += time.perf_counter() - before
            before = time.perf_counter()
            for _step in clusterer.work():
                continue
            seconds += time.perf_counter() - before
            return _read(store, seconds)
        finally:
            store.close()


def _read(store: Store, seconds: float) -> Grouping:
    query = select(ENTRY.c.guid, ENTRY.c.event_id, ENTRY.c.relation).order_by(ENTRY.c.id)
    with store.read() as db:
        rows = db.execute(query).all()
    event: dict[str, int] = {}
    relation: dict[str, Relation] = {}
    canonical: dict[int, str] = {}
    for row in rows:
        event.setdefault(row.guid, row.event_id)
        relation.setdefault(row.guid, Relation(row.relation))
        if row.relation == Relation.CANONICAL:
            canonical[row.event_id] = row.guid
    return Grouping(event, relation, canonical, seconds)


def _by_relation(grouping: Grouping, reference: Mapping[str, str]) -> dict[Relation, tuple[int, float]]:
    counts: Counter[Relation] = Counter()
    right: Counter[Relation] = Counter()
    for name, label in reference.items():
        relation = grouping.relation[name]
        canonical = reference.get(grouping.canonical.get(grouping.event[name], ""))
        if relation is not Relation.CANONICAL and canonical is not None:
            counts[relation] += 1
            right[relation] += canonical == label
    return {relation: (count, right[relation] / count) for relation, count in sorted(counts.items())}


def _by_size(
    found: Mapping[str, int], reference: Mapping[str, str]
) -> Iterator[tuple[int, int | None, int, Scores]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, label in reference.items():
        groups[label].append(name)
    for least, most in SIZES:
        chosen = [
            name
            for members in groups.values()
            if least <= len(members) and (most is None or len(members) <= most)
            for name in members
        ]
        if chosen:
            yield least, most, len(chosen), bcubed(found, reference, chosen)
