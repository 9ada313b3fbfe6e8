"""How far the import of a file came, so that one that was broken off goes on there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from aggregator.store.dialect import StoreError, insert_new
from aggregator.store.tables import IMPORT, IMPORT_KEYS
from aggregator.types import BadLine

ABANDONED = timedelta(days=30)
"""An import that was broken off so long ago is forgotten: the same command reads all of the file again."""

BAD_KEPT = 20
"""Bad lines that are remembered with their reasons; of the others that they were bad."""


class ImportedElsewhereError(StoreError):
    """Another process imports the same file: this transaction writes nothing."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Lines and bytes of a file that are kept, uncompressed and as they lie on the disk, and what they brought.

    `bad_count` lines were bad; `bad` has the first ones. `identity` "": the file can't be read again.
    """

    identity: str
    lines: int = 0
    offset: int = 0
    position: int = 0
    read: int = 0
    new: int = 0
    edited: int = 0
    bad_count: int = 0
    bad: tuple[BadLine, ...] = ()

    def with_bad(self, bad: tuple[BadLine, ...]) -> Reached:
        """The same with these bad lines besides."""
        return replace(self, bad_count=self.bad_count + len(bad), bad=(*self.bad, *bad)[:BAD_KEPT])


def reached(db: Connection, identity: str) -> tuple[Reached, bytes]:
    """How far the import of this file came, and the keys of all its entries so far, eight bytes each."""
    row = db.execute(select(IMPORT).where(IMPORT.c.identity == identity)).first()
    if row is None:
        return Reached(identity), b""
    bad = tuple(BadLine(number, reason) for number, reason in json.loads(row.bad_lines))
    found = Reached(
        identity,
        row.lines,
        row.text_bytes,
        row.disk_bytes,
        row.entries_read,
        row.entries_new,
        row.entries_edited,
        row.bad,
        bad,
    )
    query = select(IMPORT_KEYS.c.hashes).where(IMPORT_KEYS.c.identity == identity)
    return found, b"".join(db.execute(query.order_by(IMPORT_KEYS.c.line)).scalars())


def reach(db: Connection, before: Reached, after: Reached, keys: bytes, now: datetime) -> None:
    """Remembers that the import came from one place to another.

    Raises ImportedElsewhereError if it is not there any more.
    """
    values = {
        "lines": after.lines,
        "text_bytes": after.offset,
        "disk_bytes": after.position,
        "entries_read": after.read,
        "entries_new": after.new,
        "entries_edited": after.edited,
        "bad": after.bad_count,
        "bad_lines": json.dumps([(line.number, line.reason) for line in after.bad]),
        "at": now,
    }
    if before.lines:
        there = (IMPORT.c.identity == after.identity) & (IMPORT.c.lines == before.lines)
        change = update(IMPORT).where(there).values(values)
    else:
        change = insert_new(db, IMPORT).values(values | {"identity": after.identity})
    if db.execute(change.returning(IMPORT.c.identity)).first() is None:
        raise ImportedElsewhereError(
            "another process imports the same file into this database: let it finish; nothing was written twice"
        )
    db.execute(insert(IMPORT_KEYS), {"identity": after.identity, "line": after.lines, "hashes": keys})


def forget_import(db: Connection, identity: str) -> None:
    """The import of this file is done."""
    db.execute(delete(IMPORT_KEYS).where(IMPORT_KEYS.c.identity == identity))
    db.execute(delete(IMPORT).where(IMPORT.c.identity == identity))


def forget_abandoned(db: Connection, now: datetime) -> None:
    """Imports that were broken off long ago are not gone on with."""
    old = select(IMPORT.c.identity).where(IMPORT.c.at < now - ABANDONED)
    db.execute(delete(IMPORT_KEYS).where(IMPORT_KEYS.c.identity.in_(old)))
    db.execute(delete(IMPORT).where(IMPORT.c.at < now - ABANDONED))
