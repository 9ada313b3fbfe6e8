"""Which entry of a feed has an identity: by an index on SQLite, on PostgreSQL by a table beside the partitions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection
from sqlalchemy.types import Text

from aggregator.store.tables import ENTRY
from aggregator.types import FeedId

OWNED = (
    "entry.id IN (SELECT entry_identity.entry_id FROM entry_identity WHERE entry_identity.feed_id = :owner "
    "AND entry_identity.identity IN (SELECT CAST(md5(name) AS uuid) FROM unnest(:names) AS given (name)))"
)


def has_identity(db: Connection, feed: FeedId, names: Sequence[str]) -> ColumnElement[bool] | TextClause:
    """Whether an entry of this feed has one of these identities."""
    if db.dialect.name == "sqlite":
        return ENTRY.c.identity.in_(names)
    return text(OWNED).bindparams(bindparam("owner", feed), bindparam("names", list(names), ARRAY(Text)))
