"""A whole SQLite database moved into an empty PostgreSQL database: every row with its number, verified.

Each batch of rows is a transaction of the target together with how far it came, so a move that was cut off at any
moment goes on when it is started again. The source is locked against writers for the whole move and never written.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, Table, make_url
from sqlalchemy.exc import ArgumentError

from aggregator.store import find_store
from aggregator.store.dialect import StoreError, UnreachableError, hold_role, open_engine, sqlite_path
from aggregator.store.moving.checksums import Sum, add_source, add_target
from aggregator.store.moving.lines import (
    Lines,
    Row,
    SourceError,
    columns_of,
    key_of,
    quoted,
    read_rows,
    reading,
)
from aggregator.store.moving.target import (
    Source,
    declare,
    driver_cursor,
    make_later,
    make_ready,
    moved_tables,
    note,
    notes,
    set_numbers,
    writing,
)

BATCH_ROWS, BATCH_BYTES = 20_000, 16 << 20
"""What one transaction of the target brings: a kill costs at most this, and a batch is dearer than its commit."""

SENT_BYTES = 1 << 16

STATE = (
    "SELECT name, seq FROM sqlite_sequence ORDER BY name",
    "SELECT max(last_polled_at), max(next_poll_at), sum(failures), sum(fence) FROM feed",
    "SELECT max(last_seen_at), sum(entry_count), sum(relate), count(merged_into) FROM event",
    "SELECT count(*) FROM entry WHERE pending = 1",
)
"""What changes, with the numbers of rows, when a program polls or groups; the checksums see all the rest."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A table on both sides."""

    table: str
    source: Sum
    target: Sum

    @property
    def is_same(self) -> bool:
        """Whether it has the same rows on both sides."""
        return (self.source.rows, self.source.checksum) == (self.target.rows, self.target.checksum)


class Move:
    """A move that may go on; see open_move."""

    def __init__(self, source: sqlite3.Connection, target: Engine, rows: dict[str, int]) -> None:
        self.rows = rows
        self._source = source
        self._target = target
        self._tables = moved_tables()

    @property
    def total(self) -> int:
        """Rows of the source."""
        return sum(self.rows.values())

    def copy(self, batch: int = BATCH_ROWS) -> Iterator[int]:
        """Copies what is left, so many rows a transaction; yields how many came, first those of earlier runs."""
        there = notes(self._target, "table")
        yield sum(count for _, count in there.values())
        for table in self._tables:
            after, _ = there.get(table.name, ("", 0))
            yield from self._copy_table(table, after, batch)

    def _copy_table(self, table: Table, after: str, batch: int) -> Iterator[int]:
        rows = read_rows(self._source, table, after)
        while first := next(rows, None):
            lines = Lines(table)
            with writing(self._target) as db:
                with driver_cursor(db).copy(
                    f"COPY {quoted(table.name)} ({columns_of(table)}) FROM STDIN"
                ) as copy:
                    came, last = _send(copy, lines, islice(chain([first], rows), batch))
                note(db, "table", table.name, key_of(table, last), came)
                for column, count in lines.mended.items():
                    note(db, "mended", f"{table.name}.{column}", "", count)
            yield came

    def finish(self) -> Iterator[int]:
        """Makes indexes and foreign keys, and sets the numbers to go on with; yields 1 for each step."""
        yield from make_later(self._target)
        set_numbers(self._target, _numbers_given(self._source))

    @property
    def left(self) -> int:
        """Steps that `finish` will take."""
        return len(notes(self._target, "later"))

    @property
    def mended(self) -> Counter[str]:
        """Values by column that PostgreSQL could not keep as they are."""
        return Counter({name: count for name, (_, count) in notes(self._target, "mended").items()})

    def verify(self, compared: list[Compared]) -> Iterator[int]:
        """Reads both sides anew and adds each table to `compared`; yields how many rows were read."""
        for table in self._tables:
            both = Compared(table.name, Sum(), Sum())
            yield from add_source(both.source, self._source, table)
            with writing(self._target) as db:
                yield from add_target(both.target, driver_cursor(db), table)
            compared.append(both)

    def declare(self) -> None:
        """Lets programs use the target."""
        declare(self._target)


def _send(copy: Any, lines: Lines, rows: Iterator[Row]) -> tuple[int, Row]:
    """Sends a batch of at least one row: how many there were, and the last."""
    waiting: list[bytes] = []
    waits = sent = came = 0
    for row in rows:
        line = lines.line(row)
        waiting.append(line)
        waits += len(line)
        came += 1
        if waits > SENT_BYTES:
            copy.write(b"".join(waiting))
            sent += waits
            waiting, waits = [], 0
            if sent > BATCH_BYTES:
                break
    copy.write(b"".join(waiting))
    return came, row


@contextmanager
def open_move(source_url: str, target_url: str, *, anew: bool = False) -> Iterator[Move]:
    """A move from the one to the other that nothing disturbs until the context ends.

    `anew`: what an unfinished move left in the target is thrown away. Raises StoreError if it can't be.
    """
    path = _check_kinds(source_url, target_url)
    with ExitStack() as stack:
        source = find_store(source_url)
        stack.callback(source.close)
        for role in ("poll", "cluster"):
            if not stack.enter_context(hold_role(source.engine, role)):
                raise StoreError(
                    f"the daemon, or another `db move`, uses {path}: stop it until the move is done"
                )
        # Nobody writes while this transaction is open; it writes nothing itself.
        stack.enter_context(source.write())
        rows_of = stack.enter_context(reading(source.engine.url))
        rows = {table.name: _count(rows_of, table) for table in moved_tables()}
        stack.enter_context(_told_as_target(target_url))
        target = open_engine(target_url)
        stack.callback(target.dispose)
        if not stack.enter_context(hold_role(target, "move")):
            raise StoreError("another `db move` fills it: let it finish, or stop it")
        given = _numbers_given(rows_of)
        highest = (given.get("entry", 0), given.get("change", 0))
        make_ready(target, Source(str(path), _state(rows_of, rows), *highest), anew=anew)
        yield Move(rows_of, target, rows)


def _numbers_given(source: sqlite3.Connection) -> dict[str, int]:
    """The highest number that each table ever gave."""
    return {name.decode(): int(seq) for name, seq in source.execute(STATE[0])}


def shown(url: str) -> str:
    """A database's URL without the password."""
    return make_url(url).render_as_string(hide_password=True)


def _check_kinds(source_url: str, target_url: str) -> Path:
    """The file to move. Raises StoreError unless it is there and the target is a PostgreSQL database."""
    source, target = _parsed(source_url, "DATABASE"), _parsed(target_url, "the target")
    if source.get_backend_name() != "sqlite":
        raise StoreError(
            f"DATABASE={shown(source_url)}: `db move` moves an SQLite file; a PostgreSQL database is moved by "
            "PostgreSQL's own pg_dump and pg_restore"
        )
    path = sqlite_path(source)
    if not path.is_file():
        raise StoreError(f"DATABASE={source_url}: {path} is not there: name the file that is to be moved")
    if target.get_backend_name() == "sqlite":
        is_same = sqlite_path(target) == path
        raise StoreError(
            f"{target_url}: " + ("is the database that is to be moved" if is_same else "is an SQLite file, too")
            + ": name a PostgreSQL database, like postgresql://user:password@host:5432/name"
        )  # fmt: skip
    return path


def _parsed(url: str, what: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # The URL itself is not repeated: it may hold a password, and nobody can tell where.
        raise StoreError(
            f"{what} can't be read as a URL: write it like postgresql://user:password@host:5432/name, "
            "with % escapes for special characters"
        ) from None


@contextmanager
def _told_as_target(url: str) -> Iterator[None]:
    """Says of refusals that they are the target's: they come as if it were the setting DATABASE, or unplaced."""
    try:
        yield
    except SourceError:
        raise
    except StoreError as error:
        said = str(error).removeprefix("DATABASE=")
        told = said if said.startswith("postgresql") else f"{shown(url)}: {said}"
        raise (UnreachableError if isinstance(error, UnreachableError) else StoreError)(told) from None


def _count(db: sqlite3.Connection, table: Table) -> int:
    return int(db.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()[0])  # noqa: S608 (our own names)


def _state(db: sqlite3.Connection, rows: dict[str, int]) -> str:
    seen = [sorted(rows.items()), *(db.execute(query).fetchall() for query in STATE)]
    return hashlib.sha256(repr(seen).encode()).hexdigest()
