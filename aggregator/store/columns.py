"""Whole columns of a query's rows as arrays: what reads much has no Python object for each value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    Select,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeEngine

from aggregator.store.dialect import EMPTY, Query, UtcDateTime, driver_rows, plain_rows

NOTHING: ColumnElement[bytes] = literal_column("''::bytea")
MICROSECONDS = 1e6
FROM_1970_TO_2000 = 946_684_800_000_000
"""Microseconds: PostgreSQL sends times counted from 2000-01-01."""


def whole_columns(db: Connection, query: Query) -> list[Any]:
    """The columns of all rows, in their order.

    Numbers, truths and times (seconds since 1970) as arrays; bytes one after another, without those that are NULL;
    anything else as a list. PostgreSQL puts them together itself.
    """
    if db.dialect.name == "sqlite":
        rows: Sequence[Any] = db.execute(query).all()
        kinds = [column.type for column in query.selected_columns]
        columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
        return [_column(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    part = query.subquery()
    return _whole(db, select(*map(_joined, part.c)), part.c)


class Records:
    """A query whose columns, numbers and truths, are the fields of `kind`, in their order: its rows as an array.

    It is made once for each database: what PostgreSQL is asked takes some milliseconds to make.
    """

    def __init__(self, dialect: str, query: Query, kind: np.dtype[np.void]) -> None:
        self._kind = kind
        self._query: Query = query
        if dialect != "sqlite":
            self._columns = query.subquery().c
            self._joined = select(*map(_joined, self._columns))

    def read(self, db: Connection, values: Mapping[str, Any]) -> NDArray[np.void]:
        """All rows, with these values of the query's parameters."""
        if db.dialect.name == "sqlite":
            return np.fromiter(driver_rows(db, self._query, values), self._kind)
        parts = _whole(db, self._joined, self._columns, values)
        found = np.empty(len(parts[0]), self._kind)
        for name, part in zip(self._kind.names or (), parts, strict=True):
            found[name] = part
        return found


def _whole(
    db: Connection,
    joined: Select[Any],
    columns: Iterable[ColumnElement[Any]],
    values: Mapping[str, Any] = EMPTY,
) -> list[Any]:
    """The columns that one row holds as PostgreSQL put them together."""
    ((*told,),) = plain_rows(db, joined, values)
    return [_taken_apart(value, column.type) for value, column in zip(told, columns, strict=True)]


def _column(values: Sequence[Any], kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, Boolean):
        return np.array(values, np.bool_)
    if isinstance(kind, Integer):
        return np.array(values, np.int64)
    if isinstance(kind, UtcDateTime):
        return np.array([at.timestamp() for at in values], np.float64)
    if isinstance(kind, LargeBinary):
        return b"".join(value for value in values if value is not None)
    return values


def _joined(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """An aggregate of the column, whose parts come in the order of the rows (PostgreSQL)."""
    kind = column.type
    if isinstance(kind, Boolean):
        return func.string_agg(func.boolsend(column), NOTHING)
    if isinstance(kind, Integer):
        return func.string_agg(func.int8send(cast(column, BigInteger)), NOTHING)
    if isinstance(kind, Float):
        return func.string_agg(func.float8send(column), NOTHING)
    if isinstance(kind, UtcDateTime):
        return func.string_agg(func.timestamptz_send(column), NOTHING)
    if isinstance(kind, LargeBinary):
        return func.string_agg(column, NOTHING)
    return func.array_agg(column)


def _taken_apart(joined: Any, kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, Boolean):
        return np.frombuffer(joined or b"", np.bool_)
    if isinstance(kind, Integer):
        return np.frombuffer(joined or b"", ">i8").astype(np.int64)
    if isinstance(kind, Float):
        return np.frombuffer(joined or b"", ">f8").astype(np.float64)
    if isinstance(kind, UtcDateTime):
        since_2000 = np.frombuffer(joined or b"", ">i8").astype(np.int64)
        return (since_2000 + FROM_1970_TO_2000) / MICROSECONDS
    if isinstance(kind, LargeBinary):
        return joined or b""
    return joined or []
