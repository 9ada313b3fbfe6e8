"""Archives: what waits on many days, weighed by stretches of time, in any process that reaches the database."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from aggregator.cluster.network import Network
from aggregator.cluster.signature import PERMUTATIONS, SCHEME
from aggregator.pipeline.weighing import Weigher, Weighing
from aggregator.store import Store, StoreError, reach_store
from aggregator.store import events as stored
from aggregator.types import EntryId
from aggregator.workers import Lost

GROWTH = 1.03
"""An entry is weighed anew when its window holds so many times the entries that it held when it was decided
on, or so much fewer: what is rare and who is near has changed. That is often while a new database fills, and
seldom afterwards. With 1.1 five orders of arrival differed by up to 2.1 % of pairs, with this by 1.6 %."""

EXACT_BELOW = 500
"""In a window of fewer entries they are weighed anew whenever anything was added: that takes less than a second."""

LEAST_WEIGHED = 20_000
"""Entries of a stretch, if there are so many: the shorter it is, the sooner its result is kept."""

MARGINS = 3
"""A stretch is so long that it and its margins hold at most so many times the entries that are weighed."""

Step = tuple[Weighing, Mapping[EntryId, str]] | None
"""What was found of some entries, with the content hashes of all that waited; None = nothing to be kept yet."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days whose entries are weighed together, from the first to the last, counted from 1970-01-01 in UTC."""

    first: int
    last: int

    def __str__(self) -> str:
        start, end = (np.datetime64(day, "D") for day in (self.first, self.last))
        return f"entries of {start} to {end}"

    def with_margin(self, days: int) -> range:
        """Its days, and so many before and after."""
        return range(self.first - days, self.last + days + 1)


def stretches(counts: Mapping[int, int], days: Iterable[int], margin: int) -> list[Stretch]:
    """Stretches in the order of time that hold all of these days on which there are entries.

    `counts`: how many entries there are on each day. What a stretch costs besides is the entries of its margins, so
    many days at either end, which are read and placed with it: a dense archive has longer stretches.
    """
    if not counts:
        return []
    origin = min(counts)
    total = [0, *accumulate(counts.get(day, 0) for day in range(origin, max(counts) + 1))]

    def between(first: int, last: int) -> int:
        low, high = (min(max(day - origin, 0), len(total) - 1) for day in (first, last + 1))
        return total[high] - total[low]

    found: list[Stretch] = []
    for day in sorted(counts.keys() & set(days)):
        if found and not _is_full(found[-1], day, between, margin):
            found[-1] = Stretch(found[-1].first, day)
        else:
            found.append(Stretch(day, day))
    return found


def _is_full(stretch: Stretch, day: int, between: Callable[[int, int], int], margin: int) -> bool:
    """Whether a stretch ends before a day."""
    first, last = stretch.first, stretch.last
    weighed = between(first, last)
    read = between(first - margin, last + margin)
    return day - last > 2 * margin or (weighed >= LEAST_WEIGHED and read <= MARGINS * weighed)


def weigh_stretch(
    stretch: Stretch, store: Store, *, days: float, network: Network, since: datetime | None = None
) -> Iterator[Step]:
    """Weighs those entries of a stretch that wait, and those that outgrew their decision; all `since` a time.

    Nothing is written. What is found of an entry depends on all around it, not on the stretch that it is in: the
    entries that it may meet, and those that these may meet, have their nearest found, too.
    """
    reach = math.ceil(days)
    weigher = Weigher(days, network)
    window = weigher.window
    with store.read() as db:
        waiting, likeness = _load(db, weigher, stretch.with_margin(3 * reach))
    yield None
    inside = window.rows_on(stretch.with_margin(0))
    waits = np.isin(window.entries.number[inside], list(waiting))
    chosen = waits | np.isin(inside, window.outgrown(GROWTH, EXACT_BELOW, inside))
    if since is not None:
        chosen |= window.entries.at[inside] >= since.timestamp()
    rows = inside[chosen]
    if not len(rows):
        return
    # Copies side by side: each is compared with others of the same part, and unpacked once.
    rows = rows[np.lexsort((window.entries.number[rows], likeness[rows]))]
    beside = np.setdiff1d(window.rows_on(stretch.with_margin(2 * reach)), rows)
    for found in weigher.weigh(store, rows, waiting, beside):
        yield None if found is None else (found, waiting)


def weigh_elsewhere(
    job: Callable[[Stretch, Store], Iterator[Step]], database: str, stretch: Stretch
) -> list[Step] | Lost:
    """What the job finds of a stretch, in a process that has nothing but the database's address."""
    try:
        store = reach_store(database)
        try:
            return [step for step in job(stretch, store) if step is not None]
        finally:
            store.close()
    except StoreError as error:
        return Lost(str(error))


def _load(
    db: Connection, weigher: Weigher, days: Iterable[int]
) -> tuple[dict[EntryId, str], NDArray[np.uint32]]:
    """Puts all entries of these days into the window.

    Those that wait, with the hash of their content; and for each row a number that most copies have in common.
    """
    waiting: dict[EntryId, str] = {}
    likeness = [np.empty(0, np.uint32)]
    there = stored.signed_on(db, days)
    weigher.window.reserve(len(there))
    for found in stored.parts_of(db, there, SCHEME, with_waiting=True, encoded=weigher.network.semantic):
        rows = weigher.window.put_columns(found.columns)
        weigher.window.remember_among(rows, found.among)
        waiting |= found.waiting
        likeness.append(np.frombuffer(found.columns.minhashes, "<u4")[::PERMUTATIONS].copy())
    return waiting, np.concatenate(likeness)
