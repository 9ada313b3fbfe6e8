"""Figures of the whole database, cheap enough to be asked for every few seconds."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, func, select
from sqlalchemy.engine import Connection

from aggregator.store.activity import count_by_state, find_alarms
from aggregator.store.entries import count_pending
from aggregator.store.outbox import outbox_counts
from aggregator.store.tables import CHANGE, ENTRY, EVENT, FEED, SIGNATURE
from aggregator.types import AlarmKind, ChangeKind

RECENT = 100
"""Newest events over which the lag is taken."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is there now; `lag` in seconds, None before the first event. Counts of rows are those ever numbered.

    `waiting` and `dead`: messages to the webhook.
    """

    feeds: dict[str, int]
    alarms: Counter[AlarmKind]
    entries: int
    events: int
    signed: int
    pending: int
    due: int
    cursor: int
    waiting: int
    dead: int
    lag: float | None


def figures(db: Connection, now: datetime) -> Figures:
    """The figures of this database; no table is counted row by row."""
    messages = outbox_counts(db)
    due = select(func.count()).where(FEED.c.listed, FEED.c.next_poll_at <= now)
    return Figures(
        feeds=count_by_state(db),
        alarms=Counter(alarm.kind for alarm in find_alarms(db, now)),
        entries=_highest(db, ENTRY, "id"),
        events=_highest(db, EVENT, "id"),
        signed=_highest(db, SIGNATURE, "entry_id"),
        pending=count_pending(db),
        due=int(db.execute(due).scalar_one()),
        cursor=_highest(db, CHANGE, "cursor"),
        waiting=messages.waiting,
        dead=messages.dead,
        lag=_lag(db),
    )


def _highest(db: Connection, table: Table, column: str) -> int:
    return int(db.execute(select(func.coalesce(func.max(table.c[column]), 0))).scalar_one())


def _lag(db: Connection) -> float | None:
    newest = (
        select(CHANGE.c.event_id, CHANGE.c.at)
        .where(CHANGE.c.kind == ChangeKind.CREATED)
        .order_by(CHANGE.c.cursor.desc())
        .limit(RECENT)
        .subquery()
    )
    query = (
        select(newest.c.at, ENTRY.c.published_at)
        .join(EVENT, EVENT.c.id == newest.c.event_id)
        .join(ENTRY, ENTRY.c.id == EVENT.c.canonical_entry_id)
    )
    lags = [(row.at - row.published_at).total_seconds() for row in db.execute(query)]
    return statistics.median(lags) if lags else None
