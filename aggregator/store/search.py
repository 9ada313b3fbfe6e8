"""Finding entries by their words: the part of a query that differs between SQLite and PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Select, column, func, or_, table, text
from sqlalchemy.engine import Connection

from aggregator.store.tables import ENTRY

DENSE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Scripts without spaces: their words are no words of the index, and are looked for letter by letter."""

WORD = re.compile(r"\w+")
MOST_WORDS = 20

OF_SQLITE = table("entry_words", column("rowid"))
"""The full-text index (migration 0008)."""

OF_POSTGRESQL = table("entry_words", column("entry_id"), column("words"))
"""The words of each entry, with an index of them (migration 0024)."""


def words_of(searched: str) -> list[str]:
    """The words that are looked for; all of them must be found in one entry."""
    return WORD.findall(searched)[:MOST_WORDS]


def having_words(db: Connection, query: Select[Any], searched: str) -> Select[Any]:
    """The query, which reads ENTRY, for the entries alone that have all the words of its title or text."""
    words = words_of(searched)
    for word in words:
        if DENSE.search(word):
            query = query.where(
                or_(
                    ENTRY.c.title.contains(word, autoescape=True),
                    ENTRY.c.text.contains(word, autoescape=True),
                )
            )
    indexed = [word for word in words if not DENSE.search(word)]
    if not indexed:
        return query
    if db.dialect.name == "sqlite":
        match = text("entry_words MATCH :match").bindparams(match=" ".join(f'"{word}"' for word in indexed))
        return query.join(OF_SQLITE, OF_SQLITE.c.rowid == ENTRY.c.id).where(match)
    asked = func.plainto_tsquery(text("'simple'"), " ".join(indexed))
    query = query.join(OF_POSTGRESQL, OF_POSTGRESQL.c.entry_id == ENTRY.c.id)
    return query.where(OF_POSTGRESQL.c.words.op("@@")(asked))


def entry_order(db: Connection, searched: str) -> ColumnElement[int]:
    """The column by which found entries are ordered: that of the index, if one is asked, which is read in order."""
    if all(DENSE.search(word) for word in words_of(searched)):
        return ENTRY.c.id
    return OF_SQLITE.c.rowid if db.dialect.name == "sqlite" else OF_POSTGRESQL.c.entry_id
