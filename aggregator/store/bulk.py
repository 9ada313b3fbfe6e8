"""Many rows written by one statement: by the way that takes each database least.

SQLAlchemy's own way makes a dictionary of parameters for each row, which took longer than the database did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, String
from sqlalchemy.engine import Connection

from aggregator.store.dialect import UtcDateTime, driver_of

Values = tuple[Any, ...]


def insert_many(db: Connection, columns: Sequence[Column[Any]], rows: Iterable[Values]) -> None:
    """New rows of one table, each the values of `columns`: by COPY on PostgreSQL."""
    told = _told(db, columns, rows)
    if not told:
        return
    table, names = columns[0].table.name, ", ".join(column.name for column in columns)
    if db.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        db.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", told)  # noqa: S608 (names of our own)
        return
    with (
        driver_of(db) as driver,
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
    ):
        for row in told:
            copy.write_row(row)


COPY_HEAD, COPY_TAIL = b"PGCOPY\n\xff\r\n\x00" + bytes(8), b"\xff\xff"
"""What COPY in binary begins and ends with (PostgreSQL's manual, COPY, "Binary Format")."""


def insert_records(db: Connection, columns: Sequence[Column[Any]], records: NDArray[np.void]) -> None:
    """As `insert_many`, of BIGINT, DOUBLE PRECISION and BOOLEAN; `records` have a field of each column's name."""
    if not len(records):
        return
    names = [column.name for column in columns]
    if db.dialect.name == "sqlite":
        # Column by column: of whole records it takes several times as long.
        insert_many(db, columns, zip(*(records[name].tolist() for name in names), strict=True))
        return
    # Each row is the number of its columns and, of each, the length in bytes and the value.
    lengths = [(f"length of {name}", ">i4") for name in names]
    values = [(column.name, np.dtype(_kind(column))) for column in columns]
    of_each = [field for pair in zip(lengths, values, strict=True) for field in pair]
    told = np.empty(len(records), [("columns", ">i2"), *of_each])
    told["columns"] = len(names)
    for (length, _), (name, kind) in zip(lengths, values, strict=True):
        told[length], told[name] = kind.itemsize, records[name]
    with (
        driver_of(db) as driver,
        driver.cursor() as cursor,
        cursor.copy(f"COPY {columns[0].table.name} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(COPY_HEAD + told.tobytes() + COPY_TAIL)


def _kind(column: Column[Any]) -> str:
    if isinstance(column.type, Boolean):
        return "?"
    if isinstance(column.type, Float):
        return ">f8"
    assert isinstance(column.type, BigInteger), "a column that COPY in binary is not told of"
    return ">i8"


def update_many(
    db: Connection, key: Column[Any], columns: Sequence[Column[Any]], rows: Iterable[Values]
) -> None:
    """New values of `columns` in rows of one table, each told as the value of `key` and these."""
    told = _told(db, (key, *columns), rows)
    if not told:
        return
    table = key.table.name
    if db.dialect.name == "sqlite":
        sets = ", ".join(f"{column.name} = ?{place}" for place, column in enumerate(columns, start=2))
        db.exec_driver_sql(f"UPDATE {table} SET {sets} WHERE {key.name} = ?1", told)  # noqa: S608 (names of our own)
        return
    every = (key, *columns)
    arrays = ", ".join(f"%s::{column.type.compile(db.dialect)}[]" for column in every)
    sets = ", ".join(f"{column.name} = told.{column.name}" for column in columns)
    db.exec_driver_sql(
        f"UPDATE {table} SET {sets} FROM unnest({arrays}) AS told({', '.join(c.name for c in every)}) "  # noqa: S608 (names of our own)
        f"WHERE {table}.{key.name} = told.{key.name}",
        tuple(map(_array, every, zip(*told, strict=True))),
    )


def _array(column: Column[Any], values: Values) -> str | list[Any]:
    """PostgreSQL's text of an array: a list costs the driver an object for each value."""
    if isinstance(column.type, Integer | Float | Boolean):
        return f"{{{json.dumps(values)[1:-1]}}}"
    if isinstance(column.type, String | UtcDateTime):
        return f"{{{','.join(map(_quoted, values))}}}"
    return list(values)


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _told(db: Connection, columns: Sequence[Column[Any]], rows: Iterable[Values]) -> list[Values]:
    """The rows as the driver takes them: of all values of ours only times differ."""
    times = [place for place, column in enumerate(columns) if isinstance(column.type, UtcDateTime)]
    if not times:
        return list(rows)
    bound = UtcDateTime().dialect_impl(db.dialect).bind_processor(db.dialect)
    assert bound is not None
    # A batch has few times, or each of them some times over.
    process = cache(bound)
    told: list[Values] = []
    for row in rows:
        values = list(row)
        for place in times:
            values[place] = process(values[place])
        told.append(tuple(values))
    return told
