"""The room a database takes on its disk: how much, how much of it is empty, and giving that back."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from aggregator.store import Store
from aggregator.store.dialect import StoreError, refusals_told, sqlite_path

PAGES = 500
"""Pages given back in one step (2 MB): some 10 ms."""

MUCH_EMPTY = 0.2
"""The part of a file that may be empty: what goes in a day comes again the next day, and needs the room."""

INCREMENTAL = 2


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes that the database takes, and those of them that are empty; `can_shrink`: in steps, while it is used."""

    total: int
    empty: int
    can_shrink: bool


def space(db: Connection) -> Space:
    """The room that this database takes; PostgreSQL says nothing of what is empty, and reuses it by itself."""
    if db.dialect.name != "sqlite":
        size = db.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        return Space(int(size), 0, can_shrink=True)

    def pragma(name: str) -> int:
        return int(db.exec_driver_sql(f"PRAGMA {name}").scalar_one())

    size = pragma("page_size")
    return Space(
        pragma("page_count") * size, pragma("freelist_count") * size, pragma("auto_vacuum") == INCREMENTAL
    )


def give_back_pages(store: Store) -> bool:
    """Whether a step's worth of an SQLite file's empty end was given back to the disk; not if little is empty."""
    if store.engine.dialect.name != "sqlite":
        return False
    with store.read() as db:
        now = space(db)
    if not now.can_shrink or now.empty <= now.total * MUCH_EMPTY:
        return False
    connection = store.engine.raw_connection()
    try:
        # A script is run to its end; of one statement the driver makes the first step, which is one page.
        connection.driver_connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")  # type: ignore[union-attr]
    except sqlite3.OperationalError:
        return False  # somebody else writes: there is another day
    finally:
        connection.close()
    return True


def rewrite(engine: Engine) -> None:
    """Writes an SQLite file anew without what is empty; from then on it shrinks in steps while it is used.

    Nothing else can write meanwhile, and as much room again is needed on the disk. Raises StoreError.
    """
    path = sqlite_path(engine.url)
    _require_room(path)
    with refusals_told(engine.url):
        connection = engine.raw_connection()  # VACUUM runs outside of any transaction
        try:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()
        except sqlite3.Error as error:
            raise StoreError(
                f"{path}: can't be rewritten ({error}): stop the programs that use it, free some space"
            ) from None
        finally:
            connection.close()


def _require_room(path: Path) -> None:
    needed, there = path.stat().st_size, shutil.disk_usage(path.parent).free
    if there < needed * 1.1:
        raise StoreError(f"{path}: rewriting it needs {needed:,} bytes, {there:,} are free: make room first")
