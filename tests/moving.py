"""An SQLite database with rows in every table, and all that a database of either kind shows: for tests of moves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, insert, text

from aggregator.store import Store, open_store
from aggregator.store.checking import VIEWS
from aggregator.store.dialect import UtcDateTime
from aggregator.store.tables import Row

NOW = datetime(2026, 11, 23, 12, 30, 15, 120_000, tzinfo=UTC)

ODD = "back\\slash\ttab\nline\r\b\f\v\x7f\u2028 \N{SNOWMAN} \U0001f4f0 \\N"
EXTRA: dict[str, list[dict[str, Any]]] = {
    "host_turn": [{"host": "paper.example", "free_at": NOW}],
    "host_place": [{"feed_id": 1, "host": "paper.example", "until": NOW}],
    "election": [{"role": "cluster", "term": 3}],
    "pruned": [{"feed_id": 1, "identity": -(1 << 63), "entry_id": 7, "url_key": (1 << 63) - 1, "title_key": 0,
                "published_at": datetime(1, 1, 1, tzinfo=UTC), "day": 20_000}],
    "event": [{"id": 900, "merged_into": 901, "first_seen_at": NOW, "last_seen_at": NOW, "entry_count": 0,
               "source_count": 0},
              {"id": 901, "merged_into": 1, "first_seen_at": NOW, "last_seen_at": NOW, "entry_count": 0,
               "source_count": 0}],
    "entry_alias": [{"feed_id": 1, "identity": name, "entry_id": 1} for name in (ODD, "", "z")],
    "entry_version": [{"id": 40, "entry_id": 1, "title": ODD, "replaced_at": NOW}],
    "listed_item": [{"entry_id": 1, "position": 9, "text": ODD, "start_key": -5}],
    "correction": [{"id": 1, "kind": "pin", "a": 1, "b": None, "at": NOW}],
    "webhook": [{"id": 1, "since": NOW}],
    "outbox": [{"number": 11, "message_id": "msg_1", "event_id": 1, "type": "event.created", "at": NOW,
                "next_at": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)}],
}  # fmt: skip
"""What a pass over feeds leaves empty, and values at the ends of what a column can hold."""

FLOATS = (0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), 1e15, 123456789012345.6, 1e-5, 2.0**-44)


def fill(store: Store) -> None:
    """Gives every table rows, beside the entries and events that there are; some highest numbers are gone again."""
    with store.write() as db:
        db.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for name, rows in EXTRA.items():
            db.execute(insert(Row.metadata.tables[name]), rows)
        for table in Row.metadata.tables.values():
            if not db.execute(table.select()).first():
                db.execute(insert(table), _any_row(table))
        for number, value in enumerate(FLOATS, 1):
            db.execute(text("UPDATE decision SET mean = :value WHERE entry_id = :number"),
                       {"value": value, "number": number})  # fmt: skip
        db.execute(text("INSERT INTO change (cursor, event_id, kind, at) VALUES (7000, 1, 'updated', :at)"),
                   {"at": NOW.isoformat(" ")})  # fmt: skip
        db.execute(text("DELETE FROM change WHERE cursor = 7000"))


def _any_row(table: Table) -> dict[str, Any]:
    """A row for a table that this file does not know; 1 is the number of a feed, an entry and an event."""
    values: dict[type, Any] = {bytes: b"\0\xff", bool: True, int: 1, float: 0.5, str: ODD}
    return {
        column.name: NOW if isinstance(column.type, UtcDateTime) else values[column.type.python_type]
        for column in table.columns
    }


def seen(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that the tables and the views show, typed as the program reads them."""
    store = open_store(url)
    with store.read() as db:
        found = {name: sorted(map(tuple, db.execute(table.select())), key=repr)
                 for name, table in Row.metadata.tables.items()}  # fmt: skip
        for view in VIEWS:
            found[view] = sorted((_plain(row) for row in db.execute(text(f"SELECT * FROM {view}"))), key=repr)
    store.close()
    return found


def _plain(row: Any) -> tuple[Any, ...]:
    """A row of a view: SQLite knows no type for its columns."""
    return tuple(
        value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime)
        else int(value) if isinstance(value, bool) else value
        for value in row
    )  # fmt: skip
