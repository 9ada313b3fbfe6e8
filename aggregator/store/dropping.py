"""Partitions in which all is past its time are dropped as a whole (PostgreSQL): to remove rows costs far more.

So what is in a partition that will soon be old altogether waits for that, some days beyond its time. A partition
that holds something that stays loses its rows one by one, as tables do on SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from aggregator.store.dialect import among, lock_grouping, wake_listeners
from aggregator.store.partitions import (
    BESIDE,
    OF_ENTRIES,
    Range,
    TablesBusyError,
    has_partitions,
    is_busy,
    lock_tables,
    ranges,
)
from aggregator.store.retention import ACTIVITY_DAYS, Old, Retention, remember
from aggregator.store.tables import ALIAS, CHANGE, CORRECTION, ENTRY, EVENT, LINK, TEASER
from aggregator.types import EntryId, EventId, FeedId

WAIT = timedelta(days=10)
"""For how long entries wait for the rest of their partition: a week's worth, and what its events still get."""

TRIES, PAUSE_SECONDS = 50, 0.2
REMEMBERED = 5_000
"""Items remembered as removed in one step."""

STRADDLERS = 200
"""Events looked at in one step that have entries beyond the partition."""

NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of old partitions: the one that is dropped next, and those whose entries wait for that."""

    due: Range | None = None
    waiting: tuple[Range, ...] = ()


def plan_drops(db: Connection, kept: Retention) -> Plan:
    """Looks at the partitions that are full, the oldest first, up to one in which nothing is soon old."""
    if not has_partitions(db) or kept.latest is None:
        return Plan()
    waiting: list[Range] = []
    due = None
    last = _last(db, "entry", "id")
    for numbers in ranges(db, "entry"):
        if numbers.end > last or _newest(db, numbers) >= kept.latest + WAIT:
            break
        wait = _wait(db, numbers, kept)
        if wait is None or wait > WAIT:
            continue
        if wait <= NOTHING and not waiting:
            due = numbers
        waiting.append(numbers)
    return Plan(due, tuple(waiting))


def _within(numbers: Range, column: ColumnElement[int] = ENTRY.c.id) -> ColumnElement[bool]:
    return (column >= numbers.start) & (column < numbers.end)


def _last(db: Connection, table: str, column: str) -> int:
    return int(db.exec_driver_sql(f"SELECT COALESCE(max({column}), 0) FROM {table}").scalar_one())  # noqa: S608 (ours)


def _newest(db: Connection, numbers: Range) -> datetime:
    """When the partition's last entry came; long ago if it has none."""
    query = select(ENTRY.c.first_seen_at).where(_within(numbers)).order_by(ENTRY.c.id.desc()).limit(1)
    return db.execute(query).scalar() or datetime.min.replace(tzinfo=UTC)


def _wait(db: Connection, numbers: Range, kept: Retention) -> timedelta | None:
    """How long until all of the partition is old; None if something in it stays for good.

    What waits for the clusterer makes it wait, too.
    """
    said = or_(_within(numbers, CORRECTION.c.a), _within(numbers, CORRECTION.c.b))
    if db.execute(select(CORRECTION.c.id).where(said).limit(1)).first():
        return None
    last = select(ENTRY.c.feed_id, func.max(ENTRY.c.first_seen_at).label("at"))
    rows: list[Any] = list(db.execute(last.where(_within(numbers)).group_by(ENTRY.c.feed_id)))
    beyond = _straddling(db, numbers)
    for start in range(0, len(beyond), STRADDLERS):
        members = among(ENTRY.c.event_id, beyond[start : start + STRADDLERS])
        rows += db.execute(last.where(members).group_by(ENTRY.c.feed_id)).all()
        if _are_kept(db, members):
            return None
    wait = _longest(rows, kept)
    waits = select(ENTRY.c.id).where(_within(numbers), ENTRY.c.pending).limit(1)
    if wait is not None and db.execute(waits).first():
        return max(wait, timedelta(seconds=1))
    return wait


def _are_kept(db: Connection, members: ColumnElement[bool]) -> bool:
    """Whether people said something of these entries."""
    ids = select(ENTRY.c.id).where(members)
    said = or_(CORRECTION.c.a.in_(ids), CORRECTION.c.b.in_(ids))
    return db.execute(select(CORRECTION.c.id).where(said).limit(1)).first() is not None


def _longest(rows: Sequence[Any], kept: Retention) -> timedelta | None:
    waits = [NOTHING]
    for feed, at in rows:
        before = kept.of(FeedId(feed))
        if before is None:
            return None
        waits.append(at - before + timedelta(microseconds=1))
    return max(waits)


def _straddling(db: Connection, numbers: Range) -> list[EventId]:
    """Events that have entries in this partition and in others."""
    here = (
        select(ENTRY.c.event_id, func.count().label("entries"))
        .where(_within(numbers), ENTRY.c.event_id.is_not(None))
        .group_by(ENTRY.c.event_id)
        .subquery()
    )
    of_events = select(EVENT.c.id).join(here, here.c.event_id == EVENT.c.id)
    rows = db.execute(of_events.where(here.c.entries < EVENT.c.entry_count).order_by(EVENT.c.id))
    return [EventId(row.id) for row in rows]


def next_straddlers(db: Connection, numbers: Range) -> Old:
    """The next events, all of whose entries are old, that have entries beyond this partition as well."""
    events = tuple(_straddling(db, numbers)[:STRADDLERS])
    members = db.execute(select(ENTRY.c.id).where(among(ENTRY.c.event_id, events)))
    return Old(events, tuple(EntryId(row.id) for row in members), None)


def remember_part(db: Connection, numbers: Range, after: int, now: datetime) -> int | None:
    """Remembers the next items of the partition as removed; the number to go on after, None at its end.

    That is done before they go, in many transactions: nobody asks for it while the entries are there.
    """
    query = select(ENTRY.c.id).where(_within(numbers), ENTRY.c.id > after)
    found = [EntryId(row.id) for row in db.execute(query.order_by(ENTRY.c.id).limit(REMEMBERED))]
    remember(db, found, now)
    return found[-1] if len(found) == REMEMBERED else None


@dataclass(frozen=True, slots=True)
class Dropped:
    """How much went with a partition."""

    events: int
    entries: int


def drop_entries(db: Connection, numbers: Range, kept: Retention, now: datetime) -> Dropped | None:
    """Removes a partition of entries with their events; the change log says of each event that it was removed.

    None, with nothing done, if something in it waits or stays after all. Raises TablesBusyError.
    """
    lock_grouping(db)
    wait = _wait(db, numbers, kept)
    if wait is None or wait > NOTHING or _straddling(db, numbers):
        return None
    entries = db.execute(select(func.count()).where(_within(numbers))).scalar_one()
    db.exec_driver_sql(
        "CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT DISTINCT event_id AS id FROM entry "
        "WHERE id >= %s AND id < %s AND event_id IS NOT NULL",
        (numbers.start, numbers.end),
    )
    told = db.exec_driver_sql(
        "INSERT INTO change (event_id, kind, at) SELECT id, 'removed', %s FROM gone ORDER BY id", (now,)
    )
    _remove_around(db, numbers)
    wake_listeners(db)
    _drop(db, "entry", [numbers])
    return Dropped(told.rowcount, entries)


def _remove_around(db: Connection, numbers: Range) -> None:
    """Removes the events, and what names these entries from elsewhere; the bulk of it goes with the tables."""
    db.exec_driver_sql("INSERT INTO gone SELECT event.id FROM event JOIN gone ON event.merged_into = gone.id")
    db.exec_driver_sql("ANALYZE gone")
    for table in ("teaser", "outbox"):
        db.exec_driver_sql(f"DELETE FROM {table} USING gone WHERE {table}.event_id = gone.id")  # noqa: S608 (ours)
    db.exec_driver_sql(
        "UPDATE teaser SET related_event_id = NULL FROM gone WHERE teaser.related_event_id = gone.id"
    )
    db.exec_driver_sql("DELETE FROM event USING gone WHERE event.id = gone.id")
    db.execute(update(TEASER).where(_within(numbers, TEASER.c.entry_id)).values(entry_id=None))
    db.execute(delete(LINK).where(_within(numbers, LINK.c.b), LINK.c.a < numbers.start))
    db.execute(delete(ALIAS).where(_within(numbers, ALIAS.c.entry_id)))
    db.exec_driver_sql(
        "DELETE FROM entry_identity WHERE entry_id >= %s AND entry_id < %s", (numbers.start, numbers.end)
    )


def _drop(db: Connection, table: str, partitions: Sequence[Range]) -> None:
    """Drops partitions of the table as soon as nobody uses it; of `entry` with those of all that hangs on it.

    Takes some milliseconds once the locks are there. They keep readers out, too: PostgreSQL detaches nothing
    CONCURRENTLY from a table that has a rest. Raises TablesBusyError.
    """
    of_entries = table == "entry"
    for _ in range(TRIES):
        try:
            with db.begin_nested():
                lock_tables(db, ("feed", *OF_ENTRIES, *BESIDE) if of_entries else (table,))
                for numbers in partitions:
                    if of_entries:
                        _drop_entries(db, numbers)
                    else:
                        db.exec_driver_sql(f"DROP TABLE {numbers.of(table)}")
        except DBAPIError as error:
            if not is_busy(error):
                raise
            sleep(PAUSE_SECONDS)
        else:
            return
    raise TablesBusyError("old entries can't be removed: another program keeps the tables locked (pg_locks)")


def _drop_entries(db: Connection, numbers: Range) -> None:
    if db.execute(select(ENTRY.c.id).where(_within(numbers), ENTRY.c.pending).limit(1)).first():
        raise TablesBusyError("an entry that was to be removed has been edited: it waits")
    for table in reversed(OF_ENTRIES):
        if table == "entry":
            # Looks once whether anything still refers to these entries.
            db.exec_driver_sql(f"ALTER TABLE entry DETACH PARTITION {numbers.of(table)}")
        db.exec_driver_sql(f"DROP TABLE IF EXISTS {numbers.of(table)}")
    # A program from before there was that table made partitions of the others alone.
    db.exec_driver_sql(
        "DELETE FROM entry_words_rest WHERE entry_id >= %s AND entry_id < %s", (numbers.start, numbers.end)
    )


def drop_changes(db: Connection, kept: Retention) -> tuple[int, bool]:
    """How many lines of the change log went with a partition, and whether the next ones wait to go with theirs.

    The last line stays. Raises TablesBusyError.
    """
    if not has_partitions(db) or kept.earliest is None:
        return 0, False
    last = _last(db, "change", "cursor")
    for numbers in ranges(db, "change"):
        if numbers.end > last:
            break
        query = select(func.min(CHANGE.c.at), func.max(CHANGE.c.at), func.count())
        first_at, last_at, lines = db.execute(query.where(_within(numbers, CHANGE.c.cursor))).one()
        if not lines or last_at < kept.earliest:
            _drop(db, "change", [numbers])
            return lines, False
        return 0, last_at - first_at <= WAIT
    return 0, False


def drop_activity(db: Connection, now: datetime) -> None:
    """Drops the months for which nobody needs to know how many entries came. Raises TablesBusyError."""
    if not has_partitions(db):
        return
    limit = int(now.timestamp() // 86_400) - ACTIVITY_DAYS
    old = [numbers for numbers in ranges(db, "activity")[:-1] if numbers.end <= limit]
    if old:
        _drop(db, "activity", old)
