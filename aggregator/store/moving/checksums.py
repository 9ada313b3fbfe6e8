"""What a table holds in one number, the same on SQLite and PostgreSQL for the same rows in whatever order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Float, Table
from xxhash import xxh3_128_intdigest

from aggregator.store.moving.lines import Lines, quoted, read_rows

WIDTH = 1 << 128
TOLD = 5_000
"""Rows between two words on how far it came."""


@dataclass(slots=True)
class Sum:
    """Rows and a checksum: the sum of the hashes of their lines, so that two rows alike count twice."""

    rows: int = 0
    number: int = 0

    def add(self, line: bytes) -> None:
        """One more row, by its line without the end."""
        self.rows += 1
        self.number += xxh3_128_intdigest(line)

    @property
    def checksum(self) -> str:
        """The checksum in hexadecimal."""
        return f"{self.number % WIDTH:032x}"


def add_source(found: Sum, db: sqlite3.Connection, table: Table) -> Iterator[int]:
    """Adds an SQLite table's rows; yields how many were added, now and then."""
    lines = Lines(table, exact=True)
    told = 0
    for row in read_rows(db, table, ""):
        found.add(lines.line(row)[:-1])
        if found.rows - told >= TOLD:
            yield found.rows - told
            told = found.rows
    yield found.rows - told


def add_target(found: Sum, cursor: Any, table: Table) -> Iterator[int]:
    """Adds a PostgreSQL table's rows, by a cursor of the driver in a session set up by `target.writing`."""
    rest, told = b"", 0
    with cursor.copy(f"COPY (SELECT {_exact(table)} FROM {quoted(table.name)}) TO STDOUT") as copy:  # noqa: S608 (our own names)
        for block in copy:
            *whole, rest = (rest + bytes(block)).split(b"\n")
            for line in whole:
                found.add(line)
            if found.rows - told >= TOLD:
                yield found.rows - told
                told = found.rows
    yield found.rows - told


def _exact(table: Table) -> str:
    return ", ".join(
        f"encode(float8send({quoted(column.name)}), 'hex')"
        if isinstance(column.type, Float)
        else quoted(column.name)
        for column in table.columns
    )
