"""Groups of entries written as events: ids kept, events made, merged and split, the log of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from aggregator.cluster.assign import Group, Reconciled, reconcile
from aggregator.store import events as stored
from aggregator.types import ChangeKind, EntryId, EventId


@dataclass(frozen=True, slots=True)
class Written:
    """`event_of` each group, in order; the events that are new, whose members changed, and that ended.

    `grown` are those of the changed ones that got entries and are not new. `moves`: the entries that are still to
    be put into another event, with that event.
    """

    event_of: tuple[EventId, ...]
    created: frozenset[EventId]
    changed: frozenset[EventId]
    merged: frozenset[EventId]
    grown: frozenset[EventId]
    moves: Mapping[EntryId, EventId]


NONE: frozenset[EventId] = frozenset()
NOTHING_WRITTEN = Written((), NONE, NONE, NONE, NONE, {})


def write_groups(
    db: Connection,
    groups: Sequence[Group],
    current: Mapping[EntryId, EventId],
    now: datetime,
    fixed: Mapping[EventId, int] | None = None,
) -> Written:
    """Makes each group one event, but for moving its entries. `current` holds all entries of each event it names.

    `fixed` says of events in which of the groups, by position, their id stays.
    """
    reconciled = reconcile(groups, current, fixed)
    fresh = iter(stored.create_events(db, sum(a.event_id is None for a in reconciled.assignments), now))
    events = tuple(next(fresh) if a.event_id is None else a.event_id for a in reconciled.assignments)
    moves = {
        entry: event
        for assignment, event in zip(reconciled.assignments, events, strict=True)
        for entry in assignment.entries
        if current.get(entry) != event
    }
    stored.merge_events(db, {old: events[index] for old, index in reconciled.merged.items()})
    changed, joined = _write_changes(db, reconciled, events, current, now)
    created = {events[index] for index, a in enumerate(reconciled.assignments) if a.event_id is None}
    return Written(
        events,
        frozenset(created),
        frozenset(changed),
        frozenset(reconciled.merged),
        frozenset(joined - created),
        moves,
    )


def _write_changes(
    db: Connection,
    reconciled: Reconciled,
    events: Sequence[EventId],
    current: Mapping[EntryId, EventId],
    now: datetime,
) -> tuple[set[EventId], set[EventId]]:
    """The events whose members changed, and those that got some; writes created, split and merged to the log."""
    changes: list[tuple[EventId, ChangeKind, EventId | None]] = []
    changed: set[EventId] = set()
    joined: set[EventId] = set()
    for assignment, event in zip(reconciled.assignments, events, strict=True):
        if assignment.event_id is None:
            changes.append((event, ChangeKind.CREATED, None))
        if assignment.split_from is not None and assignment.split_from not in reconciled.merged:
            changes.append((assignment.split_from, ChangeKind.SPLIT, event))
        moved = [entry for entry in assignment.entries if current.get(entry) != event]
        if moved:
            joined.add(event)
            changed.update(current[entry] for entry in moved if entry in current)
    changes.extend((old, ChangeKind.MERGED, events[index]) for old, index in reconciled.merged.items())
    stored.add_changes(db, changes, now)
    return (changed | joined) - set(reconciled.merged), joined
