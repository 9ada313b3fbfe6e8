"""The list of feeds in force: the OPML file as it was when it could last be read."""

from __future__ import annotations

import gc
import hashlib
import logging
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from aggregator.config import Settings
from aggregator.opml import OpmlError, read_opml
from aggregator.pipeline.clock import utc_now
from aggregator.schedule import due_at_all
from aggregator.store import Store
from aggregator.store.feeds import due_feeds, free_feeds, listed_feeds
from aggregator.store.syncing import declare_list, overruled, plan_list, write_list
from aggregator.types import FeedList, FeedState, ListChange, ListSource

log = logging.getLogger(__name__)

MOST_WARNINGS = 20
"""Warnings about one state of the file that are logged one by one; `feeds check` shows all."""

MOST_EMPTIED = 3
"""Feeds that a list without any may take out: those of a trial, or the last ones that `feeds remove` takes
out one by one. A longer list is hardly meant to be emptied, and nothing would be polled from then on."""

SETTLED_SECONDS = 2.0
"""Age of a file from which its time of change tells: some file systems count in steps of two seconds (FAT), most
in those of the kernel's clock, and two saves within one step may leave the same size."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """The feeds of an OPML file, and what tells it from other processes' files."""

    feeds: FeedList
    source: ListSource


@dataclass(frozen=True, slots=True)
class Outdated:
    """The list was not put in force: that of `later` stays, a file that was saved later elsewhere."""

    source: ListSource
    later: ListSource

    def __str__(self) -> str:
        """What that means, and what to do."""
        return (
            f"{self.source.place} is another list than the one in force, and was saved earlier "
            f"({self.source.saved_at:%Y-%m-%d %H:%M} UTC): {self.later.place} of "
            f"{self.later.saved_at:%Y-%m-%d %H:%M} UTC stays in force. Copy that file here, or save this one again "
            "to put it in force."
        )


class _Mark(NamedTuple):
    """What tells one state of the file from another without reading it; all 0 if it can't be looked at."""

    device: int
    inode: int
    size: int
    changed_ns: int


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Lets Python's garbage collector rest, for which all threads stop: it would look at all objects meanwhile.

    While 100,000 feeds were read, that stopped polls once or twice for .1 s, longer in a larger process. A list has
    no cycles, and is gone when the collector works again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class OpmlWatch:
    """The list in force: the OPML file as it was when it could last be read."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._known: _Mark | None = None
        """The state of the file about which nothing is left to do."""
        self._refused: _Mark | None = None
        """The state of the file that could not be read at the last look."""
        self._digest = ""

    def start(self) -> None:
        """Puts the list of the file in force, or says that the last good one stays so.

        Raises OpmlError if the file can't be used and there is no last good list.
        """
        mark = _mark(self._settings.opml)
        try:
            self._load()
        except OpmlError as error:
            with self._store.read() as db:
                kept = len(listed_feeds(db))
            if not kept:
                raise
            log.warning("%s The last good list stays in force (%d feeds).", error, kept)
        self._known = mark

    def look(self) -> None:
        """Puts the file's list in force if it says something new.

        A file that is missing, torn or no list leaves the last good list in force. That is said once for each such
        state, and not before the second look: a program that saves the file may just be at work. Raises
        StoreError if the list can't be kept; the next look tries again.
        """
        mark = _mark(self._settings.opml)
        if mark == self._known:
            return
        try:
            self._load()
        except OpmlError as error:
            if mark == self._refused:
                log.warning("%s The last good list stays in force.", error)
                self._known = mark
            self._refused = mark
            return
        self._refused = None
        # The mark was taken before the file was read: what is saved meanwhile leaves another one.
        is_settled = time.time() - mark.changed_ns / 1e9 > SETTLED_SECONDS
        self._known = mark if is_settled else None

    @_collector_at_rest()
    def _load(self) -> None:
        content, source = _read(self._settings.opml)
        if source.digest == self._digest:
            return
        feeds = _feeds(content, self._settings)
        done = put_in_force(self._store, ListFile(feeds, source), self._settings)
        if isinstance(done, Outdated):
            # Not kept as known: saved again, the same content may be put in force.
            log.warning("%s", done)
            return
        self._digest = source.digest
        log.info(
            "%s: %d feeds, %d of them new, %d back; %d have left the list",
            self._settings.opml,
            len(feeds.feeds),
            done.new,
            done.back,
            done.left,
        )
        for warning in feeds.warnings[:MOST_WARNINGS]:
            log.warning("%s: %s", self._settings.opml, warning)
        if len(feeds.warnings) > MOST_WARNINGS:
            more = len(feeds.warnings) - MOST_WARNINGS
            log.warning("%s: %d more such warnings: `feeds check` shows all", self._settings.opml, more)


def put_in_force(store: Store, listed: ListFile, settings: Settings) -> ListChange | Outdated:
    """What has changed: the list in force becomes that of this file, unless another one was saved later elsewhere.

    What changes is found without keeping anybody from writing, and written in transactions of some milliseconds. A
    crash between them leaves a part of it; whoever puts the list in force next does the rest.

    Raises OpmlError if it lists no feed, and more than a few are in force.
    """
    if not listed.feeds.feeds:
        _refuse_to_empty(store, settings.opml)
    with store.write() as db:
        later = declare_list(db, listed.source)
    if later is not None:
        return Outdated(listed.source, later)
    with store.read() as db:
        plan = plan_list(db, listed.feeds.feeds, settings, utc_now())
    for part in plan.parts():
        with store.write() as db:
            if (later := overruled(db, listed.source)) is not None:
                return Outdated(listed.source, later)
            write_list(db, part)
    return plan.change


def _refuse_to_empty(store: Store, file: Path) -> None:
    with store.read() as db:
        count = len(listed_feeds(db))
    if count > MOST_EMPTIED:
        raise OpmlError(
            f"{file}: it lists no feed, and at most {MOST_EMPTIED} are taken out at once by such a list. "
            f"Restore it; to take out all {count}, leave one, and take that out when the others are gone."
        )


def read_list(settings: Settings) -> FeedList:
    """The feeds of the OPML file. Raises OpmlError if it is missing or can't be a list of feeds."""
    return read_file(settings).feeds


def read_file(settings: Settings) -> ListFile:
    """The same with the file's mark, for `put_in_force`."""
    content, source = _read(settings.opml)
    return ListFile(_feeds(content, settings), source)


def _mark(file: Path) -> _Mark:
    try:
        status = file.stat()
    except OSError:
        return _Mark(0, 0, 0, 0)
    return _Mark(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _read(file: Path) -> tuple[bytes, ListSource]:
    try:
        with file.open("rb") as opened:
            content = opened.read()
            saved_at = os.fstat(opened.fileno()).st_mtime
    except OSError as error:
        raise OpmlError(
            f"{file}: can't be read ({error.strerror}): create it or name another with --opml."
        ) from None
    place = f"{socket.gethostname()}:{file.resolve()}"
    return content, ListSource(
        hashlib.blake2b(content).hexdigest(), place, datetime.fromtimestamp(saved_at, UTC)
    )


def _feeds(content: bytes, settings: Settings) -> FeedList:
    """The feeds that the content lists. That none of its outlines can be used is no way to empty the list."""
    file = settings.opml
    try:
        feeds = read_opml(content, settings.min_interval, math.ceil(settings.window_days))
    except OpmlError as error:
        raise OpmlError(f"{file}: {error}") from None
    if feeds.warnings and not feeds.feeds:
        raise OpmlError(f"{file}: none of its outlines names a feed that can be asked. {feeds.warnings[0]}")
    return feeds


def feeds_to_ask(store: Store, now: datetime, settings: Settings, *, every: bool) -> list[FeedState]:
    """The feeds that one pass asks: those that are due; with `every`, all that may be asked."""
    with store.read() as db:
        states = free_feeds(db, now) if every else due_feeds(db, now)
    return [state for state in states if due_at_all(state, now, settings)]
