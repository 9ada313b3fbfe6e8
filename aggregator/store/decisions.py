"""The clusterer's decisions as they were made, and the signatures they stand on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from aggregator.store.bulk import insert_many, update_many
from aggregator.store.dialect import among, chunks
from aggregator.store.entries import signature_values
from aggregator.store.tables import DECISION, ENTRY, SIGNATURE
from aggregator.types import Compared, Decision, Entry, EntryId, Rule, Signature

HEAD = np.dtype([("other", "<i8"), ("probability", "<f4"), ("is_copy", "?"), ("veto", "i1")])
"""A compared entry in the column `compared`; the features of all follow as 16-bit floats."""


class Weighed(NamedTuple):
    """An entry, how many entries there were around it, how many candidates it had, and some of these, `packed`."""

    entry: EntryId
    among: int
    seen: int
    compared: bytes


class Basis(NamedTuple):
    """What decisions made at one time have in common; `features`: how many each compared entry has."""

    at: datetime
    threshold: float
    model: str
    features: int


def write_weighed(db: Connection, weighed: Sequence[Weighed], basis: Basis, *, regroup: bool) -> None:
    """The decision on each of these entries is made anew, and says for now that it stands alone."""
    db.execute(delete(DECISION).where(among(DECISION.c.entry_id, [one.entry for one in weighed])))
    columns = (
        DECISION.c.entry_id,
        DECISION.c.at,
        DECISION.c.among,
        DECISION.c.seen,
        DECISION.c.rule,
        DECISION.c.mean,
        DECISION.c.size,
        DECISION.c.threshold,
        DECISION.c.model,
        DECISION.c.features,
        DECISION.c.compared,
        DECISION.c.regroup,
    )
    alone, (at, threshold, model, features) = (Rule.ALONE.value, 0.0, 1), basis
    rows = (
        (
            one.entry,
            at,
            one.among,
            one.seen,
            *alone,
            threshold,
            model,
            features if one.compared else 0,
            one.compared,
            regroup,
        )
        for one in weighed
    )
    insert_many(db, columns, rows)


def packed(
    other: NDArray[np.int64],
    probability: NDArray[np.float64],
    is_copy: NDArray[np.bool_],
    veto: NDArray[np.int8],
    features: NDArray[np.float32],
) -> Callable[[int, int], bytes]:
    """Some compared entries as the column `compared` holds them: those from one position to another."""
    heads = np.empty(len(other), dtype=HEAD)
    for name, values in zip(HEAD.names or (), (other, probability, is_copy, veto), strict=True):
        heads[name] = values
    small = features.astype("<f2")
    return lambda first, end: heads[first:end].tobytes() + small[first:end].tobytes()


def _unpacked(stored: bytes, features: int) -> tuple[Compared, ...]:
    count = len(stored) // (HEAD.itemsize + 2 * features)
    heads = np.frombuffer(stored[: count * HEAD.itemsize], dtype=HEAD)
    values: NDArray[np.float16] = np.frombuffer(stored, "<f2", offset=count * HEAD.itemsize).reshape(
        count, features
    )
    return tuple(
        Compared(EntryId(other), probability, is_copy, veto, tuple(row))
        for (other, probability, is_copy, veto), row in zip(heads.tolist(), values.tolist(), strict=True)
    )


def decision_of(db: Connection, entry: EntryId) -> Decision | None:
    """The decision on an entry; None before it is decided on."""
    row = db.execute(select(DECISION).where(DECISION.c.entry_id == entry)).first()
    if row is None:
        return None
    return Decision(
        entry=EntryId(row.entry_id),
        at=row.at,
        among=row.among,
        seen=row.seen,
        rule=Rule(row.rule),
        mean=row.mean,
        size=row.size,
        threshold=row.threshold,
        model=row.model,
        compared=_unpacked(row.compared, row.features),
    )


def write_rules(db: Connection, rules: Mapping[EntryId, tuple[Rule, float, int]]) -> None:
    """What decided on each of these entries: the rule, the mean probability, the size of its event.

    With that its event has been looked at again.
    """
    columns = (DECISION.c.rule, DECISION.c.mean, DECISION.c.size, DECISION.c.regroup)
    rows = ((entry, rule.value, mean, size, False) for entry, (rule, mean, size) in rules.items())
    update_many(db, DECISION.c.entry_id, columns, rows)


def correct_rules(db: Connection, entries: Iterable[EntryId], size: int) -> None:
    """People decided where these entries stand: in an event of so many."""
    for part in chunks(entries):
        change = update(DECISION).where(among(DECISION.c.entry_id, part))
        db.execute(change.values(rule=Rule.CORRECTED, size=size))


def to_regroup(db: Connection, limit: int) -> list[EntryId]:
    """Entries whose event is to be looked at again."""
    query = select(DECISION.c.entry_id).where(DECISION.c.regroup).order_by(DECISION.c.entry_id).limit(limit)
    return [EntryId(row.entry_id) for row in db.execute(query)]


def ask_to_regroup(db: Connection, entries: Iterable[EntryId]) -> None:
    """The events of these entries are to be looked at again."""
    for part in chunks(entries):
        db.execute(update(DECISION).where(among(DECISION.c.entry_id, part)).values(regroup=True))


# ---- signatures ----------------------------------------------------------------------------------


def to_sign(db: Connection, scheme: int, limit: int) -> list[tuple[EntryId, Entry]]:
    """Entries that have no signature of this scheme, with all that a signature is made of."""
    # Two ranges of the index on schemes; for "not equal" all signatures would be read.
    of_others = or_(SIGNATURE.c.scheme < scheme, SIGNATURE.c.scheme > scheme)
    signed = select(SIGNATURE.c.entry_id).where(SIGNATURE.c.entry_id == ENTRY.c.id).exists()
    for query in (select(SIGNATURE.c.entry_id).where(of_others), select(ENTRY.c.id).where(~signed)):
        numbers = db.execute(query.limit(limit)).scalars().all()
        if numbers:
            rows = db.execute(select(ENTRY).where(among(ENTRY.c.id, numbers)).order_by(ENTRY.c.id))
            return [(EntryId(row.id), _entry(row)) for row in rows]
    return []


def _entry(row: Any) -> Entry:
    return Entry(
        identity=row.identity,
        guid=row.guid,
        url=row.url,
        canonical_url=row.canonical_url,
        title=row.title,
        summary=row.summary,
        text=row.text,
        html=row.html,
        lang=row.lang,
        author=row.author,
        source=row.source,
        published_at=row.published_at,
        date_guessed=row.date_guessed,
        truncated=row.truncated,
        content_hash=row.content_hash,
        text_key=row.text_key,
        title_key=row.title_key,
        listed=(),
    )


def write_signatures(db: Connection, signed: Collection[tuple[EntryId, Entry, Signature]]) -> None:
    """The signatures of these entries become the given ones; the entries wait for the clusterer again."""
    numbers = [number for number, _, _ in signed]
    for part in chunks(numbers):
        db.execute(delete(SIGNATURE).where(among(SIGNATURE.c.entry_id, part)))
        db.execute(update(ENTRY).where(among(ENTRY.c.id, part)).values(pending=True))
    if signed:
        db.execute(insert(SIGNATURE), [signature_values(*one) for one in signed])


# ---- meanings ------------------------------------------------------------------------------------


def to_encode(db: Connection, since: datetime | None, limit: int) -> list[tuple[EntryId, Entry]]:
    """Entries that have a signature without a meaning: those that wait, or all published since `since`."""
    query = (
        select(ENTRY)
        .join(SIGNATURE, SIGNATURE.c.entry_id == ENTRY.c.id)
        .where(SIGNATURE.c.meaning.is_(None))
        .where(ENTRY.c.pending if since is None else SIGNATURE.c.at >= since)
        .order_by(ENTRY.c.id)
        .limit(limit)
    )
    return [(EntryId(row.id), _entry(row)) for row in db.execute(query)]


def write_meanings(db: Connection, encoded: Collection[tuple[EntryId, Entry, bytes]]) -> None:
    """Keeps the meanings of these entries, unless they were edited since they were read."""
    as_read = (
        select(ENTRY.c.id)
        .where(ENTRY.c.id == SIGNATURE.c.entry_id, ENTRY.c.content_hash == bindparam("read"))
        .exists()
    )
    change = update(SIGNATURE).where(SIGNATURE.c.entry_id == bindparam("number"), as_read)
    columns: dict[str, Any] = {"meaning": bindparam("encoded")}
    if encoded:
        db.execute(
            change.values(columns),
            [
                {"number": number, "read": entry.content_hash, "encoded": meaning}
                for number, entry, meaning in encoded
            ],
        )
