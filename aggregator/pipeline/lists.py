"""The list of feeds in force: the OPML file as it was when it could last be read."""

from __future__ import annotations

import logging
from datetime import datetime

from aggregator.config import Settings
from aggregator.opml import OpmlError, read_opml
from aggregator.pipeline.clock import utc_now
from aggregator.schedule import due_at_all
from aggregator.store import Store
from aggregator.store.feeds import due_feeds, listed_feeds, sync_feeds
from aggregator.types import FeedList, FeedState

log = logging.getLogger(__name__)


class OpmlWatch:
    """The list in force: the OPML file as it was when it could last be read."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._seen: tuple[int, int, int] | None = None

    def load(self) -> FeedList:
        """Reads the file and puts its list in force. Raises OpmlError (nothing changes) if it can't be used."""
        feeds = read_list(self._settings)
        with self._store.write() as db:
            new = sync_feeds(db, feeds.feeds, self._settings, utc_now())
        log.info("%s: %d feeds, %d of them new", self._settings.opml, len(feeds.feeds), new)
        for warning in feeds.warnings:
            log.warning("%s: %s", self._settings.opml, warning)
        return feeds

    def look(self) -> None:
        """Loads the file if it has changed; one that can't be read leaves the last good list in force."""
        mark = self._mark()
        if mark is None or mark == self._seen:
            return
        self._seen = mark
        try:
            self.load()
        except OpmlError as error:
            log.warning("%s The last good list stays in force.", error)

    def remember(self) -> None:
        """Takes the file as it is now for read."""
        self._seen = self._mark()

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            status = self._settings.opml.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def read_list(settings: Settings) -> FeedList:
    """The feeds of the OPML file. Raises OpmlError if it is missing or can't be a list of feeds."""
    try:
        content = settings.opml.read_bytes()
    except OSError as error:
        raise OpmlError(
            f"{settings.opml}: can't be read ({error.strerror}): create it or name another with --opml"
        ) from None
    try:
        return read_opml(content)
    except OpmlError as error:
        raise OpmlError(f"{settings.opml}: {error}") from None


def feeds_to_ask(store: Store, now: datetime, settings: Settings, *, every: bool) -> list[FeedState]:
    """The feeds that one pass asks: those that are due; with `every`, all that may be asked."""
    with store.read() as db:
        states = listed_feeds(db) if every else due_feeds(db, now)
    return [state for state in states if due_at_all(state, now, settings)]
