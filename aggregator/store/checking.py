"""Faults of a database that statements can find: what does not fit together, with how much of it there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, or_, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from aggregator.store import Store
from aggregator.store.dialect import among, chunks
from aggregator.store.tables import DECISION, ENTRY, LINK, SIGNATURE, TEASER

VIEWS = ("v1_event", "v1_event_entry", "v1_teaser", "v1_entry", "v1_change", "v1_feed")


class Check(StrEnum):
    """What is looked at."""

    FILE = "file"
    FOREIGN_KEYS = "foreign keys"
    VIEWS = "views"
    WORDS = "index of words"
    UNSIGNED = "entries without a signature"
    OTHER_SCHEME = "signatures of another scheme"
    DAYS = "signatures by day"
    UNGROUPED = "entries without an event"
    ORPHANS = "entries of an event that is not there"
    PAIRS = "pairs of entries that are not there"
    DECISIONS = "decisions on entries that are not there"
    TEASERS = "teasers of entries that are not there"
    TWICE = "entries that are there twice"
    IDENTITIES = "identities of entries"
    COUNTS = "counts of events"
    RECORDS = "records of events"
    EMPTY = "events without entries"
    MERGED = "merged events"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not fit: how many of it, an example, and whether it can be made anew from the entries."""

    check: Check
    count: int
    example: str
    can_repair: bool


QUERIES = {
    Check.UNSIGNED: "SELECT entry.id FROM entry LEFT JOIN signature ON signature.entry_id = entry.id "
    "WHERE signature.entry_id IS NULL",
    Check.OTHER_SCHEME: "SELECT entry_id FROM signature WHERE scheme <> :scheme",
    Check.DAYS: "SELECT entry.id FROM entry JOIN signature ON signature.entry_id = entry.id "
    "WHERE signature.at <> entry.published_at",
    Check.UNGROUPED: "SELECT id FROM entry WHERE event_id IS NULL AND NOT pending",
    Check.ORPHANS: "SELECT entry.id FROM entry LEFT JOIN event ON event.id = entry.event_id "
    "WHERE entry.event_id IS NOT NULL AND event.id IS NULL",
    Check.PAIRS: "SELECT DISTINCT link.a FROM link LEFT JOIN entry AS one ON one.id = link.a "
    "LEFT JOIN entry AS other ON other.id = link.b WHERE one.id IS NULL OR other.id IS NULL",
    Check.DECISIONS: "SELECT entry_id FROM decision LEFT JOIN entry ON entry.id = entry_id WHERE entry.id IS NULL",
    Check.TEASERS: "SELECT DISTINCT teaser.entry_id FROM teaser LEFT JOIN entry ON entry.id = teaser.entry_id "
    "WHERE teaser.entry_id IS NOT NULL AND entry.id IS NULL",
    Check.COUNTS: "SELECT event.id FROM event LEFT JOIN (SELECT event_id, count(*) AS entries FROM entry "
    "WHERE event_id IS NOT NULL GROUP BY event_id) AS found ON found.event_id = event.id "
    "WHERE event.merged_into IS NULL AND found.entries <> event.entry_count",
    Check.RECORDS: "SELECT event.id FROM event LEFT JOIN entry ON entry.id = event.canonical_entry_id "
    "AND entry.event_id = event.id WHERE event.merged_into IS NULL AND event.entry_count > 0 "
    "AND (entry.id IS NULL OR entry.relation <> 'canonical')",
    Check.EMPTY: "SELECT event.id FROM event WHERE event.merged_into IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.event_id = event.id)",
    Check.MERGED: "SELECT event.id FROM event JOIN event AS heir ON heir.id = event.merged_into "
    "WHERE heir.merged_into IS NOT NULL "
    "OR EXISTS (SELECT 1 FROM entry WHERE entry.event_id = event.id)",
}
"""Each gives the ids of what does not fit."""

OF_SQLITE = {
    # From the table itself: the index that should keep them unique is what may be broken.
    Check.TWICE: "SELECT max(id) FROM entry NOT INDEXED GROUP BY feed_id, identity HAVING count(*) > 1",
}

OF_POSTGRESQL = {
    Check.TWICE: "SELECT max(id) FROM entry GROUP BY feed_id, identity HAVING count(*) > 1",
    Check.IDENTITIES: "SELECT COALESCE(entry.id, known.entry_id) FROM entry FULL JOIN entry_identity AS known "
    "ON known.feed_id = entry.feed_id AND known.identity = CAST(md5(entry.identity) AS uuid) "
    "WHERE entry.id IS DISTINCT FROM known.entry_id AND NOT EXISTS (SELECT 1 FROM entry AS twin "
    "WHERE twin.id = known.entry_id AND twin.feed_id = entry.feed_id AND twin.identity = entry.identity)",
    Check.WORDS: "SELECT COALESCE(entry.id, entry_id) FROM entry FULL JOIN entry_words ON entry_id = entry.id "
    "WHERE words IS DISTINCT FROM strip(entry_words(title, text))",
}

NOT_FROM_ENTRIES = frozenset({Check.MERGED, Check.TWICE})
"""What can't be made anew from the entries."""


def find_faults(store: Store, scheme: int) -> Iterator[tuple[Check, list[Fault]]]:
    """Each check with its faults as it ends; `scheme` is the one that signatures are to have."""
    with store.read() as db:
        if db.dialect.name == "sqlite":
            yield Check.FILE, _of_file(db, has_twins=bool(faulty(db, Check.TWICE, scheme)))
            yield Check.FOREIGN_KEYS, _of_keys(db)
        else:
            yield Check.FILE, _of_indexes(db)
        yield Check.VIEWS, list(_of_views(db))
        for check in _queries(db):
            found = faulty(db, check, scheme)
            example = f"id {found[0]}" if found else ""
            yield check, [Fault(check, len(found), example, check not in NOT_FROM_ENTRIES)] if found else []
    if store.engine.dialect.name == "sqlite":
        with store.write() as db:
            yield Check.WORDS, _of_words(db)


def faulty(db: Connection, check: Check, scheme: int) -> list[int]:
    """The ids of what does not fit."""
    bound = {"scheme": scheme} if check is Check.OTHER_SCHEME else {}
    return [int(row[0]) for row in db.execute(text(_queries(db)[check]), bound)]


def _queries(db: Connection) -> dict[Check, str]:
    return QUERIES | (OF_SQLITE if db.dialect.name == "sqlite" else OF_POSTGRESQL)


def _of_file(db: Connection, *, has_twins: bool) -> list[Fault]:
    said = [str(row[0]) for row in db.exec_driver_sql("PRAGMA integrity_check")]
    if said == ["ok"]:
        return []
    # An index that lacks rows, or has too many, is made from its table, unless that has what it is to forbid.
    of_indexes = all("index" in line.lower() and "non-unique" not in line for line in said)
    return [Fault(Check.FILE, len(said), said[0], of_indexes and not has_twins)]


def _of_keys(db: Connection) -> list[Fault]:
    rows = db.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    return [Fault(Check.FOREIGN_KEYS, len(rows), f"{rows[0][0]} row {rows[0][1]}", False)] if rows else []


def _of_indexes(db: Connection) -> list[Fault]:
    broken = db.exec_driver_sql(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid "
        "AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)"
    ).fetchall()
    return [Fault(Check.FILE, len(broken), f"index {broken[0][0]}", True)] if broken else []


def _of_views(db: Connection) -> Iterator[Fault]:
    for view in VIEWS:
        try:
            with db.begin_nested():
                db.exec_driver_sql(f"SELECT * FROM {view} LIMIT 1").fetchall()  # noqa: S608 (our own names)
        except DBAPIError as error:
            yield Fault(Check.VIEWS, 1, f"{view}: {error.orig}", False)


def _of_words(db: Connection) -> list[Fault]:
    try:
        with db.begin_nested():
            db.exec_driver_sql("INSERT INTO entry_words (entry_words, rank) VALUES ('integrity-check', 1)")
    except DBAPIError as error:
        return [Fault(Check.WORDS, 1, str(error.orig), True)]
    return []


# ---- repairs ------------------------------------------------------------------------------------


def rebuild_words(db: Connection) -> None:
    """Makes the words that are searched for anew from the entries."""
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("INSERT INTO entry_words (entry_words) VALUES ('rebuild')")
        return
    db.exec_driver_sql(
        "DELETE FROM entry_words WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.id = entry_words.entry_id)"
    )
    db.exec_driver_sql(
        "INSERT INTO entry_words AS known SELECT id, strip(entry_words(title, text)) FROM entry "
        "ON CONFLICT (entry_id) DO UPDATE SET words = excluded.words "
        "WHERE known.words IS DISTINCT FROM excluded.words"
    )


def rebuild_indexes(db: Connection) -> None:
    """Makes all other indexes anew from their tables."""
    db.exec_driver_sql("REINDEX" if db.dialect.name == "sqlite" else "REINDEX SCHEMA CURRENT_SCHEMA")


def date_signatures(db: Connection, entries: list[int]) -> None:
    """The signatures of these entries are found by the day of the entry again."""
    at = select(ENTRY.c.published_at).where(ENTRY.c.id == SIGNATURE.c.entry_id).scalar_subquery()
    for part in chunks(entries):
        db.execute(update(SIGNATURE).where(among(SIGNATURE.c.entry_id, part)).values(at=at))


def ask_to_group(db: Connection, entries: list[int]) -> None:
    """These entries are in no event and wait for the clusterer."""
    for part in chunks(entries):
        anew = update(ENTRY).where(among(ENTRY.c.id, part))
        db.execute(anew.values(event_id=None, relation="", pending=True))


def remove_pairs(db: Connection, entries: list[int]) -> None:
    """Removes those pairs that begin with these entries and one of which is not there."""
    for part in chunks(entries):
        gone = or_(*(~select(ENTRY.c.id).where(ENTRY.c.id == end).exists() for end in (LINK.c.a, LINK.c.b)))
        db.execute(delete(LINK).where(among(LINK.c.a, part), gone))


def remove_decisions(db: Connection, entries: list[int]) -> None:
    """Removes the decisions on these entries."""
    db.execute(delete(DECISION).where(among(DECISION.c.entry_id, entries)))


def unname_entries(db: Connection, entries: list[int]) -> None:
    """Teasers of these entries keep their text and lose its number."""
    db.execute(update(TEASER).where(among(TEASER.c.entry_id, entries)).values(entry_id=None))


def renew_identities(db: Connection) -> None:
    """PostgreSQL's identities are those of the entries again; one that two entries have stays the first one's."""
    mine = "FROM entry WHERE entry.id = entry_identity.entry_id AND entry.feed_id = entry_identity.feed_id "
    db.exec_driver_sql(
        f"DELETE FROM entry_identity WHERE NOT EXISTS (SELECT 1 {mine} "  # noqa: S608 (ours)
        "AND CAST(md5(entry.identity) AS uuid) = entry_identity.identity)"
    )
    db.exec_driver_sql(
        "INSERT INTO entry_identity SELECT feed_id, CAST(md5(identity) AS uuid), id FROM entry ORDER BY id "
        "ON CONFLICT DO NOTHING"
    )
