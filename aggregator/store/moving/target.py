"""The PostgreSQL database that a move fills: made ready, told how far it came, and put into its final state.

How far a move came stands in a table of the target, `db_move`, written with the rows themselves. While it is there,
the schema's revision is one that no program opens (schema.MOVING).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Table, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from aggregator.store.dialect import StoreError, UnreachableError, refusals_told
from aggregator.store.moving.lines import SourceError, quoted
from aggregator.store.refusals import is_from_outside
from aggregator.store.room import make_room
from aggregator.store.schema import HEAD, MOVING, revision, upgrade
from aggregator.store.tables import Row

SESSION = (
    "SET LOCAL TimeZone TO 'UTC'",
    "SET LOCAL DateStyle TO 'ISO'",
    "SET LOCAL bytea_output TO 'hex'",
    "SET LOCAL client_encoding TO 'UTF8'",
)
"""So that COPY reads and writes every value in the one form that checksums are made of."""

NOTES = (
    "CREATE TABLE db_move (kind text, name text, value text NOT NULL, rows bigint NOT NULL DEFAULT 0, "
    "PRIMARY KEY (kind, name))"
)
"""kind `source`: where from, in what state; `table`: the last key copied, rows so far; `mended`: values by column;
`later`: a statement that is left for the end."""

NOTE = text(
    "INSERT INTO db_move AS known (kind, name, value, rows) VALUES (:kind, :name, :value, :rows) "
    "ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, rows = known.rows + excluded.rows"
)

ASIDE = """
SELECT '1 ' || indexrelid::regclass AS name, 'DROP INDEX ' || indexrelid::regclass AS drop,
    replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS make
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT relispartition AND NOT indisunique
UNION ALL
SELECT '2 ' || conrelid::regclass || ' ' || conname,
    format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
    format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace
ORDER BY name DESC
"""
"""Indexes and foreign keys (these are dropped first): each is made at once for all rows, which takes a fraction of
the time, and lets rows come in any order though events and entries point at one another."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows come from, as people may see it, and a word for its state that changes when it is written.

    `entry` and `cursor` are the highest numbers that it gave out.
    """

    place: str
    state: str
    entry: int
    cursor: int


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction of the target. What the driver says of COPY becomes StoreError, as all else does."""
    driver = engine.dialect.loaded_dbapi
    with refusals_told(engine.url):
        try:
            with engine.begin() as db:
                for setting in SESSION:
                    db.exec_driver_sql(setting)
                yield db
        except driver.Error as error:
            # Rows that the target does not take are the source's matter, no fault in a statement.
            is_of_the_rows = isinstance(error, driver.DataError | driver.IntegrityError)
            if not is_of_the_rows and not is_from_outside(error):
                raise
            said = str(error).strip().partition("\n")[0]
            raise UnreachableError(
                f"it stopped the move ({said}): see to that, then run the same command: it goes on where it was"
            ) from None


def make_ready(engine: Engine, source: Source, *, anew: bool) -> None:
    """The target with our schema and nothing in it, or as an earlier run for the same source left it.

    It has partitions for all numbers that the source gave out.
    `anew` empties what an earlier run left. Raises StoreError if anything else is in it.
    """
    with refusals_told(engine.url), engine.connect() as db:
        tables = set(inspect(db).get_table_names())
        encoding = str(db.exec_driver_sql("SHOW server_encoding").scalar())
        found = revision(db)
    if encoding != "UTF8":
        raise StoreError(f"its encoding is {encoding}: create it with ENCODING 'UTF8' TEMPLATE template0")
    if found == MOVING:
        _go_on(engine, source, anew=anew)
        return
    if tables and not {"alembic_version", "feed", "entry"} <= tables:
        some = ", ".join(sorted(tables)[:3])
        raise StoreError(f"it holds tables of another program ({some}): name an empty database")
    upgrade(engine)
    with writing(engine) as db:
        for table in moved_tables():
            if db.exec_driver_sql(f"SELECT 1 FROM {quoted(table.name)} LIMIT 1").first():  # noqa: S608
                raise StoreError(f"it is not empty (there are rows in {table.name}): name an empty database")
        make_room(db, source.entry, source.cursor)
        db.exec_driver_sql(NOTES)
        _begin(db, source)
        db.exec_driver_sql("UPDATE alembic_version SET version_num = %s", (MOVING,))


def moved_tables() -> list[Table]:
    """All tables, each after those that it points to where that can be."""
    return list(Row.metadata.tables.values())


def _begin(db: Connection, source: Source) -> None:
    note(db, "source", source.place, source.state)
    note(db, "schema", HEAD, "")
    for name, drop, make in db.exec_driver_sql(ASIDE).all():
        note(db, "later", name, make)
        db.exec_driver_sql(drop.replace("%", "%%"))


def _go_on(engine: Engine, source: Source, *, anew: bool) -> None:
    with writing(engine) as db:
        place, state = db.exec_driver_sql("SELECT name, value FROM db_move WHERE kind = 'source'").one()
        schema = db.exec_driver_sql("SELECT name FROM db_move WHERE kind = 'schema'").scalar_one()
        if schema != HEAD:
            raise StoreError(
                f"the move into it was begun by another version (schema {schema}, this one has {HEAD}): "
                "drop the database, create it anew and run the command again"
            )
        if anew:
            names = ", ".join(quoted(table.name) for table in moved_tables())
            db.exec_driver_sql(f"TRUNCATE {names} CASCADE")
            db.exec_driver_sql("DELETE FROM db_move WHERE kind <> 'later'")
            _begin(db, source)
        elif state != source.state:
            changed = "it was written since" if place == source.place else f"that was {place}"
            raise StoreError(
                f"the move into it that is not finished was of another state of the source ({changed}): "
                "`db move --restart` empties the target and begins anew"
            )


def note(db: Connection, kind: str, name: str, value: str, rows: int = 0) -> None:
    """Puts down how far it came, in the transaction that brought it there."""
    db.execute(NOTE, {"kind": kind, "name": name, "value": value, "rows": rows})


def notes(engine: Engine, kind: str) -> dict[str, tuple[str, int]]:
    """What was put down of one kind: by name the value and the rows."""
    with writing(engine) as db:
        rows = db.exec_driver_sql(
            "SELECT name, value, rows FROM db_move WHERE kind = %s ORDER BY name", (kind,)
        )
        return {name: (value, count) for name, value, count in rows}


def make_later(engine: Engine) -> Iterator[int]:
    """Makes the indexes and foreign keys that were put aside, one a transaction; yields 1 for each.

    Raises SourceError if rows point at others that are not there.
    """
    for name, (statement, _) in notes(engine, "later").items():
        try:
            with writing(engine) as db:
                db.exec_driver_sql(statement.replace("%", "%%"))
                db.exec_driver_sql("DELETE FROM db_move WHERE kind = 'later' AND name = %s", (name,))
        except IntegrityError as error:
            said = str(getattr(error.orig, "diag").message_detail)  # noqa: B009 (the driver's own)
            raise SourceError(
                f"the source has rows that point nowhere ({name.split()[1]}: {said}): run `db check` on it, "
                "remove them or restore a backup, then run the command with --restart"
            ) from None
        yield 1


def set_numbers(engine: Engine, given: dict[str, int]) -> None:
    """Lets numbers go on past the highest that each table of the source ever gave; then counts for the planner."""
    with writing(engine) as db:
        for table in moved_tables():
            key = table.autoincrement_column
            if key is None or not given.get(table.name):
                continue
            sequence = db.exec_driver_sql(
                "SELECT pg_get_serial_sequence(%s, %s)", (quoted(table.name), key.name)
            ).scalar()
            assert sequence is not None, f"{table.name} has no sequence"
            db.exec_driver_sql("SELECT setval(%s::regclass, %s)", (sequence, given[table.name]))
    with writing(engine) as db:
        db.exec_driver_sql("ANALYZE")


def declare(engine: Engine) -> None:
    """The target is a database like any other from here on."""
    with writing(engine) as db:
        db.exec_driver_sql("DROP TABLE db_move")
        db.exec_driver_sql("UPDATE alembic_version SET version_num = %s", (HEAD,))


def driver_cursor(db: Connection) -> Any:
    """A cursor of the driver itself, for COPY."""
    return db.connection.cursor()
