"""Times of feeds that were written by a clock which was set since, moved so that each wait stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.engine import Connection

from aggregator.schedule import NEVER
from aggregator.store.feeds import LEASE, write_all
from aggregator.store.tables import FEED

MOVED = ("next_poll_at", "last_polled_at", "last_success_at", "retry_at", "whole_at", "moved_seen_at")

SLACK = timedelta(seconds=10)
"""By which the clocks of several machines may differ before a time counts as one that has not come yet."""


def move_times(db: Connection, worker: str, step: timedelta) -> int:
    """How many feeds' times were moved by `step`, by which the clock of this process was set.

    Those that this worker asked last: on PostgreSQL others go by other clocks. On SQLite, where one process polls
    at a time, all of them.
    """
    mine: ColumnElement[bool] = FEED.c.last_polled_at.is_not(None)
    if db.dialect.name != "sqlite":
        mine &= FEED.c.leased_by == worker
    return _move(db, mine, lambda _asked: step)


def doubt_future(db: Connection, now: datetime) -> int:
    """How many feeds were asked at a time that has not come yet, so by a clock that was wrong.

    They now count as asked just now, with all their waits as they were: asked no sooner than MIN_INTERVAL from now,
    and not after years. One that was never asked is due now. Leases from the future end soon.
    """
    db.execute(
        update(FEED).where(FEED.c.lease_until > now + LEASE + SLACK).values(lease_until=now + LEASE),
    )
    is_late = FEED.c.last_polled_at.is_(None) & (FEED.c.next_poll_at > now + SLACK)
    db.execute(update(FEED).where(is_late, FEED.c.next_poll_at < NEVER).values(next_poll_at=now))
    return _move(db, FEED.c.last_polled_at > now + SLACK, lambda asked: now - asked)


def _move(db: Connection, which: ColumnElement[bool], step_of: Callable[[datetime], timedelta]) -> int:
    columns = [FEED.c[name] for name in MOVED]
    # Locked: what is written meanwhile would be lost otherwise.
    rows = db.execute(select(FEED.c.id, *columns).where(which).order_by(FEED.c.id).with_for_update()).all()
    moved = []
    for row in rows:
        step = step_of(row.last_polled_at)
        times = {name: _moved(getattr(row, name), step) for name in MOVED}
        moved.append({"number": row.id} | times)
    write_all(db, moved)
    return len(moved)


def _moved(at: datetime | None, step: timedelta) -> datetime | None:
    return at if at is None or at == NEVER else at + step
