"""What all processes on a database did on a day, for the line that the log has of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.engine import Connection

from aggregator.store.dialect import insert_new
from aggregator.store.tables import DAY_COUNT
from aggregator.types import DayCount

KEPT_DAYS = 400
"""For how long the counts of a day are kept: as long as what feeds brought on it."""


def count_day(db: Connection, day: int, done: Mapping[str, int]) -> None:
    """Adds to the counts of a day, which has a row from then on; `done` has the names of DayCount's counts."""
    db.execute(insert_new(db, DAY_COUNT).values(day=day))
    sums = {name: DAY_COUNT.c[name] + count for name, count in done.items() if count}
    if sums:
        db.execute(update(DAY_COUNT).where(DAY_COUNT.c.day == day).values(sums))


def end_days(db: Connection, first: int, now: datetime) -> list[DayCount]:
    """The days before `first` that nobody was given before, in order; what is too old is forgotten."""
    ended = DAY_COUNT.c.told_at.is_(None) & (DAY_COUNT.c.day < first)
    rows = db.execute(update(DAY_COUNT).where(ended).values(told_at=now).returning(DAY_COUNT)).all()
    if rows:
        db.execute(delete(DAY_COUNT).where(DAY_COUNT.c.day < first - KEPT_DAYS))
    return sorted(
        (DayCount(row.day, row.polls, row.failed, row.new, row.events) for row in rows),
        key=lambda count: count.day,
    )
