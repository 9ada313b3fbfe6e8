"""Room for the rows to come: PostgreSQL's partitions, made ahead of what is written, beside readers and writers.

A new partition is made as a table of its own and then attached. That keeps out who writes for some milliseconds,
and who reads only where he reads the table's rest, whose bounds change with it; he is let finish. Each is made in a
transaction of its own, so a process that ends in between leaves nothing half made, and the next one goes on. What
hangs on entries comes first: where `entry` has a partition, all have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from aggregator.store.dialect import lock_room, refusals_told
from aggregator.store.partitions import (
    BESIDE,
    NO_WRITERS,
    OF_CHANGES,
    OF_ENTRIES,
    PARTED,
    Range,
    TablesBusyError,
    all_ranges,
    has_partitions,
    is_busy,
    limit_waits,
    lock_tables,
    ranges,
)

MONTH = 30
WEEK = 7

NARROWEST, WIDEST = 100_000, 10_000_000
"""Numbers of one partition: as many as a week brings, within these bounds. An empty one costs 200 kB."""

MOST_AT_ONCE = 20
"""Partitions made for a database that is brought here as a whole."""

AHEAD = 3
"""Partitions without any row that are always there: at least 300,000 numbers."""

CHECKED_EVERY = 10_000
"""Rows that one process writes until it looks whether there is room: a hundred processes may do so at once."""

TRIES, PAUSE_SECONDS = 100, 0.2

FEW = 5
"""Tries of one who has other work, which goes on without room, too."""

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "entry": ("feed", *list(OF_ENTRIES)[1:], *BESIDE),
    "change": (),
}
"""What a table points to and what points to it: PostgreSQL keeps their writers out while it is given a partition.

It is `entry` for all others of OF_ENTRIES.
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """A partition that is to be made; `is_near`: its first numbers may be given out any moment."""

    table: str
    numbers: Range
    is_near: bool = False


def keep_room(engine: Engine, changes: int = 0, tries: int = TRIES) -> None:
    """Makes the partitions that the next rows will need; `changes`: so many at once.

    If the tables are too busy for that, it is left to the next look as long as there is room for these. Raises
    TablesBusyError.
    """
    if engine.dialect.name != "postgresql":
        return
    with refusals_told(engine.url):
        for number in range(tries):
            if number:
                sleep(PAUSE_SECONDS)
            try:
                _make_missing(engine, changes)
            except DBAPIError as error:
                if not is_busy(error):
                    raise
            else:
                return
            if _has_room(engine, changes):
                return
    raise TablesBusyError(
        "partitions can't be made: another program keeps the tables locked (pg_locks tells which): end it; "
        "until then new rows go to the rest of their tables"
    )


def _make_missing(engine: Engine, changes: int) -> None:
    with engine.begin() as db:
        missing = plan_room(db, cursor=_used(db, "change", "cursor") + changes)
    if any(one.is_near for one in missing):
        with engine.begin() as db:
            make_room(db, cursor=_used(db, "change", "cursor") + changes)
        return
    for one in missing:
        with engine.begin() as db:
            _make_beside_others(db, one)


def make_room(db: Connection, entry: int = 0, cursor: int = 0) -> None:
    """Makes partitions up to these numbers, and beyond those given out so far, in this transaction.

    It locks everybody out, so that no row comes to the rest meanwhile: for databases in which nobody is at work,
    or which have no room any more. Raises what `is_busy` knows.
    """
    if not has_partitions(db) or not plan_room(db, entry, cursor):
        return
    limit_waits(db)
    lock_room(db)
    lock_tables(db, ("feed", *PARTED, *BESIDE))
    # Somebody else may have made some until the lock was there.
    for one in plan_room(db, entry, cursor):
        _create(db, one.table, one.numbers)
        _attach(db, one.table, one.numbers)


def plan_room(db: Connection, entry: int = 0, cursor: int = 0) -> list[Missing]:
    """What is missing up to these numbers and beyond those given out so far, in the order in which to make it.

    Most often nothing.
    """
    there = all_ranges(db)
    plan = [Missing("activity", month) for month in _missing_months(there["activity"])]
    # Those of entries are the hardest to get, and keep no others waiting.
    for tables, known in ((OF_CHANGES, cursor), (OF_ENTRIES, entry)):
        first, column = next(iter(tables.items()))
        used = _used(db, first, column)
        own = there[first]
        begun = {one for table in tables for one in there[table] if one.start >= _end(own)} - set(own)
        last = max(known, used)
        if not begun and _ahead(own, last) >= AHEAD:
            continue
        beyond = _beyond_rest(db, first, column)
        # One whose numbers came to the rest before it was made everywhere stays as it is: it is emptied row by row.
        new = sorted(one for one in begun if one.start >= beyond)
        start = max(beyond, *(_end(there[table]) for table in tables))
        wide = max(_week(db), min(_rounded((last - start) // MOST_AT_ONCE), WIDEST))
        while _ahead([*own, *new], last) < AHEAD:
            new.append(Range(start, start + wide))
            start += wide
        plan += [
            Missing(table, numbers, numbers.start - used < NARROWEST)
            for numbers in new
            for table in reversed(tables)
            if numbers not in there[table]
        ]
    return plan


def _missing_months(there: list[Range]) -> list[Range]:
    today = datetime.now(UTC).toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    start = _end(there) or today
    months = []
    while start < today + MONTH:
        # A gap of months, while nobody ran, is one partition.
        months.append(Range(start, max(start + MONTH, today)))
        start = months[-1].end
    return months


def _make_beside_others(db: Connection, missing: Missing) -> None:
    """Makes it under the weakest locks that PostgreSQL allows; nothing if somebody else was faster."""
    table, numbers = missing.table, missing.numbers
    limit_waits(db)
    lock_room(db)
    if _end(ranges(db, table)) > numbers.start:
        return
    _create(db, table, numbers)
    if table == "activity":
        # Its first day may be today, which is being written and may be in the rest.
        lock_tables(db, ("feed",), NO_WRITERS)
        lock_tables(db, ("activity",))
    else:
        if neighbours := NEIGHBOURS.get(table, ("entry",)):
            lock_tables(db, neighbours, NO_WRITERS)
        # The last of all, and so the shortest: readers meet it, too.
        lock_tables(db, (f"{table}_rest",))
    _attach(db, table, numbers)


def _create(db: Connection, table: str, numbers: Range) -> None:
    """Makes the partition a table of its own, of which nobody knows until this transaction ends."""
    db.exec_driver_sql(f"CREATE TABLE {numbers.of(table)} (LIKE {table} INCLUDING ALL)")


def _attach(db: Connection, table: str, numbers: Range) -> None:
    """Makes it a partition, with those rows of days that are in the rest.

    It is empty otherwise, so nothing is to be gained by a CHECK that spares PostgreSQL reading it.
    """
    name = numbers.of(table)
    if table == "activity":
        db.exec_driver_sql(
            "WITH moved AS (DELETE FROM activity_rest WHERE day >= %s AND day < %s RETURNING *) "  # noqa: S608 (ours)
            f"INSERT INTO {name} SELECT * FROM moved",
            (numbers.start, numbers.end),
        )
    bounds = f"FROM ({numbers.start}) TO ({numbers.end})"
    db.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")


def _beyond_rest(db: Connection, table: str, column: str) -> int:
    """From where on nothing is in the rest: what hangs on its rows keeps them there."""
    last = db.exec_driver_sql(f"SELECT max({column}) FROM {table}_rest").scalar()  # noqa: S608 (ours)
    return 0 if last is None else int(last) // NARROWEST * NARROWEST + NARROWEST


def _has_room(engine: Engine, changes: int) -> bool:
    """Whether there will still be a partition without any row after so many changes."""
    with engine.begin() as db:
        there = all_ranges(db)
        used = {"entry": _used(db, "entry", "id"), "change": _used(db, "change", "cursor") + changes}
        return all(there[table] and there[table][-1].start > number for table, number in used.items())


def _end(there: list[Range]) -> int:
    return there[-1].end if there else 0


def _ahead(there: list[Range], last: int) -> int:
    return sum(one.start > last for one in there)


def _used(db: Connection, table: str, column: str) -> int:
    """The last number that the table's sequence gave out."""
    sequence = db.exec_driver_sql("SELECT pg_get_serial_sequence(%s, %s)", (table, column)).scalar_one()
    return int(db.exec_driver_sql(f"SELECT last_value FROM {sequence}").scalar_one())  # noqa: S608 (ours)


def _week(db: Connection) -> int:
    """How many numbers a partition has: as many as the busiest of the last weeks brought, to the next 100,000."""
    brought = db.exec_driver_sql(
        f"SELECT max(entries) FROM (SELECT sum(entries) AS entries FROM activity GROUP BY day / {WEEK} "  # noqa: S608
        f"ORDER BY day / {WEEK} DESC LIMIT 5) AS weeks"
    ).scalar()
    return max(NARROWEST, min(_rounded(int(brought or 0)), WIDEST))


def _rounded(numbers: int) -> int:
    return -(-numbers // NARROWEST) * NARROWEST
