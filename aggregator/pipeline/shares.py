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

from aggregator.cluster.judge import AT_ONCE, Met, find_near, listen, paired, unsettled
from aggregator.cluster.network import Network
from aggregator.cluster.rows import Rows
from aggregator.cluster.signature import SCHEME
from aggregator.cluster.window import Near, Nearest, Window
from aggregator.pipeline.weighing import WRITTEN, Weigher, Weighing
from aggregator.store import Store, StoreError, reach_store
from aggregator.store import events as stored
from aggregator.types import EntryId
from aggregator.workers import Crew, Lost, each_there

log = logging.getLogger(__name__)

LEAST_SHARED = 2_000
"""Entries to be weighed from which they are shared: a process needs a second until it can help."""

MOST_BESIDE = 60_000
"""Entries of the window up to which they are: each process holds them, at about 3 kB."""

SHARE = 8
"""Times AT_ONCE entries of which a process finds what is near before it answers: a quarter of a second, so that
little is lost with it, and nobody waits for long who stops."""

PARTS = 4
LARGEST_PART = 2
"""Parts to be judged for each process, at least: while one is written, none waits for the next. At most so many
times what one transaction writes, so that nobody waits for long who stops."""

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
    """A backlog with all that was found near to its entries; `listening`: those of which that was found now.

    `new`: see Weigher.weigh.
    """

    backlog: Backlog
    nearest: Nearest
    listening: list[Places]
    new: Places


Found = list[tuple[Met, Near]]
"""Of each AT_ONCE entries the candidates, and what is near to them, for Window.remember; all told by places."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Entries to be judged, with their candidates, those of each AT_ONCE together."""

    places: Places
    met: Sequence[Met]

    def __str__(self) -> str:
        return f"{len(self.places):,} entries"


class LeftError(Exception):
    """An entry that a job names is no longer there."""


class _Opened:
    """A backlog in the window of this process."""

    def __init__(self, backlog: Backlog, store: Store) -> None:
        self.name = backlog.name
        self.weigher = Weigher(backlog.days, backlog.network)
        self.is_surveyed = False
        self.new: Collection[EntryId] = ()
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
    """Places of entries and their rows in a window, -1 = not there (any more)."""

    def __init__(self, window: Window, numbers: NDArray[np.int64]) -> None:
        self.row_of: Rows = window.entries.find(numbers).astype(np.int64)
        there = np.flatnonzero(self.row_of >= 0)
        # The last one stands for row -1.
        self._place_of = np.full(len(window.entries) + 1, -1, np.int32)
        self._place_of[self.row_of[there]] = there

    def of(self, rows: NDArray[Any]) -> Places:
        """The places of rows."""
        found: Places = self._place_of[rows]
        return found

    def rows(self, places: Places) -> Rows:
        """The rows of places. Raises LeftError if one of them is not there."""
        rows = self.row_of[places]
        if (rows < 0).any():
            raise LeftError
        return rows

    def told(self, nearest: Nearest) -> Nearest:
        """The same with places instead of rows, for other processes."""
        return replace(nearest, near=self.of(nearest.near))

    def heard(self, nearest: Nearest) -> Nearest:
        """The same with rows instead of places, from another process."""
        near = np.where(nearest.near >= 0, self.row_of[nearest.near], -1)
        return replace(nearest, near=near.astype(np.int32))

    def told_met(self, met: Met) -> Met:
        """See `told`."""
        return replace(met, others=self.of(met.others))

    def heard_met(self, met: Met) -> Met:
        """See `heard`. Raises LeftError."""
        return replace(met, others=self.rows(met.others).astype(np.int32))

    def told_near(self, near: Near) -> Near:
        """See `told`."""
        return self.of(near[0]), self.of(near[1]), near[2]

    def heard_near(self, near: Near) -> Near:
        """See `heard`. Raises LeftError."""
        return self.rows(near[0]).astype(np.int32), self.rows(near[1]).astype(np.int32), near[2]


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
        return Lost("entries were removed or edited meanwhile")


def ready() -> None:
    """Does nothing: a process that has done it has loaded all that finding and judging need."""


def find_share(backlog: Backlog, share: Places) -> Found | Lost:
    """What is near to the entries of a share."""
    return _elsewhere(backlog.database, partial(_find, backlog, share))


def _find(backlog: Backlog, share: Places, store: Store) -> Found:
    opened = _opened(backlog, store)
    opened.window.keep_weights(opened.places.row_of)
    return _found(opened.window, opened.places, share)


def _found(window: Window, places: _Numbering, share: Places) -> Found:
    found = [find_near(window, part) for part in _split(places.rows(share), AT_ONCE)]
    return [(places.told_met(met), places.told_near(near)) for met, near in found]


def judge_part(surveyed: Surveyed, part: Part) -> list[Weighing] | Lost:
    """What weighing the entries of a part finds."""
    return _elsewhere(surveyed.backlog.database, partial(_judge, surveyed, part))


def _judge(surveyed: Surveyed, part: Part, store: Store) -> list[Weighing]:
    opened = _opened(surveyed.backlog, store)
    places, window = opened.places, opened.window
    if not opened.is_surveyed:
        there = places.row_of >= 0
        window.put_nearest(places.row_of[there], places.heard(surveyed.nearest.only(there)))
        window.keep_weights(places.row_of[there])
        rows = [places.row_of[part] for part in surveyed.listening]
        for _ in listen(window, [part[part >= 0] for part in rows]):
            continue
        opened.new = set(surveyed.backlog.numbers[surveyed.new].tolist())
        opened.is_surveyed = True
    met = [places.heard_met(one) for one in part.met]
    return list(opened.weigher.weigh_met(store, places.rows(part.places), met, opened.new))


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
    found = yield from _shared_out(crew, window, backlog, places, weighed)
    window.settled(rows)
    met = [met for met, _ in found]
    others = unsettled(window, [places.heard_met(one) for one in met])
    found += yield from _shared_out(crew, window, backlog, places, places.of(others))
    window.settled(others)
    yield from window.remember([places.heard_near(near) for _, near in found])
    met = paired(weighed, met)
    listening = _split(weighed, AT_ONCE) + _split(places.of(others), AT_ONCE)
    are_new = np.flatnonzero(np.isin(numbers, list(new))).astype(np.int32)
    surveyed = Surveyed(backlog, places.told(window.nearest(there)), listening, are_new)
    has_listened = False
    for part, judged in each_there(crew, partial(judge_part, surveyed), _parts(crew, weighed, met)):
        if not isinstance(judged, Lost):
            yield from (_as_of_here(found, window) for found in judged)
            continue
        log.warning("%s: this process judges them: %s", part, judged.reason)
        if not has_listened:
            yield from listen(window, [places.row_of[part] for part in listening])
            has_listened = True
        heard = [places.heard_met(one) for one in part.met]
        yield from weigher.weigh_met(store, places.rows(part.places), heard, new)


def _as_of_here(weighing: Weighing, window: Window) -> Weighing:
    """The same, told of the window of this process: a helper's lacks what was removed meanwhile."""
    rows = window.entries.rows_of(one.entry for one in weighing.decided)
    among = window.surroundings(rows).tolist()
    if among == [one.among for one in weighing.decided]:
        return weighing
    decided = [one._replace(among=now) for one, now in zip(weighing.decided, among, strict=True)]
    return replace(weighing, decided=decided)


def _shared_out(
    crew: Crew, window: Window, backlog: Backlog, places: _Numbering, wanted: Places
) -> Generator[None, None, Found]:
    """What is near to the entries at some places, in steps."""
    size = max(1, min(SHARE, -(-len(wanted) // crew.cores // AT_ONCE))) * AT_ONCE
    every: Found = []
    for share, found in each_there(crew, partial(find_share, backlog), _split(wanted, size)):
        if isinstance(found, Lost):
            log.warning("%s entries: this process finds what is near: %s", f"{len(share):,}", found.reason)
            every += _found(window, places, share)
        else:
            every += found
        yield
    return every


def _split(rows: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _parts(crew: Crew, weighed: Places, met: Sequence[Met]) -> list[Part]:
    written = WRITTEN * AT_ONCE
    size = min(LARGEST_PART, max(1, len(weighed) // (written * PARTS * crew.cores))) * written
    parts = []
    for start in range(0, len(weighed), size):
        places = weighed[start : start + size]
        known = met[start // AT_ONCE : (start + size) // AT_ONCE]
        parts.append(Part(places, known))
    return parts
