"""Old entries removed in small steps, once a day, between what else there is to do."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aggregator.config import Settings
from aggregator.pipeline.poll import READING
from aggregator.store import Store
from aggregator.store.dialect import lock_grouping
from aggregator.store.dropping import (
    Plan,
    drop_activity,
    drop_changes,
    drop_entries,
    next_straddlers,
    plan_drops,
    remember_part,
)
from aggregator.store.partitions import Range, TablesBusyError
from aggregator.store.retention import (
    Place,
    Retention,
    find_old,
    forget_pruned,
    remove,
    remove_activity,
    remove_changes,
    remove_old,
    retention,
)
from aggregator.store.room import keep_room
from aggregator.store.space import give_back_pages
from aggregator.types import EntryId

log = logging.getLogger(__name__)

LATER = "%s; it is tried again tomorrow"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step removed: events, entries, and the numbers that these had, with some that none had."""

    events: int = 0
    entries: int = 0
    numbers: Sequence[EntryId] = ()


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
        self._plan: Plan | None = None
        self._remembered: int | None = -1
        """Up to where the items of the partition that is to be dropped are remembered; None: all of them are."""

    def step(self) -> Pruned | None:
        """One transaction's worth of removing; None when nothing is left to do until the next day (UTC)."""
        now = self._now()
        day = now.toordinal()
        if self._done_on == day:
            return None
        with self._store.read() as db:
            kept = retention(db, now, self._keep_days, self._least_days)
            if self._plan is None:
                self._plan, self._remembered = plan_drops(db, kept), -1
        done = self._remove(kept, self._plan, now) if kept.latest is not None else None
        if done is None:
            self._done_on, self._place, self._has_searched, self._plan = day, None, False, None
        return done

    def _remove(self, kept: Retention, plan: Plan, now: datetime) -> Pruned | None:
        if plan.due is not None:
            return self._drop(plan.due, kept, plan, now)
        if not self._has_searched:
            with self._store.write() as db:
                old = remove_old(db, kept, self._place, now, plan.waiting)
            self._place, self._has_searched = old.then, old.then is None
            return Pruned(len(old.events), len(old.entries), old.entries)
        try:
            with self._store.write() as db:
                changes, waits = drop_changes(db, kept)
                drop_activity(db, now)
        except TablesBusyError as error:
            log.warning(LATER, error)
            changes, waits = 0, True
        with self._store.write() as db:
            if not changes and not waits:
                changes = remove_changes(db, kept)
            forgotten = forget_pruned(db, now, READING)
            if not changes and not forgotten:
                remove_activity(db, now)
        if changes or forgotten or give_back_pages(self._store):
            return Pruned()
        return None

    def _drop(self, numbers: Range, kept: Retention, plan: Plan, now: datetime) -> Pruned:
        """The next step towards a partition that is gone; then those that are left are looked at anew."""
        if self._remembered is not None:
            with self._store.write() as db:
                self._remembered = remember_part(db, numbers, self._remembered, now)
            return Pruned()
        with self._store.write() as db:
            lock_grouping(db)
            old = next_straddlers(db, numbers)
            remove(db, old, now)
        if old.events:
            return Pruned(len(old.events), len(old.entries), old.entries)
        try:
            keep_room(self._store.engine, changes=numbers.end - numbers.start)
            with self._store.write() as db:
                gone = drop_entries(db, numbers, kept, now)
        except TablesBusyError as error:
            log.warning(LATER, error)
            gone = None
        self._plan = None if gone else replace(plan, due=None)
        if gone is None:
            return Pruned()
        return Pruned(gone.events, gone.entries, range(numbers.start, numbers.end))  # type: ignore[arg-type]


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
