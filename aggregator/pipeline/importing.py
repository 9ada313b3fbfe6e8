"""The import flow: JSON Lines -> entries of a pseudo-feed per source, kept like polled ones; clustered after."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from aggregator.pipeline.lines import Part, ReadPart, read_part
from aggregator.pipeline.news import read_news_of_feeds
from aggregator.pipeline.sources import Source, in_parts
from aggregator.store import Store, imports
from aggregator.store.entries import write_news_of_feeds
from aggregator.store.feeds import import_feeds
from aggregator.store.imports import BAD_KEPT, Reached
from aggregator.types import BadLine, FeedId
from aggregator.workers import ALONE, Crew, JobLimits, Lost

TOGETHER = 4
"""Parts that one transaction writes: half a second in which no other process writes to an SQLite database."""

SECONDS = 30.0
MEMORY = 400_000_000
"""Seconds of computing and bytes of address space that a part may take, besides what JobLimits allows for each of
its bytes: thirty times what 500 ordinary lines take, with the word lists of a dozen languages."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What some parts of the file brought.

    `bad` has the first of `bad_count` bad lines. `position`: bytes read, as they lie on the disk.
    """

    read: int
    new: int
    edited: int
    bad_count: int
    bad: tuple[BadLine, ...]
    position: int

    def __add__(self, later: ImportReport) -> ImportReport:
        return ImportReport(
            self.read + later.read,
            self.new + later.new,
            self.edited + later.edited,
            self.bad_count + later.bad_count,
            (*self.bad, *later.bad)[:BAD_KEPT],
            later.position,
        )


NOTHING_BROUGHT = ImportReport(0, 0, 0, 0, (), 0)


def import_lines(store: Store, lines: Iterable[bytes], now: datetime) -> Iterator[ImportReport]:
    """A report for every few hundred lines, each kept in one transaction before the report is given.

    A line that was imported before changes nothing; one with a known id and other content is an edit. Of two
    lines with one id (and source) the first counts, wherever they stand: repeating the file then changes nothing.
    """
    reader = _Reader(ALONE, now)
    writer = _Writer(store, now, Reached(""))
    for part, read in reader.read(in_parts(lines)):
        yield writer.keep([(part, read)])


def import_source(store: Store, source: Source, now: datetime, crew: Crew) -> Generator[ImportReport]:
    """As `import_lines`, read by all of the crew. An import that was broken off goes on behind what it had kept.

    What the database holds in the end does not depend on who read, nor on how often it was broken off. The first
    report is of what was kept before that. Raises UnreadableFileError, StoreError and CrewError.
    """
    with store.write() as db:
        imports.forget_abandoned(db, now)
        reached, keys = imports.reached(db, source.identity)
    reader = _Reader(crew, now)
    reader.taken.add(np.frombuffer(keys, np.uint64))
    writer = _Writer(store, now, reached)
    if reached.lines:
        yield ImportReport(
            reached.read, reached.new, reached.edited, reached.bad_count, reached.bad, reached.position
        )
    for parts in _together(reader.read(source.parts(reached.lines, reached.offset)), TOGETHER):
        yield writer.keep(parts)
    if source.identity:
        with store.write() as db:
            imports.forget_import(db, source.identity)


def _together(values: Iterable[Value], count: int) -> Iterator[list[Value]]:
    rest = iter(values)
    while some := list(islice(rest, count)):
        yield some


def _limits(part: Part) -> JobLimits:
    return JobLimits.of(sum(map(len, part.lines)), SECONDS, MEMORY)


class _Reader:
    """Parts read by a crew, in their order; no id twice."""

    def __init__(self, crew: Crew, now: datetime) -> None:
        self._crew = crew
        self._job = partial(read_part, now=now)
        self.taken = Keys()

    def read(self, parts: Iterable[Part]) -> Iterator[tuple[Part, list[ReadPart]]]:
        """Each part with what stands on its lines."""
        for part, answer in self._crew.each(self._job, parts, _limits):
            found = self._singly(part) if isinstance(answer, Lost) else [(part, answer)]
            yield part, [self._new_only(*one) for one in found]

    def _new_only(self, part: Part, read: ReadPart) -> ReadPart:
        """The same without entries whose id stood on a line of an earlier part."""
        keys = np.array(read.keys, np.uint64)
        again = self.taken.have(keys)
        if again.any():
            read = self._job(part, taken=frozenset(keys[again].tolist()))
        self.taken.add(keys[~again])
        return read

    def _singly(self, part: Part) -> list[tuple[Part, ReadPart]]:
        """The part line by line: one that ends a process, or takes too long, is a bad line and costs no other."""
        alone = [
            replace(part, first=part.first + place, lines=(line,)) for place, line in enumerate(part.lines)
        ]
        return [
            (line, _refused(line, answer) if isinstance(answer, Lost) else answer)
            for line, answer in self._crew.each(self._job, alone, _limits)
        ]


def _refused(line: Part, lost: Lost) -> ReadPart:
    return ReadPart(0, (), (), (BadLine(line.first, f"could not be read: {lost.reason}"),))


class _Writer:
    """Writes what was read, and how far that is, in one transaction."""

    def __init__(self, store: Store, now: datetime, reached: Reached) -> None:
        self._store = store
        self._now = now
        self._reached = reached
        self._feeds: dict[str, FeedId] = {}

    def keep(self, parts: list[tuple[Part, list[ReadPart]]]) -> ImportReport:
        """What these parts, which follow one another, brought."""
        last = parts[-1][0]
        every = [one for _, read in parts for one in read]
        bad = tuple(line for one in every for line in one.bad)
        read = sum(one.read for one in every)
        new = edited = 0
        with self._store.write() as db:
            for one in every:
                added, changed = self._write(db, one)
                new, edited = new + added, edited + changed
            before = self._reached
            after = replace(
                before.with_bad(bad),
                lines=last.first + len(last.lines) - 1,
                offset=last.end,
                position=last.raw_end,
                read=before.read + read,
                new=before.new + new,
                edited=before.edited + edited,
            )
            if after.identity:
                keys = np.array([key for one in every for key in one.keys], np.uint64)
                imports.reach(db, before, after, keys.tobytes(), self._now)
        self._reached = after
        return ImportReport(read, new, edited, len(bad), bad, last.raw_end)

    def _write(self, db: Connection, read: ReadPart) -> tuple[int, int]:
        missing = [source for source, _ in read.feeds if source not in self._feeds]
        found = import_feeds(db, missing) if missing else {}
        feeds = {(self._feeds.get(source) or found[source]): feed for source, feed in read.feeds}
        news = read_news_of_feeds(db, feeds)
        self._feeds |= found
        return write_news_of_feeds(db, news, self._now), sum(len(one.edits) for one in news.values())


class Keys:
    """64-bit numbers, some million of them in eight bytes each: as sorted runs, each twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def have(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these are among them."""
        found = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            place = np.searchsorted(run, keys)
            found |= run[np.minimum(place, len(run) - 1)] == keys
        return found

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Puts these among them."""
        while self._runs and len(self._runs[-1]) < 2 * len(keys):
            keys = np.concatenate((self._runs.pop(), keys))
        if len(keys):
            self._runs.append(np.sort(keys))
