"""The cluster flow: pending entries -> candidates -> score -> assign -> save, one batch a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from aggregator.cluster.assign import Reconciled, partition, reconcile
from aggregator.cluster.index import Keyed, WindowIndex, day_of
from aggregator.cluster.score import RELATED, SAME_EVENT, Prepared, judge, prepare
from aggregator.cluster.signature import PERMUTATIONS, SCHEME, band_keys, event_keys
from aggregator.config import Settings
from aggregator.pipeline.record import refresh_records
from aggregator.store import Store
from aggregator.store import events as stored
from aggregator.types import ChangeKind, EntryId, EventId, Link, Signed

BATCH = 250
"""Entries settled in one transaction: long enough to share the look-ups, short enough (about .3 s) that polls
waiting to write do not notice."""

LEAST_EQUAL = 6
"""Of 128 MinHash values, how many two entries must share to be compared: fewer estimate a Jaccard similarity under
.05. On neus_sparse and uci_part a third and a twentieth of the candidates fall away, and of the pairs that are at
least related .5 and .9 %; of the pairs above the threshold none and 2 in 10,000."""

MOST_PREPARED = 2_000
"""Prepared entries kept between batches, about 9.5 kB each."""


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What a run of the clusterer did: events made, events that gained entries, events merged away."""

    entries: int = 0
    created: int = 0
    grown: int = 0
    merged: int = 0

    def __add__(self, other: ClusterReport) -> ClusterReport:
        return ClusterReport(
            self.entries + other.entries,
            self.created + other.created,
            self.grown + other.grown,
            self.merged + other.merged,
        )


class Clusterer:
    """Groups pending entries into events. One process at a time runs it (store.dialect.hold_role).

    Its memory (the index, prepared entries) is a cache of the store: a restarted clusterer decides the same.
    """

    def __init__(self, store: Store, settings: Settings, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._window = timedelta(days=settings.window_days)
        self._index = WindowIndex(self._window, self._load_day)
        self._prepared: dict[EntryId, Prepared] = {}

    def settle_batch(self) -> ClusterReport:
        """Settles the entries that wait longest, at most BATCH; a report of 0 entries when none waits."""
        with self._store.write() as db:
            batch = stored.pending_entries(db, BATCH)
            if not batch:
                return ClusterReport()
            report = self._settle(db, batch)
        if len(self._prepared) > MOST_PREPARED:
            self._prepared.clear()
        return report

    def _settle(self, db: Connection, batch: Sequence[Signed]) -> ClusterReport:
        numbers = {entry.id for entry in batch}
        for entry in batch:
            self._prepared[entry.id] = prepare(entry)
        before = stored.links_of(db, numbers)
        links = self._links(db, batch)
        stored.replace_links(db, numbers, links)
        # Entries that were linked to an old version of an edited entry may have to part from it.
        affected = numbers | {end for link in before for end in (link.a, link.b)}
        entries, near, current = _closure(db, affected)
        self._fetch(db, entries)
        groups = partition(entries, near, SAME_EVENT, self._score, self._order)
        reconciled = reconcile(groups, current)
        events = self._save(db, reconciled, current)
        stored.settle(db, numbers)
        changed = self._changes(db, reconciled, events, current)
        touched = {
            events[index] for index, a in enumerate(reconciled.assignments) if a.entries & numbers
        } | changed
        refreshed = refresh_records(db, touched, numbers, set(reconciled.merged), self._score)
        created = {events[index] for index, a in enumerate(reconciled.assignments) if a.event_id is None}
        updates: list[tuple[EventId, ChangeKind, EventId | None]] = [
            (event, ChangeKind.UPDATED, None) for event in sorted((refreshed | changed) - created)
        ]
        stored.add_changes(db, updates, self._now())
        return ClusterReport(len(batch), len(created), len(changed - created), len(reconciled.merged))

    # ---- candidates and scores -------------------------------------------------------------------

    def _links(self, db: Connection, batch: Sequence[Signed]) -> set[Link]:
        batch = [entry for entry in batch if entry.signature.scheme == SCHEME]
        keyed = key_entries(batch)
        self._index.add(keyed)
        pairs = np.unique(np.sort(self._index.candidates(keyed), axis=1), axis=0)
        self._fetch(db, np.unique(pairs).tolist())
        links = set()
        for a, b in self._alike(pairs):
            one, other = self._prepared.get(EntryId(a)), self._prepared.get(EntryId(b))
            # A candidate may be gone from the store, or lie outside the window: days are coarser than it.
            if one is None or other is None or abs(one.at - other.at) > self._window:
                continue
            probability, is_copy = judge(one, other)
            if is_copy or probability >= RELATED:
                links.add(Link(EntryId(a), EntryId(b), probability, is_copy))
        return links

    def _alike(self, pairs: NDArray[np.int64]) -> list[tuple[int, int]]:
        """The pairs [n, 2] whose MinHash values agree in LEAST_EQUAL places."""
        numbers, places = np.unique(pairs, return_inverse=True)
        values = np.zeros((len(numbers), PERMUTATIONS), dtype=np.uint32)
        for place, number in enumerate(numbers.tolist()):
            if EntryId(number) in self._prepared:
                values[place] = self._prepared[EntryId(number)].minhash
        places = places.reshape(pairs.shape)
        equal = (values[places[:, 0]] == values[places[:, 1]]).sum(axis=1)
        return [(a, b) for a, b in pairs[equal >= LEAST_EQUAL].tolist()]

    def _score(self, a: EntryId, b: EntryId) -> float:
        one, other = self._prepared[a], self._prepared[b]
        return 0.0 if abs(one.at - other.at) > self._window else judge(one, other)[0]

    def _order(self, entry: EntryId) -> tuple[object, ...]:
        return self._prepared[entry].order

    def _fetch(self, db: Connection, entries: Iterable[EntryId]) -> None:
        missing = [entry for entry in entries if entry not in self._prepared]
        for signed in stored.signed_entries(db, missing):
            self._prepared[signed.id] = prepare(signed)

    def _load_day(self, day: int) -> Keyed:
        with self._store.read() as db:
            return key_entries(stored.settled_on(db, day, SCHEME))

    # ---- writing ---------------------------------------------------------------------------------

    def _save(
        self, db: Connection, reconciled: Reconciled, current: Mapping[EntryId, EventId]
    ) -> list[EventId]:
        """The event of each assignment, with all entries moved there and emptied events merged."""
        now = self._now()
        fresh = iter(stored.create_events(db, sum(a.event_id is None for a in reconciled.assignments), now))
        events = [next(fresh) if a.event_id is None else a.event_id for a in reconciled.assignments]
        stored.move_entries(
            db,
            {
                entry: event
                for assignment, event in zip(reconciled.assignments, events, strict=True)
                for entry in assignment.entries
                if current.get(entry) != event
            },
        )
        stored.merge_events(db, {old: events[index] for old, index in reconciled.merged.items()})
        return events

    def _changes(
        self,
        db: Connection,
        reconciled: Reconciled,
        events: Sequence[EventId],
        current: Mapping[EntryId, EventId],
    ) -> set[EventId]:
        """The events whose members changed; writes created, split and merged to the change log."""
        changes: list[tuple[EventId, ChangeKind, EventId | None]] = []
        changed: set[EventId] = set()
        for assignment, event in zip(reconciled.assignments, events, strict=True):
            if assignment.event_id is None:
                changes.append((event, ChangeKind.CREATED, None))
            if assignment.split_from is not None and assignment.split_from not in reconciled.merged:
                changes.append((assignment.split_from, ChangeKind.SPLIT, event))
            moved = [entry for entry in assignment.entries if current.get(entry) != event]
            if moved:
                changed.add(event)
                changed.update(current[entry] for entry in moved if entry in current)
        changes.extend((old, ChangeKind.MERGED, events[index]) for old, index in reconciled.merged.items())
        stored.add_changes(db, changes, self._now())
        return changed - set(reconciled.merged)


def key_entries(entries: Sequence[Signed]) -> Keyed:
    """The index keys of entries: the bands of their MinHash, and the keys by which rewrites meet.

    An entry without words has no keys: it meets nothing.
    """
    entries = [entry for entry in entries if entry.signature.title or entry.signature.lead]
    if not entries:
        return Keyed(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
    signatures = [entry.signature for entry in entries]
    minhash = np.frombuffer(b"".join(s.minhash for s in signatures), dtype="<u4").reshape(len(entries), -1)
    bands = band_keys(minhash)
    keys = [np.unique(np.concatenate((bands[i], event_keys(s)))) for i, s in enumerate(signatures)]
    counts = [len(some) for some in keys]
    numbers = np.repeat(np.array([entry.id for entry in entries], dtype=np.int64), counts)
    days = np.repeat(np.array([day_of(entry.at) for entry in entries], dtype=np.int64), counts)
    return Keyed(np.concatenate(keys), numbers, days)


def _closure(
    db: Connection, entries: Iterable[EntryId]
) -> tuple[set[EntryId], list[Link], dict[EntryId, EventId]]:
    """All entries whose event may change with `entries`, their links, and their present events.

    Closed under strong links (at least SAME_EVENT, or copies) and under membership of an event.
    """
    reached: set[EntryId] = set()
    links: set[Link] = set()
    current: dict[EntryId, EventId] = {}
    known_events: set[EventId] = set()
    frontier = set(entries)
    while frontier:
        reached |= frontier
        found = stored.links_of(db, frontier)
        links |= found
        strong = {
            end for link in found if link.is_copy or link.score >= SAME_EVENT for end in (link.a, link.b)
        }
        events = set(stored.events_of(db, frontier).values()) - known_events
        known_events |= events
        members = stored.entries_of(db, events)
        current |= members
        frontier = (strong | set(members)) - reached
    return reached, [link for link in links if link.a in reached and link.b in reached], current
