"""Which entry of a feed has an identity: by an index on SQLite, on PostgreSQL by a table beside the partitions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, TextClause, bindparam, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection
from sqlalchemy.types import Text

from aggregator.store.tables import ENTRY
from aggregator.types import FeedId

OWNED = (
    "entry.id IN (SELECT entry_identity.entry_id FROM entry_identity "
    "JOIN unnest(:owners, :names) AS given (owner, name) "
    "ON entry_identity.feed_id = given.owner AND entry_identity.identity = CAST(md5(given.name) AS uuid))"
)


def has_identity(db: Connection, names: Sequence[tuple[FeedId, str]]) -> ColumnElement[bool] | TextClause:
    """Whether an entry is one of its feed's with one of these identities."""
    if db.dialect.name == "sqlite":
        return tuple_(ENTRY.c.feed_id, ENTRY.c.identity).in_(names)
    return text(OWNED).bindparams(
        bindparam("owners", [feed for feed, _ in names], ARRAY(BigInteger)),
        bindparam("names", [name for _, name in names], ARRAY(Text)),
    )
