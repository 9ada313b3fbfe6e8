"""Everything that is kept, in a SQL database: tables, migrations, and the statements that read and write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from aggregator.store.dialect import StoreError, open_engine, refusals_told
from aggregator.store.schema import upgrade

__all__ = ["Store", "StoreError", "open_store"]


class Store:
    """A database at the newest schema. Rooms above ask for a transaction and hand it to the statements."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises StoreError if the database fails."""
        with refusals_told(self.engine.url), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: all of it is kept, or nothing. Raises StoreError if the database fails."""
        with (
            refusals_told(self.engine.url),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Gives back all connections."""
        self.engine.dispose()


def open_store(url: str) -> Store:
    """The store at `url`, created or brought to the newest schema. Raises StoreError if it can't be used."""
    engine = open_engine(url)
    upgrade(engine)
    return Store(engine)
