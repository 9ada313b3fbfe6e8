"""Tables that grow, in partitions on PostgreSQL: made well ahead of what is written, dropped when all of it is old.

Numbers of entries, and cursors of changes, rise with their arrival, so a range of them is a stretch of time. What
hangs on an entry is cut at the same numbers as `entry`. A row without a partition goes to the rest of its
table: none is ever refused. SQLite has no partitions: nothing here touches it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from aggregator.store.dialect import StoreError, refusals_told

OF_ENTRIES = {
    "entry": "id",
    "signature": "entry_id",
    "decision": "entry_id",
    "listed_item": "entry_id",
    "entry_version": "entry_id",
    "link": "a",
}
"""Tables cut at the same numbers of entries, by the column that has them."""

OF_CHANGES = {"change": "cursor"}
OF_DAYS = {"activity": "day"}
PARTED = OF_ENTRIES | OF_CHANGES | OF_DAYS

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

LOCK_MS = 500
"""How long a change of partitions waits for a table: less than PostgreSQL waits before it looks for a deadlock
(1 s), so that it is never somebody's poll that has to give way."""

TRIES, PAUSE_SECONDS = 100, 0.2

BUSY = {"55P03", "40P01"}
"""PostgreSQL's codes of a lock that did not come in time, and of a deadlock."""

BOUNDS = re.compile(r"FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)")
WRITTEN = "rows written since the last look for room"


class TablesBusyError(StoreError):
    """Other programs never let go of the tables: nothing was done."""


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Numbers from `start` up to `end`, which is the next range's start."""

    start: int
    end: int

    def of(self, table: str) -> str:
        """The name of the table's partition."""
        return f"{table}_{self.start}_{self.end}"


def is_busy(error: OperationalError) -> bool:
    """Whether a statement gave up since others have the tables: it can be tried again."""
    return getattr(error.orig, "sqlstate", "") in BUSY


def has_partitions(db: Connection) -> bool:
    """Whether this database has any."""
    return db.dialect.name == "postgresql"


def ranges(db: Connection, table: str) -> list[Range]:
    """The partitions of a table, in order."""
    rows = db.exec_driver_sql(
        "SELECT pg_get_expr(relpartbound, pg_class.oid) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = CAST(CAST(%s AS text) AS regclass)",
        (table,),
    )
    found = (BOUNDS.search(str(row[0])) for row in rows)
    return sorted(Range(int(bounds[1]), int(bounds[2])) for bounds in found if bounds)


def count_written(db: Connection, rows: int) -> None:
    """Notes that this transaction gives out so many numbers: `keep_room` follows its end."""
    if has_partitions(db):
        db.info[WRITTEN] = db.info.get(WRITTEN, 0) + rows


def written(db: Connection) -> int:
    """How many numbers were given out over this connection since this was last asked."""
    return int(db.info.pop(WRITTEN, 0))


def keep_room(engine: Engine, changes: int = 0) -> None:
    """Makes the partitions that the next rows will need, in a transaction of its own; `changes`: so many at once.

    If the tables are too busy for that, it is left to the next look as long as there is room at all. Raises
    TablesBusyError.
    """
    if engine.dialect.name != "postgresql":
        return
    with refusals_told(engine.url):
        for _ in range(TRIES):
            try:
                with engine.connect() as db, db.begin():
                    make_room(db, cursor=_used(db, "change", "cursor") + changes)
            except OperationalError as error:
                if not is_busy(error):
                    raise
            else:
                return
            if not changes:
                with engine.connect() as db:
                    if _used(db, "entry", "id") < ranges(db, "entry")[-1].start and (
                        _used(db, "change", "cursor") < ranges(db, "change")[-1].start
                    ):
                        return
            sleep(PAUSE_SECONDS)
    raise TablesBusyError(
        "partitions can't be made: another program keeps the tables locked (pg_locks tells which): end it"
    )


def make_room(db: Connection, entry: int = 0, cursor: int = 0) -> None:
    """Makes partitions up to these numbers, and beyond those given out so far; most often all are there.

    To be called at the start of a transaction: it locks tables, if only for some milliseconds.
    """
    if not has_partitions(db):
        return
    week = 0
    for tables, known in ((OF_ENTRIES, entry), (OF_CHANGES, cursor)):
        table, column = next(iter(tables.items()))
        last = max(known, _used(db, table, column))
        if _ahead(ranges(db, table), last) >= AHEAD:
            continue
        lock_tables(db)
        week = week or _week(db)
        # Somebody else may have made some until the lock was there.
        there = ranges(db, table)
        far = last - there[-1].end if there else last
        wide = max(week, min(_rounded(far // MOST_AT_ONCE), WIDEST))
        while _ahead(there, last) < AHEAD:
            start = max(there[-1].end if there else 0, _beyond_rest(db, table, column))
            there.append(Range(start, start + wide))
            for name in tables:
                _create(db, name, there[-1])
    today = datetime.now(UTC).toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    there = ranges(db, "activity")
    if not there or there[-1].end < today + MONTH:
        lock_tables(db)
        _make_months(db, today)


def _make_months(db: Connection, today: int) -> None:
    there = ranges(db, "activity")
    start = there[-1].end if there else today
    while start < today + MONTH:
        # A gap of months, while nobody ran, is one partition.
        month = Range(start, max(start + MONTH, today))
        rows = "activity_rest WHERE day >= %s AND day < %s"
        db.exec_driver_sql(f"CREATE TEMP TABLE moved AS SELECT * FROM {rows}", (month.start, month.end))  # noqa: S608
        db.exec_driver_sql(f"DELETE FROM {rows}", (month.start, month.end))  # noqa: S608
        _create(db, "activity", month)
        db.exec_driver_sql("INSERT INTO activity SELECT * FROM moved")
        db.exec_driver_sql("DROP TABLE moved")
        start = month.end


def _beyond_rest(db: Connection, table: str, column: str) -> int:
    """From where on nothing is in the rest: what hangs on its rows keeps them there."""
    last = db.exec_driver_sql(f"SELECT max({column}) FROM {table}_rest").scalar()  # noqa: S608 (ours)
    return 0 if last is None else int(last) // NARROWEST * NARROWEST + NARROWEST


def _create(db: Connection, table: str, numbers: Range) -> None:
    bounds = f"FROM ({numbers.start}) TO ({numbers.end})"
    db.exec_driver_sql(f"CREATE TABLE {numbers.of(table)} PARTITION OF {table} FOR VALUES {bounds}")


def lock_tables(db: Connection) -> None:
    """Waits for all tables concerned, in the order in which polls and the clusterer come to them; not for long.

    Raises what `is_busy` knows if somebody has them.
    """
    db.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    tables = ", ".join(("feed", "event", *PARTED, "entry_alias", "correction", "teaser"))
    db.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")


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
