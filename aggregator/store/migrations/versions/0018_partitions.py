"""PostgreSQL keeps what grows in partitions; on SQLite nothing changes."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy.engine import Connection

revision = "0018"
down_revision = "0017"

TABLES = {
    "entry": "id",
    "signature": "entry_id",
    "decision": "entry_id",
    "listed_item": "entry_id",
    "entry_version": "entry_id",
    "link": "a",
    "change": "cursor",
    "activity": "day",
}
NUMBERED = {"entry": "id", "entry_version": "id", "change": "cursor"}
LEAST = 100_000
ROUND = 1000

FOREIGN_KEYS = (
    "SELECT conname AS name, CAST(CAST(conrelid AS regclass) AS text) AS owner, "
    "pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contype = 'f' AND "
)
INDEXES = (
    "SELECT relname AS name, pg_get_indexdef(indexrelid) AS definition, indisprimary FROM pg_index "
    "JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = CAST(CAST(%s AS text) AS regclass)"
)

IDENTITY = (
    """CREATE TABLE entry_identity (feed_id bigint NOT NULL, identity uuid NOT NULL, entry_id bigint NOT NULL,
    PRIMARY KEY (feed_id, identity))""",
    "INSERT INTO entry_identity SELECT feed_id, CAST(md5(identity) AS uuid), id FROM entry",
    "CREATE INDEX entry_identity_entry ON entry_identity (entry_id)",
    """CREATE FUNCTION entry_is_new() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO entry_identity VALUES (NEW.feed_id, CAST(md5(NEW.identity) AS uuid), NEW.id)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER entry_is_new BEFORE INSERT ON entry
    FOR EACH ROW EXECUTE FUNCTION entry_is_new()""",
    """CREATE FUNCTION entry_is_gone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM entry_identity USING gone WHERE entry_identity.feed_id = gone.feed_id
        AND entry_identity.identity = CAST(md5(gone.identity) AS uuid);
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION entries_are_gone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        TRUNCATE entry_identity;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER entries_are_gone AFTER TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION entries_are_gone()""",
    """CREATE TRIGGER entry_is_gone AFTER DELETE ON entry REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION entry_is_gone()""",
)
"""An index over all partitions would have to be by the entry's number; so this table keeps identities unique."""


def upgrade() -> None:
    """Each table becomes the first partition of one of its name: no row is copied, but foreign keys are checked.

    An entry's event is no foreign key from here on: events go before the partition of their entries, in one
    transaction.
    """
    db = op.get_bind()
    if db.dialect.name == "sqlite":
        return
    views = _rows(db, "SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema()")
    _run(db, "ALTER TABLE entry DROP CONSTRAINT entry_event_id_fkey")
    to_entries = _rows(db, FOREIGN_KEYS + "confrelid = CAST(CAST(%s AS text) AS regclass)", "entry")
    for row in to_entries:
        _run(db, f'ALTER TABLE {row.owner} DROP CONSTRAINT "{row.name}"')
    for table, column in TABLES.items():
        _part(db, table, column)
    for row in to_entries:
        _run(db, f'ALTER TABLE {row.owner} ADD CONSTRAINT "{row.name}" {row.definition}')
    for table in TABLES:
        _run(db, f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")
    for statement in IDENTITY:
        _run(db, statement)
    for row in views:
        # In their place, not anew: what readers were granted stays.
        _run(db, f'CREATE OR REPLACE VIEW "{row.viewname}" AS {row.definition}')


def _part(db: Connection, table: str, column: str) -> None:
    """Puts the table below a new one of its name, with the same columns, indexes and foreign keys."""
    end = _end(db, table, column)
    first = f"{table}_0_{end}"
    if table == "entry":
        _run(db, "ALTER TABLE entry DROP CONSTRAINT entry_identity")
    keys = _rows(db, FOREIGN_KEYS + "conrelid = CAST(CAST(%s AS text) AS regclass)", table)
    for key in keys:
        _run(db, f'ALTER TABLE {table} DROP CONSTRAINT "{key.name}"')
    indexes = _rows(db, INDEXES, table)
    _run(db, f"ALTER TABLE {table} RENAME TO {first}")
    _run(
        db,
        f"CREATE TABLE {table} (LIKE {first} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMMENTS) "
        f"PARTITION BY RANGE ({column})",
    )
    if table in NUMBERED:
        _run(db, f"ALTER SEQUENCE {table}_{NUMBERED[table]}_seq OWNED BY {table}.{NUMBERED[table]}")
    for number, index in enumerate(indexes):
        _run(db, f'ALTER INDEX "{index.name}" RENAME TO "{first}_{number}"')
        if not index.indisprimary:
            _run(db, index.definition)
            continue
        columns = index.definition[index.definition.rindex("(") :]
        if table == "entry_version":  # the key of a partitioned table begins with what it is cut by
            columns = "(entry_id, id)"
            _run(db, f'ALTER TABLE {first} DROP CONSTRAINT "{first}_{number}"')
        _run(db, f"ALTER TABLE {table} ADD PRIMARY KEY {columns}")
    _run(db, f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM (0) TO ({end})")
    for key in keys:
        _run(db, f'ALTER TABLE {table} ADD CONSTRAINT "{key.name}" {key.definition}')


def _end(db: Connection, table: str, column: str) -> int:
    """Where the first partition ends: beyond all numbers given out or there; those of entries alike."""
    if column == "day":
        return int(db.exec_driver_sql("SELECT COALESCE(max(day), 0) + 1 FROM activity").scalar_one())
    sequence = "change_cursor_seq" if table == "change" else "entry_id_seq"
    used = int(db.exec_driver_sql(f"SELECT last_value FROM {sequence}").scalar_one())  # noqa: S608 (ours)
    # Rows that were written with their numbers moved no sequence.
    highest = "max(cursor), 0) FROM change" if table == "change" else "max(id), 0) FROM entry"
    used = max(used, int(db.exec_driver_sql(f"SELECT COALESCE({highest}").scalar_one()))
    return max(LEAST, used // ROUND * ROUND + 2 * ROUND)


def _rows(db: Connection, sql: str, table: str = "") -> list[Any]:
    return list(db.exec_driver_sql(sql, (table,) if table else None).all())


def _run(db: Connection, sql: str) -> None:
    db.exec_driver_sql(sql.replace("%", "%%"))
