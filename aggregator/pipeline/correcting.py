"""Corrections: people join events, part them, or choose their record; each is one transaction, kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection

from aggregator.pipeline.grouping import NOTHING_WRITTEN, Written, write_groups
from aggregator.pipeline.record import refresh_records, relate
from aggregator.store import Store, decisions
from aggregator.store import events as stored
from aggregator.store.corrections import add_corrections, corrections_of, overrule, unpin
from aggregator.store.dialect import lock_grouping
from aggregator.store.pairs import links_of
from aggregator.store.reads import event_now
from aggregator.types import ChangeKind, Correction, CorrectionKind, EntryId, EventId


class CorrectionError(Exception):
    """A correction that can't be made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What became of a correction: the event it left, another (merged away, or split off), what it overruled."""

    event: EventId
    other: EventId | None
    overruled: int


def merge(store: Store, event: EventId, other: EventId, now: datetime) -> Corrected:
    """Makes two events one, which keeps the id of the first. Raises CorrectionError if that can't be."""
    with store.write() as db:
        lock_grouping(db)
        return _merge(db, event, other, now)


def split(store: Store, event: EventId, entries: Sequence[EntryId], now: datetime) -> Corrected:
    """Makes these entries of an event an event of their own. Raises CorrectionError if that can't be."""
    with store.write() as db:
        lock_grouping(db)
        return _split(db, event, entries, now)


def pin(store: Store, entry: EntryId, now: datetime) -> Corrected:
    """Makes an entry the record of whatever event it is in. Raises CorrectionError if it is in none yet."""
    with store.write() as db:
        lock_grouping(db)
        event = _event_of(db, entry)
        others = stored.entries_of(db, [event]).keys() - {entry}
        overruled = unpin(db, others)
        unpin(db, [entry])
        add_corrections(db, [Correction(CorrectionKind.PIN, entry, None, now)])
        _tell(db, replace(NOTHING_WRITTEN, changed=frozenset({event})), now)
    return Corrected(event, None, overruled)


def release(store: Store, entry: EntryId, now: datetime) -> Corrected:
    """Lets the record of an entry's event be chosen again. Raises CorrectionError if the entry is not pinned."""
    with store.write() as db:
        lock_grouping(db)
        event = _event_of(db, entry)
        if not unpin(db, [entry]):
            raise CorrectionError(f"entry {entry} is not pinned: there is nothing to take back")
        _tell(db, replace(NOTHING_WRITTEN, changed=frozenset({event})), now)
    return Corrected(event, None, 0)


def _merge(db: Connection, event: EventId, other: EventId, now: datetime) -> Corrected:
    into, away = _living(db, event), _living(db, other)
    if into == away:
        raise CorrectionError(
            f"event {event} and event {other} are one event already (event {into}): nothing is to be done"
        )
    current = stored.entries_of(db, [into, away])
    staying = sorted(entry for entry, where in current.items() if where == into)
    coming = sorted(entry for entry, where in current.items() if where == away)
    overruled = overrule(db, CorrectionKind.APART, staying, coming)
    _bind(db, [*staying, *coming], now)
    written = write_groups(db, [frozenset(current)], current, now, {into: 0})
    _tell(db, written, now)
    decisions.correct_rules(db, current, len(current))
    return Corrected(into, away, overruled)


def _split(db: Connection, event: EventId, entries: Sequence[EntryId], now: datetime) -> Corrected:
    whole = _living(db, event)
    current = stored.entries_of(db, [whole])
    leaving = sorted(set(entries))
    strange = [entry for entry in leaving if entry not in current]
    if strange:
        names = ", ".join(map(str, strange))
        raise CorrectionError(
            f"not in event {whole}: entry {names}; `event show {whole} --format json` lists its entries"
        )
    staying = sorted(current.keys() - set(leaving))
    if not staying:
        raise CorrectionError(f"these are all entries of event {whole}: leave at least one of them out")
    bound = {
        end
        for one in corrections_of(db, staying)
        if one.kind is CorrectionKind.TOGETHER
        for end in (one.a, one.b)
    }
    overruled = overrule(db, CorrectionKind.TOGETHER, leaving, staying)
    _bind(db, [entry for entry in staying if entry in bound], now)
    _bind(db, leaving, now)
    add_corrections(db, [Correction(CorrectionKind.APART, leaving[0], entry, now) for entry in staying])
    groups = [frozenset(staying), frozenset(leaving)]
    written = write_groups(db, groups, current, now, {whole: 0})
    _tell(db, written, now)
    decisions.correct_rules(db, leaving, len(leaving))
    decisions.correct_rules(db, staying, len(staying))
    return Corrected(whole, written.event_of[1], overruled)


def _bind(db: Connection, entries: Sequence[EntryId], now: datetime) -> None:
    """Says that all of these tell one event."""
    overrule(db, CorrectionKind.TOGETHER, entries, entries)
    add_corrections(
        db, [Correction(CorrectionKind.TOGETHER, entries[0], entry, now) for entry in entries[1:]]
    )


def _living(db: Connection, event: EventId) -> EventId:
    """The event, or the one that it was merged into."""
    found = event_now(db, event)
    if found is None:
        raise CorrectionError(f"there is no event {event}: `events` lists them")
    return found


def _event_of(db: Connection, entry: EntryId) -> EventId:
    found = stored.events_of(db, [entry]).get(entry)
    if found is None:
        raise CorrectionError(
            f"entry {entry} is in no event: there is no such entry, or it waits to be grouped; "
            "`event show ID --format json` lists an event's entries"
        )
    return found


def _tell(db: Connection, written: Written, now: datetime) -> None:
    """Moves entries, makes the records of changed events anew, and writes to the change log that they are new."""
    stored.move_entries(db, written.moves)
    entries = stored.entries_of(db, written.changed)
    links = links_of(db, entries)
    refreshed, doubtful = refresh_records(
        db, written.changed, entries.keys(), links, replace(written, moves={}, created=frozenset())
    )
    refreshed |= relate(db, doubtful)
    updates: list[tuple[EventId, ChangeKind, EventId | None]] = [
        (event, ChangeKind.UPDATED, None) for event in sorted((refreshed | written.changed) - written.created)
    ]
    stored.add_changes(db, updates, now, written.grown)
