"""Databases for tests: one of each kind, so that whatever is kept is tried on both."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count as numbers
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from aggregator.store import open_store
from aggregator.store.dialect import open_engine
from tests.servers import started_server

KINDS = ("sqlite", "postgresql")
"""A test that keeps something runs on each, unless a mark of one of these names says why the other is no matter."""


class Server:
    """A PostgreSQL server that makes databases by copying one, which takes a fiftieth of making the tables anew."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._numbers = numbers(1)
        self._template = ""
        self._admin: Engine = create_engine(
            make_url(uri).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=True,
        )
        # No test takes the power away; what a killed server had committed, the operating system has all the same.
        for setting in ("fsync", "full_page_writes"):
            self._say(f"ALTER SYSTEM SET {setting} = off")
        self._say("SELECT pg_reload_conf()")

    def bare(self) -> str:
        """The URL of a database without any table."""
        return self._created("template1")

    def copy(self) -> str:
        """The URL of a database at the newest schema."""
        if not self._template:
            url = self.bare()
            open_store(url).close()
            self._template = str(make_url(url).database)
        return self._created(self._template)

    def drop(self, url: str) -> None:
        """Takes a database away, whoever is connected: of all that a suite makes, each has 8 MB."""
        self._say(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def close(self) -> None:
        """Gives back the connections."""
        self._admin.dispose()

    def _created(self, template: str) -> str:
        name = f"news_{next(self._numbers)}"
        self._say(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return make_url(self.uri).set(database=name).render_as_string(hide_password=False)

    def _say(self, sql: str) -> None:
        with self._admin.connect() as db:
            db.execute(text(sql))


@contextmanager
def running_server() -> Iterator[Server]:
    """A PostgreSQL server, started for this."""
    with started_server() as started, closing(Server(str(started.get_uri()))) as server:
        yield server


class Databases:
    """Makes databases of one kind, and takes them away in the end. `server` is None for SQLite."""

    def __init__(self, server: Server | None, template: Path, folder: Path) -> None:
        self._server = server
        self._template = template
        self._folder = folder
        self._made: list[str] = []

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return KINDS[self._server is not None]

    def new(self, file: Path | None = None) -> str:
        """The URL of an empty database at the newest schema; on SQLite in `file`, if that is given."""
        if self._server is not None:
            return self._remembered(self._server.copy())
        url = self.bare(file)
        shutil.copyfile(self._template, sqlite_file(url))
        return url

    def bare(self, file: Path | None = None) -> str:
        """As `new`, but no program has opened it yet."""
        if self._server is not None:
            return self._remembered(self._server.bare())
        return sqlite_url(file or Path(tempfile.mkdtemp(dir=self._folder)) / "news.db")

    def close(self) -> None:
        """Takes them away; files go with their folder."""
        for url in self._made:
            if self._server is not None:
                self._server.drop(url)

    def _remembered(self, url: str) -> str:
        self._made.append(url)
        return url


def kinds_of(test: pytest.Item | pytest.Function) -> tuple[str, ...]:
    """The kinds of database that a test runs on."""
    return tuple(kind for kind in KINDS if test.get_closest_marker(kind)) or KINDS


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite database."""
    return f"sqlite:///{file}"


def sqlite_file(url: str) -> Path:
    """The file of an SQLite database."""
    return Path(make_url(url).database or "")


def _connected(database: str | Path) -> Any:
    """A connection of the database's own driver; a path is an SQLite file."""
    if isinstance(database, Path):
        return sqlite3.connect(database)
    if database.startswith("sqlite:"):
        return sqlite3.connect(sqlite_file(database))
    return psycopg.connect(database)


def query(database: str | Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of one SELECT, read as other programs read them."""
    with closing(_connected(database)) as db:
        return list(db.execute(sql).fetchall())


def change(database: str | Path, *statements: str) -> None:
    """Changes a database from outside the program, in one transaction."""
    with closing(_connected(database)) as db:
        for sql in statements:
            db.execute(sql)
        db.commit()


def count(database: str | Path, table: str) -> int:
    """The number of rows in a table or view."""
    return int(query(database, f"SELECT count(*) FROM {table}")[0][0])


def columns_of(database: str, table: str) -> list[str]:
    """The names of a table's or view's columns, in order."""
    engine = open_engine(database)
    try:
        return [str(column["name"]) for column in inspect(engine).get_columns(table)]
    finally:
        engine.dispose()
