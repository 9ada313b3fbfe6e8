"""What waits within one window, weighed by several processes at once, each of which has that window, too.

First each finds what is near to its share. From all of that together each then judges one part after another, so
that an entry is weighed as one process would do it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.judge import AT_ONCE, Met, find_near, listen, paired
from aggregator.cluster.network import Network
from aggregator.cluster.rows import Rows
from aggregator.cluster.signature import SCHEME
from aggregator.cluster.window import Nearest, Window
from aggregator.pipeline.weighing import WRITTEN, Weigher, Weighing
from aggregator.store import Store, StoreError, reach_store
from aggregator.store import events as stored
from aggregator.types import EntryId
from aggregator.workers import Crew, CrewError, Lost

log = logging.getLogger(__name__)

LEAST_SHARED = 2_000
"""Entries to be weighed from which they are shared: a process needs a second until it can help."""

MOST_BESIDE = 150_000
"""Entries of the window up to which they are: each process holds them, at about 2 kB."""

PARTS = 4
"""Parts to be judged for each process, at least: while one is written, none waits for the next."""

Places = NDArray[np.int32]
"""Positions among a backlog's entries, -1 = none: rows differ from process to process."""


@dataclass(frozen=True, slots=True, eq=False)
class Backlog:
    """The entries that each process has in its window: `numbers`, in rising order. No two have one `name`."""

    name: str
    database: str
    numbers: NDArray[np.int64]
    days: float
    network: Network


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed:
    """A backlog with all that was found near to its entries; `weighed`: those that were surveyed."""

    backlog: Backlog
    nearest: Nearest
    weighed: Places


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What finding the nearest of a share gave: its candidates, and what is near to the `changed` by that."""

    met: list[Met]
    changed: Places
    nearest: Nearest


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Entries to be judged, with their candidates, those of each AT_ONCE together; `new`: see Weigher.weigh."""

    places: Places
    met: Sequence[Met]
    new: frozenset[EntryId]

    def __str__(self) -> str:
        return f"{len(self.places):,} entries"


class LeftError(Exception):
    """Entries of the backlog are no longer there."""


class _Opened:
    """A backlog in the window of this process."""

    def __init__(self, backlog: Backlog, store: Store) -> None:
        self.name = backlog.name
        self.weigher = Weigher(backlog.days, backlog.network)
        self.is_surveyed = False
        window = self.weigher.window
        window.reserve(len(backlog.numbers))
        semantic = backlog.network.semantic
        with store.read() as db:
            for found in stored.parts_of(db, backlog.numbers, SCHEME, with_waiting=True, encoded=semantic):
                window.put_columns(found.columns)
        self.places = _Numbering(window, backlog.numbers)

    @property
    def window(self) -> Window:
        return self.weigher.window


class _Numbering:
    """Places of entries and their rows in a window. Raises LeftError if the window lacks any."""

    def __init__(self, window: Window, numbers: NDArray[np.int64]) -> None:
        self.row_of: Rows = window.entries.find(numbers).astype(np.int64)
        if (self.row_of < 0).any():
            raise LeftError
        # The last one stands for row -1, which is none.
        self._place_of = np.full(len(window.entries) + 1, -1, np.int32)
        self._place_of[self.row_of] = np.arange(len(numbers), dtype=np.int32)

    def of(self, rows: NDArray[Any]) -> Places:
        """The places of rows."""
        found: Places = self._place_of[rows]
        return found

    def rows(self, places: Places) -> NDArray[np.int32]:
        """The rows of places."""
        return np.where(places >= 0, self.row_of[places], -1).astype(np.int32)

    def told(self, nearest: Nearest) -> Nearest:
        """The same with places instead of rows, for other processes."""
        return Nearest(self.of(nearest.near), nearest.closeness, nearest.settled, nearest.usual_echo)

    def heard(self, nearest: Nearest) -> Nearest:
        """The same with rows instead of places, from another process."""
        return Nearest(self.rows(nearest.near), nearest.closeness, nearest.settled, nearest.usual_echo)


_kept = threading.local()
"""The backlog that this thread of a worker process opened last: all of it is a cache of the store."""


def _opened(backlog: Backlog, store: Store) -> _Opened:
    opened: _Opened | None = getattr(_kept, "opened", None)
    if opened is None or opened.name != backlog.name:
        _kept.opened = None  # given back before the next is read
        opened = _kept.opened = _Opened(backlog, store)
    return opened


def _elsewhere(database: str, work: Callable[[Store], Any]) -> Any | Lost:
    try:
        store = reach_store(database)
        try:
            return work(store)
        finally:
            store.close()
    except StoreError as error:
        return Lost(str(error))
    except LeftError:
        return Lost("entries were removed meanwhile")


def ready() -> None:
    """Does nothing: a process that has done it has loaded all that finding and judging need."""


def find_share(backlog: Backlog, share: Places) -> Found | Lost:
    """What is near to the entries of a share, and to which others they are."""
    return _elsewhere(backlog.database, partial(_find, backlog, share))


def _find(backlog: Backlog, share: Places, store: Store) -> Found:
    opened = _opened(backlog, store)
    window, places = opened.window, opened.places
    rows = places.row_of[share]
    # Of this share alone: another may have been found before.
    window.forget_near(places.row_of)
    window.keep_weights(rows)
    found = [find_near(window, part) for part in _split(rows, AT_ONCE)]
    for _ in window.remember([near for _, near in found]):
        continue
    changed = window.known_near()
    met = [_told(candidates, places) for candidates, _ in found]
    return Found(met, places.of(changed), places.told(window.nearest(changed)))


def judge_part(surveyed: Surveyed, part: Part) -> list[Weighing] | Lost:
    """What weighing the entries of a part finds."""
    return _elsewhere(surveyed.backlog.database, partial(_judge, surveyed, part))


def _judge(surveyed: Surveyed, part: Part, store: Store) -> list[Weighing]:
    opened = _opened(surveyed.backlog, store)
    places, window = opened.places, opened.window
    if not opened.is_surveyed:
        rows = places.row_of[surveyed.weighed]
        window.put_nearest(places.row_of, places.heard(surveyed.nearest))
        window.keep_weights(rows)
        for _ in listen(window, _split(rows, AT_ONCE)):
            continue
        opened.is_surveyed = True
    met = [_heard(one, places) for one in part.met]
    return list(opened.weigher.weigh_met(store, places.row_of[part.places], met, part.new))


def weigh_shared(
    crew: Crew, weigher: Weigher, store: Store, rows: Rows, new: Collection[EntryId]
) -> Generator[Weighing | None, None, None]:
    """As Weigher.weigh, by a crew whose processes reach the store; what one of them loses is done by this one."""
    window = weigher.window
    there = window.rows_beside(rows)
    there = there[np.argsort(window.entries.number[there])]
    numbers = window.entries.number[there]
    backlog = Backlog(uuid4().hex, store.address, numbers, window.days, weigher.network)
    places = _Numbering(window, numbers)
    window.keep_weights(rows)
    window.forget_near(rows)
    weighed = places.of(rows)
    met: list[Met] = []
    size = -(-len(rows) // crew.cores // AT_ONCE) * AT_ONCE
    for share, found in _each(crew, partial(find_share, backlog), _split(weighed, size)):
        if isinstance(found, Lost):
            log.warning("%s entries: this process finds what is near: %s", f"{len(share):,}", found.reason)
            for part in _split(places.row_of[share], AT_ONCE):
                candidates, near = find_near(window, part)
                met.append(_told(candidates, places))
                yield from window.remember([near])
        else:
            window.add_nearest(places.row_of[found.changed], places.heard(found.nearest))
            met += found.met
            yield None
    met = paired(weighed, met)
    surveyed = Surveyed(backlog, places.told(window.nearest(there)), weighed)
    has_listened = False
    for part, judged in _each(crew, partial(judge_part, surveyed), _parts(crew, weighed, numbers, met, new)):
        if not isinstance(judged, Lost):
            yield from judged
            continue
        log.warning("%s: this process judges them: %s", part, judged.reason)
        if not has_listened:
            for _ in listen(window, _split(rows, AT_ONCE)):
                yield None
            has_listened = True
        heard = [_heard(one, places) for one in part.met]
        yield from weigher.weigh_met(store, places.row_of[part.places], heard, new)


def _each(
    crew: Crew, job: Callable[[Any], Any], items: Sequence[Any]
) -> Generator[tuple[Any, Any], None, None]:
    """As Crew.each; without any process all that is left of the items is lost."""
    done = 0
    try:
        for item, found in crew.each(job, items):
            done += 1
            yield item, found
    except CrewError as error:
        for item in items[done:]:
            yield item, Lost(str(error))


def _split(rows: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _parts(
    crew: Crew, weighed: Places, numbers: NDArray[np.int64], met: Sequence[Met], new: Collection[EntryId]
) -> list[Part]:
    written = WRITTEN * AT_ONCE
    size = max(1, len(weighed) // (written * PARTS * crew.cores)) * written
    parts = []
    for start in range(0, len(weighed), size):
        places = weighed[start : start + size]
        known = met[start // AT_ONCE : (start + size) // AT_ONCE]
        parts.append(Part(places, known, frozenset(numbers[places].tolist()).intersection(new)))
    return parts


def _told(met: Met, places: _Numbering) -> Met:
    return replace(met, others=places.of(met.others))


def _heard(met: Met, places: _Numbering) -> Met:
    return replace(met, others=places.rows(met.others))
