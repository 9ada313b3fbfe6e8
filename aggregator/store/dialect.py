"""All that differs between SQLite and PostgreSQL: engines, times, transactions, roles held by one process."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    URL,
    BigInteger,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    DateTime,
    Engine,
    Integer,
    Select,
    Table,
    Text,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, ExecutionContext
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from aggregator.store.refusals import is_from_outside

BIG_ID = BigInteger().with_variant(Integer(), "sqlite")
"""Row ids: 64 bits on both; SQLite numbers rows by itself only in a column declared INTEGER."""

BUSY_SECONDS = 60
"""How long a writer waits for another process's transaction on SQLite: far longer than any of ours takes."""

KEPT_CONNECTIONS = 2
MOST_CONNECTIONS = 80
"""To an SQLite database: all threads can read at once, but few connections stay, each with up to 4 MB of pages."""


Value = TypeVar("Value")
Query = Select[Any] | CompoundSelect[Any]
EMPTY: Mapping[str, Any] = {}

BINARY = "binary"
"""Option of a statement whose rows PostgreSQL is to send as it has them, not as text."""

AT_ONCE = 1_000
"""Rows of a long result that are made at once, in some milliseconds."""

CHUNK = 500
"""Values in one statement: SQLite takes at most 32,766 parameters, and an entry has two dozen."""


class StoreError(Exception):
    """The database can't be used; the text says what, where and what to do."""


class UnreachableError(StoreError):
    """The server does not answer, or cut the connection off: all that is asked of it fails until it is back."""


ADVICE = (
    ("disk is full", "free some space there, then run it again"),
    ("locked", "another program holds the database: let it finish, or stop it"),
    ("readonly", "give this user the right to write the file and its folder"),
    ("unable to open", "check the path, and that this user may write there"),
    ("disk image is malformed", "the file is damaged: stop all programs that use it and restore a backup"),
    (
        "file is not a database",
        "it is none of this program: name another file; this one is left as it is",
    ),
    ("disk I/O error", "check the disk and its free space"),
    ("too many", "raise max_connections on the server, or start fewer processes"),
    ("permission denied", "let this user read and write there (GRANT), or name another in the URL"),
    ("read-only transaction", "this server may only be read, as a standby: name the one that takes writes"),
    ("password", "correct the user or the password in the URL"),
    ("does not exist", "create it on the server, or correct the URL"),
)
"""What to do about a refusal, by a part of the driver's own words."""

AWAY = ("08", "57P", "53300")
"""PostgreSQL's codes of a server that is not there for us: connections fail, it stops or starts, it is full."""

SERVER_CONNECTIONS = 10
"""Of one process to a PostgreSQL server, which takes 100 in all unless it is told otherwise: 8 processes at 40 were
refused. 64 threads that poll wait for servers of feeds, not for this one; a transaction takes milliseconds."""

POOL_SECONDS = 30
"""How long a thread waits for one of a PostgreSQL server's connections."""


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


class _Array(UserDefinedType[str]):
    """PostgreSQL's array of integers as it reads it: a list costs the driver an object for each number."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        """Its name."""
        return "BIGINT[]"


class Numbers(TypeDecorator[Sequence[int]]):
    """Many integers as one parameter: JSON on SQLite, an array on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """What the database is given."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else _Array())

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> Any:
        """The numbers as the driver takes them."""
        numbers = json.dumps(value)
        return numbers if dialect.name == "sqlite" else f"{{{numbers[1:-1]}}}"


class _Listed(FunctionElement[int]):
    """The numbers of one parameter as rows."""

    name = "listed"
    inherit_cache = True


@compiles(_Listed, "sqlite")
def _rows_of_json(element: _Listed, compiler: SQLCompiler, **_: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses)}))"  # noqa: S608 (a placeholder)


@compiles(_Listed, "postgresql")
def _rows_of_array(element: _Listed, compiler: SQLCompiler, **_: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.clauses)}))"


class _Day(FunctionElement[int]):
    """The day of a time."""

    name = "day"
    inherit_cache = True


@compiles(_Day, "sqlite")
def _day_of_text(element: _Day, compiler: SQLCompiler, **_: Any) -> str:
    # The date alone: of a whole time SQLite rounds the last half of a millisecond of a day up to the next.
    return f"CAST(julianday(substr({compiler.process(element.clauses)}, 1, 10)) - 2440587.5 AS INTEGER)"


@compiles(_Day, "postgresql")
def _day_of_timestamp(element: _Day, compiler: SQLCompiler, **_: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses)}) / 86400) AS BIGINT)"


def day_number(at: ColumnElement[datetime]) -> ColumnElement[int]:
    """The day of a time, counted from 1970-01-01 in UTC."""
    return _Day(at)


def among(
    column: ColumnElement[Any], numbers: Collection[int] | BindParameter[Sequence[int]]
) -> ColumnElement[bool]:
    """Whether the column is one of these integers, or of those that a parameter of type Numbers will have.

    As `in_`, but the statement is the same for any number of them and all are one parameter: of some hundred,
    each with a parameter of its own, SQLAlchemy and the database made a tenth of all grouping.
    """
    listed = numbers if isinstance(numbers, BindParameter) else literal(list(numbers), Numbers())
    return column.op("IN", is_comparison=True)(_Listed(listed))


def looked_up(
    query: Select[Any], column: ColumnElement[int], numbers: BindParameter[Sequence[int]]
) -> Select[Any]:
    """The query for those rows whose column is one of these integers, no two the same: each is looked up by itself.

    As `among`, of a column with an index, on PostgreSQL. That guesses how many rows have a number until it has
    counted them, and would read whole tables, in several processes; but it moves nothing across OFFSET.
    """
    asked = select(func.unnest(numbers).label("number")).subquery()
    return select(query.where(column == asked.c.number).offset(0).lateral()).select_from(asked)


def chunks(values: Iterable[Value]) -> Iterator[list[Value]]:
    """The values in lists of at most CHUNK, for statements that name each of them."""
    every = list(values)
    return (every[start : start + CHUNK] for start in range(0, len(every), CHUNK))


def plain_rows(db: Connection, query: Select[Any], values: Mapping[str, Any] = EMPTY) -> Sequence[Any]:
    """All rows of a query, with these values of its parameters; see `plain_parts`."""
    return list(chain.from_iterable(plain_parts(db, query, values)))


def plain_parts(
    db: Connection, query: Select[Any], values: Mapping[str, Any] = EMPTY
) -> Iterator[Sequence[Any]]:
    """The rows of a query as the driver gives them, in parts; its values must be such as the driver takes.

    For many rows, or much in bytes: PostgreSQL sends them in binary, which takes a third of the time of text. No
    other thread computes while its driver makes the rows of a part. Times come with whatever zone the session has.
    """
    if db.dialect.name == "sqlite":
        yield from db.execute(query, values).partitions(AT_ONCE)
        return
    with db.execute(query, values, execution_options={BINARY: True}) as result:
        while part := result.cursor.fetchmany(AT_ONCE):
            yield part


def driver_rows(db: Connection, query: Query, values: Mapping[str, Any] = EMPTY) -> list[Any]:
    """All rows of a query as SQLite's driver gives them: times are texts, truths 0 and 1.

    SQLAlchemy's rows take twice as long to make.
    """
    with driver_of(db), db.execute(query, values) as result:
        return list(result.cursor.fetchall())


@contextmanager
def driver_of(db: Connection) -> Iterator[Any]:
    """The driver below a connection. What the database refuses it is told as of other statements."""
    driver: Any = db.connection.driver_connection
    try:
        yield driver
    except db.dialect.loaded_dbapi.Error as error:
        is_cut_off = getattr(driver, "broken", False)  # SQLite's has no server
        if not is_from_outside(error, is_cut_off=is_cut_off):
            raise
        refusal = _refusal(db.engine.url, error)
        raise (UnreachableError(str(refusal)) if is_cut_off else refusal) from None


def open_engine(url: str) -> Engine:
    """An engine for the database at `url`; SQLite in WAL mode, foreign keys on, waiting for other writers.

    Raises StoreError if the URL can't be read, the database's folder does not exist or its driver is missing.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The URL itself is not repeated: it may hold a password, and nobody can tell where.
        raise StoreError(
            "DATABASE can't be read as a URL: write it like sqlite:///aggregator.db or "
            "postgresql://user:password@host:5432/name, with % escapes for special characters"
        ) from None
    if _is_sqlite(parsed):
        return _open_sqlite(parsed)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(
            parsed,
            pool_size=SERVER_CONNECTIONS // 2,
            max_overflow=SERVER_CONNECTIONS - SERVER_CONNECTIONS // 2,
            pool_timeout=POOL_SECONDS,
            pool_pre_ping=True,
            connect_args=_session(parsed),
        )
    except ImportError as error:
        raise StoreError(
            f"{_place(parsed)}: its driver can't be loaded ({error}): pip install 'psycopg[binary]'"
        ) from None

    @event.listens_for(engine, "before_cursor_execute")
    def ask_for_binary(
        _db: Connection,
        cursor: Any,
        _statement: str,
        _values: Any,
        context: ExecutionContext,
        _many: bool,  # noqa: FBT001
    ) -> None:
        if context.execution_options.get(BINARY):
            cursor.format = 1

    return engine


def _session(url: URL) -> dict[str, Any]:
    """Options by which client and server notice within 10 s that the other's machine or the network is gone.

    Then the server gives back the locks of that session. No statement is compiled: those over many partitions seem
    dear enough, and it took half a second of one that then ran for 10 ms. What the URL says itself counts.
    """
    server = {"tcp_keepalives_idle": 4, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 2, "jit": "off"}
    wanted: dict[str, Any] = {
        "keepalives_idle": 4,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def _open_sqlite(url: URL) -> Engine:
    path = sqlite_path(url)
    if url.query:
        raise StoreError(f"{_place(url)}: takes no options: end it with the name of the file")
    if path.is_dir():
        raise StoreError(f"{_place(url)}: can't be opened: {path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise StoreError(
            f"{_place(url)}: the folder {path.parent} does not exist: create it or choose another"
        )
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS},
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver starts no transaction by itself: BEGIN (below) decides which kind it is.
        connection.isolation_level = None
        cursor = connection.cursor()
        if cursor.execute("PRAGMA page_count").fetchone() == (0,):
            # Before anything is in the file: what is deleted can be given back in steps. Said of a file that has
            # it already, it would be a write.
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
        cursor.execute("PRAGMA journal_mode=WAL")
        # WAL with NORMAL loses no committed transaction to a crash of the program; a crash of the machine can
        # lose the last ones, whole: the database stays consistent.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-4000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A write transaction takes the lock at its start: an upgrade from reader to writer can fail at once.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class Commits:
    """Whether anybody has committed anything to a database, told without reading it.

    Thread-safe. Asking takes some 5 µs, a tenth of the cheapest statement through SQLAlchemy.
    """

    def __init__(self, engine: Engine) -> None:
        self._url = engine.url
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def mark(self) -> int | None:
        """A number that is another one after each commit; None where the database has none (PostgreSQL).

        SQLite's data_version: it changes with the commits of all other connections, of this process or another,
        so it is read over one that never writes.
        """
        if not _is_sqlite(self._url):
            return None
        with self._turn:
            try:
                if self._connection is None:
                    self._connection = sqlite3.connect(sqlite_path(self._url), check_same_thread=False)
                return int(self._connection.execute("PRAGMA data_version").fetchall()[0][0])
            except sqlite3.Error as error:
                if not is_from_outside(error):
                    raise
                raise _refusal(self._url, error) from None

    def close(self) -> None:
        """Gives the connection back."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


@contextmanager
def refusals_told(url: URL) -> Iterator[None]:
    """Turns what a database refuses for reasons outside this program into StoreError; bugs stay what they are."""
    try:
        yield
    except DBAPIError as error:
        if not is_from_outside(error.orig, is_cut_off=error.connection_invalidated):
            raise
        refusal = _refusal(url, error.orig)
        raise (UnreachableError(str(refusal)) if _is_cut_off(url, error) else refusal) from None
    except PoolTimeoutError:
        raise UnreachableError(
            f"{_place(url)}: none of its connections came free for {POOL_SECONDS} s: "
            "look what keeps the server busy"
        ) from None


def _is_cut_off(url: URL, error: DBAPIError) -> bool:
    """Whether the server is gone, not only this statement refused."""
    code = getattr(error.orig, "sqlstate", None) or ""
    return not _is_sqlite(url) and (error.connection_invalidated or not code or code.startswith(AWAY))


def _refusal(url: URL, reason: BaseException | None) -> StoreError:
    said = str(reason).strip().partition("\n")[0]
    general = (
        "check the path and its rights" if _is_sqlite(url) else "check that the server runs, and the URL"
    )
    advice = next((then for words, then in ADVICE if words in said), general)
    return StoreError(f"{_place(url)}: can't be opened or written ({said}): {advice}")


def _place(url: URL) -> str:
    """The setting as the operator wrote it, without the password."""
    shown = url if _is_sqlite(url) else url.set(drivername="postgresql")
    return f"DATABASE={shown.render_as_string(hide_password=True)}"


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def sqlite_path(url: URL) -> Path:
    """The file of an SQLite URL."""
    return Path(url.database or "").resolve()


def insert_new(connection: Connection, table: Table) -> Any:
    """An INSERT … ON CONFLICT DO NOTHING for `table`: rows that are there already are passed over."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def role_number(role: str) -> int:
    """The advisory lock of a role on PostgreSQL."""
    return int.from_bytes(role.encode()[:7].ljust(7, b"\0"), "big")


@contextmanager
def hold_role(engine: Engine, role: str) -> Iterator[bool]:
    """True while this process alone holds `role` ("poll", "cluster") on this database, False if another does.

    The role ends with the process, however it ends: a lock on a file beside an SQLite database (flock), a
    session-level advisory lock on PostgreSQL.
    """
    if engine.dialect.name == "sqlite":
        path = sqlite_path(engine.url)
        lock = path.with_name(f"{path.name}.{role}.lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(
                f"{lock}: can't be opened ({error.strerror}): let this user write there, and free some space"
            ) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            # For `status`, which does without it where the disk is full.
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            yield True
        finally:
            os.close(descriptor)
        return
    with (
        refusals_told(engine.url),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        number = role_number(role)
        held = bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({number})").scalar_one())
        try:
            yield held
        finally:
            if held:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({number})")


@contextmanager
def hold_polling(engine: Engine) -> Iterator[bool]:
    """True while this process may poll: on SQLite one at a time, on PostgreSQL any number, which lease feeds."""
    if engine.dialect.name == "sqlite":
        with hold_role(engine, "poll") as held:
            yield held
        return
    yield True


def lock_schema(connection: Connection) -> None:
    """Waits until no other transaction brings the schema up to date, and lets none until this one ends."""
    _lock(connection, b"schema")


def lock_list(connection: Connection) -> None:
    """Waits until no other transaction changes the list of feeds, and lets none until this one ends."""
    _lock(connection, b"list")


def lock_room(connection: Connection) -> None:
    """Waits until no other transaction makes partitions, and lets none until this one ends."""
    _lock(connection, b"room")


class RoleProcess(NamedTuple):
    """The process of this machine that holds a role, and since when."""

    pid: int
    since: datetime


def role_process(engine: Engine, role: str) -> RoleProcess | None:
    """Who holds the role of an SQLite database; None if nobody does. Nothing is locked by asking."""
    path = sqlite_path(engine.url)
    lock = path.with_name(f"{path.name}.{role}.lock")
    try:
        pid, since = int(lock.read_text()), datetime.fromtimestamp(lock.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # it runs, as another user
    except OSError:
        return None
    return RoleProcess(pid, since)


def role_holder(engine: Engine, role: str) -> str:
    """Who holds the role, in words; "" if nobody does. Nothing is locked by asking."""
    if engine.dialect.name == "sqlite":
        holder = role_process(engine, role)
        return f"process {holder.pid}" if holder else ""
    number = role_number(role)
    with refusals_told(engine.url), engine.connect() as connection:
        held = connection.exec_driver_sql(
            "SELECT COALESCE(host(client_addr), 'this machine') FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s AND objid = %s "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (number >> 32, number & 0xFFFFFFFF),
        ).scalar()
    return f"a process on {held}" if held else ""


def lock_grouping(connection: Connection) -> None:
    """Waits until no other transaction writes events or changes, and lets none until this one ends.

    On SQLite every transaction that writes is alone; on PostgreSQL this is an advisory lock. A transaction takes
    it before it locks rows: two that do so in another order would wait for one another.
    """
    _lock(connection, b"events")


def _lock(connection: Connection, name: bytes) -> None:
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(name, "big")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({number})")


CHANNEL = "v1_change"
"""Where PostgreSQL tells listeners that there are new changes."""


def wake_listeners(connection: Connection) -> None:
    """Wakes what listens on CHANNEL when this transaction is committed; SQLite has no such thing.

    Without a payload, so that all changes of one transaction make one notification.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def tidy(engine: Engine) -> None:
    """Statistics for the query planner brought up to date, and SQLite's write-ahead log folded in."""
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()  # outside any transaction: a checkpoint can't run in one
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA optimize")
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.close()
        except sqlite3.Error as error:
            raise _refusal(engine.url, error) from None
        finally:
            connection.close()
