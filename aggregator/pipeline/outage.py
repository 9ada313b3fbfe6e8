"""Times in which the database does not answer: told once when they begin and once when they end."""

from __future__ import annotations

import logging
import threading
import time

from aggregator.store import Store, UnreachableError

log = logging.getLogger(__name__)


class Outage:
    """Whether the database is away; thread-safe. Whoever meets it tells, `look` finds out when it is over."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._since: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether the database was away when last asked: then there is no use in asking it for more."""
        return self._since is not None

    def begin(self, error: UnreachableError) -> None:
        """The database did not answer; the first to find out logs it."""
        with self._turn:
            if self._since is None:
                self._since = time.monotonic()
                log.error("%s. All else waits until it answers.", error)

    def look(self) -> None:
        """Asks whether the database is back."""
        if self._since is None:
            return
        try:
            with self._store.read() as db:
                db.exec_driver_sql("SELECT 1")
        except UnreachableError:
            return
        with self._turn:
            log.info("the database answers again, after %.0f s", time.monotonic() - self._since)
            self._since = None
