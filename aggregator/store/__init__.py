"""Everything that is kept, in a SQL database: tables, migrations, and the statements that read and write them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from aggregator.store.analysing import analyse_grown
from aggregator.store.dialect import (
    Commits,
    StoreError,
    UnreachableError,
    open_engine,
    refusals_told,
    sqlite_path,
    tidy,
)
from aggregator.store.partitions import TablesBusyError, written
from aggregator.store.room import CHECKED_EVERY, FEW, keep_room
from aggregator.store.schema import has_schema, upgrade

__all__ = [
    "NoDatabaseError",
    "Store",
    "StoreError",
    "UnreachableError",
    "find_store",
    "open_store",
    "reach_store",
]


class NoDatabaseError(StoreError):
    """There is no database of this program at that place."""


class Store:
    """A database at the newest schema. Rooms above ask for a transaction and hand it to the statements."""

    def __init__(self, engine: Engine, check: Callable[[Connection], None] = lambda _db: None) -> None:
        self.engine = engine
        self._check = check
        self.commits = Commits(engine)
        # SQLite has one writer at a time, and lets the others sleep and try again: threads of one process need not.
        is_sqlite = engine.dialect.name == "sqlite"
        self._turn = threading.Lock() if is_sqlite else nullcontext()
        # SQLite's readers see one state anyway; PostgreSQL would show each statement the state of its own moment.
        self._one_state: dict[str, Any] = {} if is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._written = 0

    @property
    def address(self) -> str:
        """How another process of any folder reaches the same database: with its password."""
        url = self.engine.url
        if url.database and url.get_backend_name() == "sqlite":
            url = url.set(database=str(sqlite_path(url)))
        return url.render_as_string(hide_password=False)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises StoreError if the database fails."""
        with (
            refusals_told(self.engine.url),
            self.engine.connect().execution_options(**self._one_state) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: all of it is kept, or nothing. Raises StoreError if the database fails."""
        with (
            self._turn,
            refusals_told(self.engine.url),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            self._check(connection)
            yield connection
            self._written += written(connection)
        if self._written >= CHECKED_EVERY:
            self._written = 0
            _keep_room(self.engine)

    def guarded(self, check: Callable[[Connection], None]) -> Store:
        """The same database, whose writing transactions begin with the check; it forbids one by an exception."""
        other = Store(self.engine, check)
        # One line for all threads: SQLite lets who comes second sleep, and the busier one would always be first.
        other._turn = self._turn
        return other

    def tidy(self) -> None:
        """See dialect.tidy and analysing; on SQLite it waits its turn as writers do. Raises StoreError."""
        with self._turn:
            tidy(self.engine)
        analyse_grown(self.engine)

    def close(self) -> None:
        """Gives back all connections."""
        self.commits.close()
        self.engine.dispose()


def open_store(url: str) -> Store:
    """The store at `url`, created or brought to the newest schema. Raises StoreError if it can't be used."""
    return _ready(open_engine(url), may_create=True)


def find_store(url: str) -> Store:
    """The same, if it is there; for whoever brings nothing. Raises NoDatabaseError, and makes no file, if not."""
    return _ready(open_engine(url), may_create=False)


def _ready(engine: Engine, *, may_create: bool) -> Store:
    try:
        if not may_create:
            _require(engine)
        upgrade(engine)
        _keep_room(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


def _require(engine: Engine) -> None:
    if has_schema(engine):
        return
    url = engine.url
    place = url.set(drivername="postgresql").render_as_string(hide_password=True)
    if engine.dialect.name == "sqlite":
        place = str(sqlite_path(url))
    raise NoDatabaseError(
        f"there is no database at {place}: `poll` or `serve` makes one; or name the right one with --database"
    )


def reach_store(url: str) -> Store:
    """The store at `url`, which another process has brought to the newest schema. Raises StoreError without one."""
    engine = open_engine(url)
    if engine.dialect.name == "sqlite" and not sqlite_path(engine.url).exists():
        raise StoreError(f"there is no database at {sqlite_path(engine.url)}: other machines need PostgreSQL")
    return Store(engine)


def _keep_room(engine: Engine) -> None:
    """See room.keep_room; it stops nobody's work, since rows without a partition are kept in the rest.

    The daemon's timer tells if there is no room.
    """
    with suppress(TablesBusyError):
        keep_room(engine, tries=FEW)
