"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.cases", "tests.program", "tests.stage")

# ruff: noqa: E402 (after the line that shall count for what they import)
from aggregator.store import Store, open_store
from tests.databases import Databases, Server, kinds_of, running_server, sqlite_url
from tests.loopback import LoopbackServer
from tests.program import Program

# A promise is about what is computed, never about how fast this machine happens to be.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture
def loopback() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that keeps something runs on both databases, unless it is marked."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    is_its_own = any("kind" in (names.split(",") if isinstance(names, str) else names) for names in named)
    if "kind" in metafunc.fixturenames and not is_its_own:
        metafunc.parametrize("kind", kinds_of(metafunc.definition), indirect=True, scope="module")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server, started for these tests."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database at the newest schema: making one takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "news.db"
    open_store(sqlite_url(file)).close()
    return file


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database that is used: each in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def shared_databases(
    kind: str, empty_file: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """Makes databases for all tests of one file."""
    server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
    with closing(Databases(server, empty_file, tmp_path_factory.mktemp("databases"))) as made:
        yield made


@pytest.fixture
def databases(
    kind: str, empty_file: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Databases]:
    """Makes databases for one test."""
    server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
    with closing(Databases(server, empty_file, tmp_path)) as made:
        yield made


@pytest.fixture
def database(databases: Databases, tmp_path: Path) -> str:
    """The URL of an empty database; on SQLite its file is news.db in the folder of the test."""
    return databases.new(tmp_path / "news.db")


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(database)
    yield opened
    opened.close()


@pytest.fixture
def program(tmp_path: Path, database: str) -> Program:
    """The program in an empty folder, with an empty database."""
    return Program(tmp_path, database)


@pytest.fixture(scope="module")
def server(postgresql: Server) -> Iterator[str]:
    """The URL of a database on that server, for the tests of one file."""
    url = postgresql.bare()
    yield url
    postgresql.drop(url)


@pytest.fixture
def new_database(postgresql: Server) -> Iterator[str]:
    """The URL of an empty database on that server."""
    url = postgresql.bare()
    yield url
    postgresql.drop(url)
