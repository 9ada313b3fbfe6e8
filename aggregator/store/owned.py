"""Rows of many feeds by what is theirs alone (an identity, an address), found by the index on feed and column."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, ColumnElement, TextClause, bindparam, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection
from sqlalchemy.types import Text

from aggregator.store.tables import ENTRY
from aggregator.types import FeedId

IN_SQLITE = (
    "{table}.rowid IN (SELECT own.rowid FROM json_each(:pairs) AS given CROSS JOIN {table} AS own "
    "ON own.feed_id = json_extract(given.value, '$[0]') AND own.{column} = json_extract(given.value, '$[1]'))"
)
"""A list of pairs SQLite compares with every row of the table: it looks none of them up."""

BY_IDENTITY = (
    "entry.id IN (SELECT entry_identity.entry_id FROM entry_identity "
    "JOIN unnest(:owners, :names) AS given (owner, name) "
    "ON entry_identity.feed_id = given.owner AND entry_identity.identity = CAST(md5(given.name) AS uuid))"
)
"""PostgreSQL keeps identities beside the partitions of entries."""


def is_one_of(
    db: Connection, column: Column[object], pairs: Sequence[tuple[FeedId, object]]
) -> ColumnElement[bool] | TextClause:
    """Whether a row's feed and this column of its are one of the pairs."""
    if db.dialect.name == "sqlite":
        statement = IN_SQLITE.format(table=column.table.name, column=column.name)
        return text(statement).bindparams(bindparam("pairs", json.dumps(pairs)))
    if column is ENTRY.c.identity:
        return text(BY_IDENTITY).bindparams(
            bindparam("owners", [feed for feed, _ in pairs], ARRAY(BigInteger)),
            bindparam("names", [name for _, name in pairs], ARRAY(Text)),
        )
    return tuple_(column.table.c.feed_id, column).in_(pairs)
