"""Entries that are grouped already, grouped anew: what would change, and the change."""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.store import Store, open_store
from aggregator.store.copying import copy_since
from aggregator.store.tables import ENTRY
from aggregator.types import EntryId, EventId
from aggregator.workers import ALONE, Crew


@dataclass(frozen=True, slots=True)
class Part:
    """Entries of one event that are in another afterwards."""

    entries: tuple[EntryId, ...]
    event: EventId
    other: EventId


@dataclass(frozen=True, slots=True)
class Difference:
    """What grouping anew changes: `merged` events end, `split` parts become new events, `moved` ones go to another.

    `entries` were looked at, in `before` events; `after` is the number of events that hold them then.
    """

    entries: int
    before: int
    after: int
    merged: tuple[Part, ...]
    split: tuple[Part, ...]
    moved: tuple[Part, ...]


Events = Mapping[EntryId, EventId]


def events_since(store: Store, since: datetime) -> dict[EntryId, EventId]:
    """The event of each grouped entry published since then."""
    query = select(ENTRY.c.id, ENTRY.c.event_id).where(
        ENTRY.c.published_at >= since, ENTRY.c.event_id.is_not(None)
    )
    with store.read() as db:
        return {EntryId(row.id): EventId(row.event_id) for row in db.execute(query)}


def newest(store: Store) -> datetime | None:
    """When the newest grouped entry was published; None if there is none."""
    query = select(ENTRY.c.published_at).where(ENTRY.c.event_id.is_not(None))
    with store.read() as db:
        return db.execute(query.order_by(ENTRY.c.published_at.desc()).limit(1)).scalar()


def margin(settings: Settings) -> timedelta:
    """How far before a time there may be entries whose events change with those since then."""
    return timedelta(days=3 * math.ceil(settings.window_days))


def regroup(store: Store, settings: Settings, since: datetime, crew: Crew = ALONE) -> Iterator[int]:
    """Groups all entries published since then anew, and gives the number looked at in each step. The crew weighs.

    Ids stay with the larger part of each event. Each step is one transaction; what a crash leaves undone, the
    next process that groups goes on with.
    """
    clusterer = Clusterer(store, settings, utc_now, crew)
    for report in clusterer.weigh_since(since):
        yield report.reviewed


@contextmanager
def scratch_copy(store: Store, settings: Settings, since: datetime) -> Iterator[Store]:
    """A database of its own with all that grouping anew since then would look at; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = open_store(f"sqlite:///{folder}/scratch.db")
        try:
            with store.read() as source, scratch.write() as target:
                copy_since(source, target, since - margin(settings))
            yield scratch
        finally:
            scratch.close()


def difference(before: Events, after: Events) -> Difference:
    """What became of the entries that had an event before."""
    common = sorted(before.keys() & after.keys())
    old, new = set(before.values()), {after[entry] for entry in common}
    gone = old - new
    parts: dict[tuple[EventId, EventId], list[EntryId]] = defaultdict(list)
    for entry in common:
        if before[entry] != after[entry]:
            parts[before[entry], after[entry]].append(entry)
    heirs: dict[EventId, Counter[EventId]] = defaultdict(Counter)
    for (event, other), entries in parts.items():
        heirs[event][other] += len(entries)
    merged, split, moved = [], [], []
    for (event, other), entries in sorted(parts.items()):
        part = Part(tuple(entries), event, other)
        if event in gone and other == min(heirs[event], key=lambda name: (-heirs[event][name], name)):
            merged.append(part)
        elif other not in old:
            split.append(part)
        else:
            moved.append(part)
    return Difference(len(common), len(old), len(new), tuple(merged), tuple(split), tuple(moved))
