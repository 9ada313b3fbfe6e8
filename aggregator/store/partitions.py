"""Tables that grow, in partitions on PostgreSQL: what is cut by what, which ones are there, and locking them.

They are made ahead of what is written (store.room), and dropped when all in them is old (store.dropping). Numbers
of entries, and cursors of changes, rise with their arrival, so a range of them is a stretch of time. What hangs on
an entry is cut at the same numbers as `entry`. A row without a partition goes to the rest of its table: none is
ever refused. SQLite has no partitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from aggregator.store.dialect import StoreError

OF_ENTRIES = {
    "entry": "id",
    "entry_words": "entry_id",
    "signature": "entry_id",
    "decision": "entry_id",
    "listed_item": "entry_id",
    "entry_version": "entry_id",
    "link": "a",
}
"""Tables cut at the same numbers of entries, by the column that has them; the others point to the first."""

OF_CHANGES = {"change": "cursor"}
OF_DAYS = {"activity": "day"}
PARTED = OF_ENTRIES | OF_CHANGES | OF_DAYS

BESIDE = ("entry_alias", "correction", "teaser")
"""Tables that point to entries, too, and are not cut."""

LOCK_MS = 500
"""How long a change of partitions waits for the tables that it locks at once, and others behind it: less than
PostgreSQL waits before it looks for a deadlock (1 s), so that it is never somebody's poll that has to give way."""

NO_WRITERS = "SHARE ROW EXCLUSIVE"
"""The lock that lets readers go on."""

NOBODY = "ACCESS EXCLUSIVE"

BUSY = {"55P03", "40P01", "57014", "23514"}
"""PostgreSQL's codes of a lock that did not come in time (by its own time or by that of the statement), of a
deadlock, and of a row that came to the rest in the last moment."""

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


def is_busy(error: DBAPIError) -> bool:
    """Whether a statement gave up since others have the tables: it can be tried again."""
    return getattr(error.orig, "sqlstate", "") in BUSY


def has_partitions(db: Connection) -> bool:
    """Whether this database has any."""
    return db.dialect.name == "postgresql"


def ranges(db: Connection, table: str) -> list[Range]:
    """The partitions of a table, in order."""
    return all_ranges(db)[table]


def all_ranges(db: Connection) -> dict[str, list[Range]]:
    """The partitions of each table, in order."""
    found: dict[str, list[Range]] = {table: [] for table in PARTED}
    rows = db.exec_driver_sql(
        "SELECT parent.relname, pg_get_expr(one.relpartbound, one.oid) FROM pg_inherits "
        "JOIN pg_class AS one ON one.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent "
        "WHERE parent.relkind = 'p' AND parent.relnamespace = CAST(current_schema() AS regnamespace)"
    )
    for table, bounds in rows:
        if table in found and (match := BOUNDS.search(str(bounds))):
            found[table].append(Range(int(match[1]), int(match[2])))
    return {table: sorted(there) for table, there in found.items()}


def limit_waits(db: Connection) -> None:
    """From here on this transaction waits for no lock longer than LOCK_MS: it then raises what `is_busy` knows."""
    db.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")


def lock_tables(db: Connection, tables: Iterable[str], mode: str = NOBODY) -> None:
    """Waits for these tables, not for their partitions, for LOCK_MS in all; see `limit_waits` for what follows.

    The order is to be the one in which polls and the clusterer come to them. Raises what `is_busy` knows if
    somebody has them.
    """
    limit_waits(db)
    db.exec_driver_sql(f"SET LOCAL statement_timeout = {LOCK_MS}")
    named = ", ".join(f"ONLY {table}" for table in tables)
    db.exec_driver_sql(f"LOCK TABLE {named} IN {mode} MODE")
    db.exec_driver_sql("SET LOCAL statement_timeout TO DEFAULT")


def count_written(db: Connection, rows: int) -> None:
    """Notes that this transaction gives out so many numbers: `room.keep_room` follows its end."""
    if has_partitions(db):
        db.info[WRITTEN] = db.info.get(WRITTEN, 0) + rows


def written(db: Connection) -> int:
    """How many numbers were given out over this connection since this was last asked."""
    return int(db.info.pop(WRITTEN, 0))
