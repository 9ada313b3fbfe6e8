"""What people said of entries: kept, asked for, overruled by something newer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select
from sqlalchemy.engine import Connection

from aggregator.store.dialect import among
from aggregator.store.tables import CORRECTION
from aggregator.types import Correction, CorrectionKind, EntryId


def add_corrections(db: Connection, corrections: Sequence[Correction]) -> None:
    """Keeps what people said."""
    if corrections:
        rows = [{"kind": one.kind, "a": one.a, "b": one.b, "at": one.at} for one in corrections]
        db.execute(insert(CORRECTION), rows)


def corrections_of(db: Connection, entries: Collection[EntryId]) -> list[Correction]:
    """All that people said of any of these entries, oldest first."""
    touching = or_(among(CORRECTION.c.a, entries), among(CORRECTION.c.b, entries))
    query = select(CORRECTION).where(touching).order_by(CORRECTION.c.id)
    return [_correction(row) for row in db.execute(query).all()]


def all_corrections(db: Connection) -> list[Correction]:
    """All that people said, oldest first."""
    return [_correction(row) for row in db.execute(select(CORRECTION).order_by(CORRECTION.c.id)).all()]


def _correction(row: Row[Any]) -> Correction:
    other = None if row.b is None else EntryId(row.b)
    return Correction(CorrectionKind(row.kind), EntryId(row.a), other, row.at)


def overrule(
    db: Connection, kind: CorrectionKind, one: Collection[EntryId], other: Collection[EntryId]
) -> int:
    """Forgets what people said, of this kind, between any of `one` and any of `other`; how often they had."""
    doomed = [
        (correction.a, correction.b)
        for correction in corrections_of(db, one)
        if correction.kind is kind and correction.b is not None
        if (correction.a in one and correction.b in other) or (correction.b in one and correction.a in other)
    ]
    for a, b in doomed:
        pair = (CORRECTION.c.a == a, CORRECTION.c.b == b, CORRECTION.c.kind == kind)
        db.execute(delete(CORRECTION).where(*pair))
    return len(doomed)


def unpin(db: Connection, entries: Collection[EntryId]) -> int:
    """Forgets the pins of these entries; how many there were."""
    pins = (among(CORRECTION.c.a, entries), CORRECTION.c.kind == CorrectionKind.PIN)
    return db.execute(delete(CORRECTION).where(*pins)).rowcount
