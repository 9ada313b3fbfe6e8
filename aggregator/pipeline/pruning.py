"""Old entries removed in small steps, once a day, between what else there is to do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aggregator.config import Settings
from aggregator.pipeline.poll import READING
from aggregator.store import Store
from aggregator.store.retention import (
    Place,
    Retention,
    find_old,
    forget_pruned,
    remove_activity,
    remove_changes,
    remove_old,
    retention,
)
from aggregator.store.space import give_back_pages
from aggregator.types import EntryId


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step removed."""

    events: int = 0
    entries: tuple[EntryId, ...] = ()


class Pruner:
    """Removes what is past its time. Only the process that groups may: the clusterer's memory names entries."""

    def __init__(self, store: Store, settings: Settings, now: Callable[[], datetime]) -> None:
        self._store = store
        self._keep_days = settings.keep_days
        self._least_days = math.ceil(settings.window_days)
        self._now = now
        self._done_on: int | None = None
        """The day (UTC) for which all is done."""
        self._place: Place | None = None
        self._has_searched = False

    def step(self) -> Pruned | None:
        """One transaction's worth of removing; None when nothing is left to do until the next day (UTC)."""
        now = self._now()
        day = now.toordinal()
        if self._done_on == day:
            return None
        with self._store.read() as db:
            kept = retention(db, now, self._keep_days, self._least_days)
        done = self._remove(kept, now) if kept.latest is not None else None
        if done is None:
            self._done_on, self._place, self._has_searched = day, None, False
        return done

    def _remove(self, kept: Retention, now: datetime) -> Pruned | None:
        if not self._has_searched:
            with self._store.write() as db:
                old = remove_old(db, kept, self._place, now)
            self._place, self._has_searched = old.then, old.then is None
            return Pruned(len(old.events), old.entries)
        with self._store.write() as db:
            changes = remove_changes(db, kept)
            forgotten = forget_pruned(db, now, READING)
            if not changes and not forgotten:
                remove_activity(db, now)
        if changes or forgotten or give_back_pages(self._store):
            return Pruned()
        return None


@dataclass(frozen=True, slots=True)
class Doomed:
    """What removing would remove now."""

    events: int
    entries: int


def count_old(store: Store, settings: Settings, now: datetime) -> Doomed:
    """What is past its time; nothing is removed."""
    events = entries = 0
    place: Place | None = None
    with store.read() as db:
        kept = retention(db, now, settings.keep_days, math.ceil(settings.window_days))
        while True:
            old = find_old(db, kept, place)
            events, entries, place = events + len(old.events), entries + len(old.entries), old.then
            if place is None:
                return Doomed(events, entries)
