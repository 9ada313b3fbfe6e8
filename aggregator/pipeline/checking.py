"""Faults of the database found and, where they can be, mended from the entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from aggregator.cluster.signature import SCHEME
from aggregator.pipeline.record import refresh_records
from aggregator.pipeline.signing import sign_missing
from aggregator.store import Store, checking
from aggregator.store import events as stored
from aggregator.store.checking import Check, Fault
from aggregator.store.dialect import lock_grouping
from aggregator.store.pairs import links_of
from aggregator.store.retention import remove_events
from aggregator.types import ChangeKind, EventId

Mend = Callable[[Store, datetime], None]

REFRESHED = 250
"""Events whose records are made anew in one transaction."""


def find_faults(store: Store) -> dict[Check, list[Fault]]:
    """What was looked at, with what was found wrong."""
    return dict(checking.find_faults(store, SCHEME))


def repair(store: Store, faults: Iterable[Fault], now: datetime) -> None:
    """Makes anew what can be made from the entries; the rest stays as it is.

    To be called by the process that groups, and followed by grouping: entries may wait for it.
    """
    found = {fault.check for fault in faults if fault.can_repair}
    for check, mend in MENDING.items():
        if check in found:
            mend(store, now)
    if found & {Check.COUNTS, Check.RECORDS}:
        _refresh(store, now)


def _in_one(mend: Callable[[Connection], None]) -> Mend:
    return _dated(lambda db, _now: mend(db))


def _dated(mend: Callable[[Connection, datetime], None]) -> Mend:
    def run(store: Store, now: datetime) -> None:
        with store.write() as db:
            lock_grouping(db)
            mend(db, now)

    return run


def _with_rows(check: Check, mend: Callable[[Connection, list[int]], None]) -> Mend:
    return _in_one(lambda db: mend(db, checking.faulty(db, check, SCHEME)))


def _remove_empty(db: Connection, now: datetime) -> None:
    remove_events(db, [EventId(number) for number in checking.faulty(db, Check.EMPTY, SCHEME)], now)


def _sign(store: Store, _now: datetime) -> None:
    is_more = True
    while is_more:
        with store.write() as db:
            is_more = sign_missing(db)


MENDING: dict[Check, Mend] = {
    Check.FILE: _in_one(checking.rebuild_indexes),
    Check.WORDS: _in_one(checking.rebuild_words),
    Check.UNSIGNED: _sign,
    Check.OTHER_SCHEME: _sign,
    Check.DAYS: _with_rows(Check.DAYS, checking.date_signatures),
    Check.UNGROUPED: _with_rows(Check.UNGROUPED, checking.ask_to_group),
    Check.ORPHANS: _with_rows(Check.ORPHANS, checking.ask_to_group),
    Check.PAIRS: _with_rows(Check.PAIRS, checking.remove_pairs),
    Check.DECISIONS: _with_rows(Check.DECISIONS, checking.remove_decisions),
    Check.TEASERS: _with_rows(Check.TEASERS, checking.unname_entries),
    Check.IDENTITIES: _in_one(checking.renew_identities),
    Check.EMPTY: _dated(_remove_empty),
}


def _refresh(store: Store, now: datetime) -> None:
    with store.read() as db:
        wrong = {
            EventId(number)
            for check in (Check.COUNTS, Check.RECORDS)
            for number in checking.faulty(db, check, SCHEME)
        }
    events = sorted(wrong)
    for start in range(0, len(events), REFRESHED):
        with store.write() as db:
            lock_grouping(db)
            _refresh_some(db, events[start : start + REFRESHED], now)


def _refresh_some(db: Connection, events: Sequence[EventId], now: datetime) -> None:
    links = links_of(db, stored.entries_of(db, events))
    changed, _ = refresh_records(db, events, (), links)
    stored.add_changes(db, [(event, ChangeKind.UPDATED, None) for event in sorted(changed)], now)
