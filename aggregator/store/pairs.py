"""Pairs of entries that are near to one another, as the clusterer keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum, auto
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Select, bindparam, delete, select, union_all
from sqlalchemy.engine import Connection

from aggregator.cluster.links import LINK as LINK_TYPE
from aggregator.cluster.links import Links
from aggregator.store.bulk import insert_records
from aggregator.store.columns import Records
from aggregator.store.dialect import Numbers, among, looked_up
from aggregator.store.tables import LINK
from aggregator.types import EntryId

NUMBERS, FIRST, LAST, LEAST = (
    bindparam("numbers", type_=Numbers()),
    bindparam("first", type_=LINK.c.a.type),
    bindparam("last", type_=LINK.c.a.type),
    bindparam("least", type_=LINK.c.score.type),
)

MOST_LOOKED_UP = 2_000


class _Way(Enum):
    """How the pairs of some entries are found."""

    AMONG = auto()
    LOOKED_UP = auto()
    IN_A_ROW = auto()


def links_of(db: Connection, entries: Iterable[EntryId], least: float = 0.0) -> Links:
    """Every stored pair that one of the entries is part of and whose score is at least `least`; copies have 1."""
    asked = np.unique(np.fromiter(entries, np.int64))
    way = _way(db, asked)
    return _links_query(db.dialect.name, way).read(db, _values(asked) | {"least": least})


def copies_of(db: Connection, entries: Iterable[EntryId]) -> set[tuple[EntryId, EntryId]]:
    """Every stored pair of copies that one of the entries is part of, lower number first."""
    asked = np.unique(np.fromiter(entries, np.int64))
    found = _copies_query(db.dialect.name, _way(db, asked)).read(db, _values(asked))
    return {(EntryId(a), EntryId(b)) for a, b in found.tolist()}


def replace_links(db: Connection, entries: Collection[EntryId], links: Links) -> None:
    """The stored pairs of `entries` become `links`."""
    for end in (LINK.c.a, LINK.c.b):
        db.execute(delete(LINK).where(among(end, entries)))
    insert_records(db, [LINK.c[name] for name in LINK_TYPE.names or ()], links)


# ---- queries: made once, which takes some milliseconds -------------------------------------------


def _way(db: Connection, asked: NDArray[np.int64]) -> _Way:
    """Each entry by itself, of few; of more each is not worth a look into every partition.

    Of numbers in a row tables are read in their order: looking up each takes a server three times as long.
    """
    if db.dialect.name == "sqlite" or not len(asked):
        return _Way.AMONG
    if asked[-1] - asked[0] <= 2 * len(asked):
        return _Way.IN_A_ROW
    return _Way.AMONG if len(asked) > MOST_LOOKED_UP else _Way.LOOKED_UP


def _values(asked: NDArray[np.int64]) -> dict[str, Any]:
    first, last = (int(asked[0]), int(asked[-1])) if len(asked) else (0, 0)
    return {"numbers": asked.tolist(), "first": first, "last": last}


@cache
def _links_query(dialect: str, way: _Way) -> Records:
    columns = select(LINK.c.a, LINK.c.b, LINK.c.score, LINK.c.is_copy).where(LINK.c.score >= LEAST)
    return Records(dialect, union_all(*_halves(columns, way)), LINK_TYPE)


@cache
def _copies_query(dialect: str, way: _Way) -> Records:
    columns = select(LINK.c.a, LINK.c.b).where(LINK.c.is_copy)
    return Records(dialect, union_all(*_halves(columns, way)), np.dtype([("a", "<i8"), ("b", "<i8")]))


def _halves(columns: Select[Any], way: _Way) -> tuple[Select[Any], Select[Any]]:
    """Two queries for the pairs that one of NUMBERS is part of, which find each once."""
    # The first of a pair has the lower number: partitions for higher ones are not looked into.
    others = columns.where(~among(LINK.c.a, NUMBERS), LINK.c.a <= LAST)
    return _named(columns, LINK.c.a, way), _named(others, LINK.c.b, way)


def _named(query: Select[Any], column: Column[int], way: _Way) -> Select[Any]:
    """The query for those pairs whose column is one of NUMBERS."""
    if way is _Way.LOOKED_UP:
        return looked_up(query, column, NUMBERS)
    if way is _Way.AMONG:
        return query.where(among(column, NUMBERS))
    # PostgreSQL moves nothing across OFFSET: with a plan made for any numbers it would look up each.
    within = query.where(column.between(FIRST, LAST)).offset(0).subquery()
    return select(within).where(among(within.c[column.name], NUMBERS))
