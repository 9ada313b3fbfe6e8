"""Rows of an SQLite database as lines of PostgreSQL's COPY, mended where only SQLite can keep what they hold."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, BigInteger, Boolean, Column, Float, Integer, LargeBinary, Table

from aggregator.store.dialect import StoreError, UtcDateTime, sqlite_path

Row = Sequence[Any]

ESCAPES = tuple(
    (character.encode(), rb"\%c" % letter)
    for character, letter in zip("\\\b\f\n\r\t\v", rb"\bfnrtv", strict=True)
)
"""What COPY's text format writes otherwise: the backslash first, as the others bring one in."""

NULL = rb"\N"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
INT_BITS, BIGINT_BITS = 31, 63
WRITTEN = len("2026-11-23 12:00:00.000000")
"""Bytes of a time as this program writes it on SQLite."""


class SourceError(StoreError):
    """The source holds or does what it must not; no fault of the target's."""


@contextmanager
def reading(url: URL) -> Iterator[sqlite3.Connection]:
    """A connection that can't write. Texts come as bytes: a driver refuses those that are no UTF-8."""
    connection = sqlite3.connect(f"{sqlite_path(url).as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.text_factory = bytes
    try:
        yield connection
    except sqlite3.Error as error:
        raise SourceError(
            f"{sqlite_path(url)}: can't be read ({error}): run `db check`, and check the disk"
        ) from None
    finally:
        connection.close()


def quoted(name: str) -> str:
    """A name as both databases take it, a reserved word, too."""
    return f'"{name}"'


def columns_of(table: Table) -> str:
    """The columns of a table for a statement."""
    return ", ".join(quoted(column.name) for column in table.columns)


def read_rows(db: sqlite3.Connection, table: Table, after: str) -> Iterator[Row]:
    """The rows in the order of the primary key, those past `after` (see key_of; "" = all), one at a time."""
    names = ", ".join(quoted(column.name) for column in table.columns if column.primary_key)
    where, values = "", []
    if after:
        values = [value.encode(errors="surrogateescape") if isinstance(value, str) else value
                  for value in json.loads(after)]  # fmt: skip
        marks = ("CAST(? AS TEXT)" if isinstance(value, bytes) else "?" for value in values)
        where = f"WHERE ({names}) > ({', '.join(marks)})"
    query = f"SELECT {columns_of(table)} FROM {quoted(table.name)} {where} ORDER BY {names}"  # noqa: S608 (our own names)
    return iter(db.execute(query, values))


def key_of(table: Table, row: Row) -> str:
    """The primary key of a row, as JSON."""
    places = [place for place, column in enumerate(table.columns) if column.primary_key]
    return json.dumps(
        [
            row[place].decode(errors="surrogateescape") if isinstance(row[place], bytes) else row[place]
            for place in places
        ]
    )


class Lines:
    """Makes lines of a table's rows; `mended` counts, by column, the values that are not what SQLite holds.

    With `exact`, floats are their 64 bits in hexadecimal, as a checksum wants them: two programs write the same
    float in different digits.
    """

    def __init__(self, table: Table, *, exact: bool = False) -> None:
        self.mended: Counter[str] = Counter()
        self._table = table
        self._writers = [self._writer(column, exact=exact) for column in table.columns]

    def line(self, row: Row) -> bytes:
        """The row as COPY reads and writes it. Raises StoreError if a value can't be what its column says."""
        try:
            written = [
                NULL if value is None else write(value)
                for write, value in zip(self._writers, row, strict=True)
            ]
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise self._fault(row) from None
        return b"\t".join(written) + b"\n"

    def _fault(self, row: Row) -> SourceError:
        for column, write, value in zip(self._table.columns, self._writers, row, strict=True):
            try:
                if value is not None:
                    write(value)
            except (ValueError, TypeError, AttributeError, OverflowError):
                return SourceError(
                    f"{self._table.name}.{column.name} of the row {key_of(self._table, row)} holds "
                    f"{str(value)[:60]!r}, which is no {str(column.type).lower()}: correct that in the SQLite "
                    "file, then run the same command again"
                )
        raise AssertionError("every value can be written")

    def _writer(self, column: Column[Any], *, exact: bool) -> Callable[[Any], bytes]:
        kind = column.type
        if isinstance(kind, UtcDateTime):
            return _time
        if isinstance(kind, Boolean):
            return _flag
        if isinstance(kind, LargeBinary):
            return _bytes
        if isinstance(kind, Float):
            return _bits if exact else _digits
        if isinstance(kind, Integer):
            bits = BIGINT_BITS if isinstance(kind, BigInteger) else INT_BITS
            return self._number(column.name, 1 << bits)
        return self._text(column.name)

    def _number(self, name: str, bound: int) -> Callable[[Any], bytes]:
        def write(value: Any) -> bytes:
            number = int(value)
            if number != value and not isinstance(value, bytes):
                raise ValueError
            if not -bound <= number < bound:
                self.mended[name] += 1
                number = max(-bound, min(number, bound - 1))
            return b"%d" % number

        return write

    def _text(self, name: str) -> Callable[[Any], bytes]:
        def write(value: Any) -> bytes:
            text: bytes = value if isinstance(value, bytes) else str(value).encode()
            try:
                text.decode()
            except UnicodeDecodeError:
                self.mended[name] += 1
                text = text.decode(errors="replace").encode()
            if b"\0" in text:
                self.mended[name] += 1
                text = text.replace(b"\0", REPLACEMENT)
            for character, escape in ESCAPES:
                text = text.replace(character, escape)
            return text

        return write


def _time(value: bytes) -> bytes:
    moment = datetime.fromisoformat(value.decode())
    if len(value) != WRITTEN or moment.tzinfo is not None:
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).replace(tzinfo=None)
        value = moment.isoformat(" ", "microseconds").encode()
    return value.rstrip(b"0").removesuffix(b".") + b"+00"


def _flag(value: int) -> bytes:
    return b"t" if int(value) else b"f"


def _bytes(value: bytes) -> bytes:
    return rb"\\x" + value.hex().encode()


def _digits(value: float) -> bytes:
    return repr(float(value)).encode()


def _bits(value: float) -> bytes:
    return struct.pack(">d", value).hex().encode()
