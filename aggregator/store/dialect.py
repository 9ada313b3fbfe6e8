"""All that differs between SQLite and PostgreSQL: engines, times, transactions, roles held by one process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, DateTime, Engine, Integer, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.types import TypeDecorator

BIG_ID = BigInteger().with_variant(Integer(), "sqlite")
"""Row ids: 64 bits on both; SQLite numbers rows by itself only in a column declared INTEGER."""

BUSY_SECONDS = 60
"""How long a writer waits for another process's transaction on SQLite: far longer than any of ours takes."""


class StoreError(Exception):
    """The database can't be used; the text says what, where and what to do."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes; on SQLite "YYYY-MM-DD HH:MM:SS.ffffff" in UTC, on PostgreSQL timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The value in UTC; a naive datetime is a bug."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a naive datetime reached the database"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The value as an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str) -> Engine:
    """An engine for the database at `url`; SQLite in WAL mode, foreign keys on, waiting for other writers.

    Raises StoreError if the database's folder does not exist or its driver is missing.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        return create_engine(parsed, pool_size=20, max_overflow=20, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"DATABASE={parsed.render_as_string()}: the driver {error.name} is not installed: "
            "pip install 'psycopg[binary]'"
        ) from None


def _open_sqlite(url: str) -> Engine:
    path = sqlite_path(url)
    if not path.parent.is_dir():
        raise StoreError(
            f"DATABASE={url}: the folder {path.parent} does not exist: create it or choose another"
        )
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=40)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver starts no transaction by itself: BEGIN (below) decides which kind it is.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # WAL with NORMAL loses no committed transaction to a crash of the program; a crash of the machine can
        # lose the last ones, whole: the database stays consistent.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-16000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A write transaction takes the lock at its start: an upgrade from reader to writer can fail at once.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def sqlite_path(url: str) -> Path:
    """The file of an SQLite URL."""
    return Path(make_url(url).database or "").resolve()


def insert_new(connection: Connection, table: Table) -> Any:
    """An INSERT … ON CONFLICT DO NOTHING for `table`: rows that are there already are passed over."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


@contextmanager
def hold_role(engine: Engine, role: str) -> Iterator[bool]:
    """True while this process alone holds `role` ("poll", "cluster") on this database, False if another does.

    The role ends with the process, however it ends: a lock on a file beside an SQLite database (flock), a
    session-level advisory lock on PostgreSQL.
    """
    if engine.dialect.name == "sqlite":
        path = sqlite_path(str(engine.url))
        descriptor = os.open(path.with_name(f"{path.name}.{role}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        number = int.from_bytes(role.encode()[:7].ljust(7, b"\0"), "big")
        held = bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({number})").scalar_one())
        try:
            yield held
        finally:
            if held:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({number})")


def tidy(engine: Engine) -> None:
    """Statistics for the query planner brought up to date, and SQLite's write-ahead log folded in."""
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()  # outside any transaction: a checkpoint can't run in one
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA optimize")
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.close()
        finally:
            connection.close()
