"""A copy of the database while it is in use: of one moment, verified, in one file that appears when it is whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Engine

from aggregator.store.dialect import StoreError, sqlite_path

PRIVATE = 0o600
"""Mode of a dump: feeds' addresses may hold passwords, and PostgreSQL keeps its own files so."""

COUNTED = ("feed", "entry", "event", "signature", "link", "correction", "change", "teaser", "pruned")
"""Tables whose rows are counted on both sides."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: its bytes, and the rows of its tables (none where PostgreSQL's tool made it)."""

    path: Path
    size: int
    rows: dict[str, int]


def back_up(engine: Engine, target: Path) -> Backup:
    """Copies the database to a new file. Raises StoreError if that can't be, and leaves no file then.

    The copy can be read by no more people than the database's file.
    """
    if target.exists():
        raise StoreError(f"{target}: is there already: name a new file, or remove that one")
    if not target.parent.is_dir():
        raise StoreError(f"{target}: the folder {target.parent} does not exist: create it or choose another")
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    is_sqlite = engine.dialect.name == "sqlite"
    mode = sqlite_path(engine.url).stat().st_mode & 0o666 if is_sqlite else PRIVATE
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        rows = _copy(engine, part) if is_sqlite else _dump(engine.url, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return Backup(target, target.stat().st_size, rows)


def _copy(engine: Engine, part: Path) -> dict[str, int]:
    try:
        with (
            closing(sqlite3.connect(sqlite_path(engine.url), isolation_level=None)) as source,
            closing(sqlite3.connect(part, isolation_level=None)) as copy,
        ):
            # One read transaction for all: in WAL mode writers go on meanwhile, and the copy is of its beginning.
            source.execute("BEGIN")
            rows = _counts(source)
            source.backup(copy)
            source.execute("COMMIT")
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            _verify(copy, rows, part)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{part}: the backup failed ({error}): check the disk and its free space") from None
    return rows


def _verify(copy: sqlite3.Connection, rows: dict[str, int], part: Path) -> None:
    (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"{part}: the copy is damaged ({verdict}): run `db check`, and check the disk")
    if (found := _counts(copy)) != rows:
        raise StoreError(f"{part}: the copy has other rows ({found}) than the database ({rows}): try again")


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    return {
        name: int(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608 (our own names)
        for name in COUNTED
    }


def _dump(url: URL, part: Path) -> dict[str, int]:
    tools = [shutil.which(name) for name in ("pg_dump", "pg_restore")]
    if not all(tools):
        raise StoreError(
            "the backup of a PostgreSQL database is made by its own pg_dump, which is not on PATH: install "
            "PostgreSQL's client programs (on Debian postgresql-client), or run pg_dump on the server"
        )
    dump, restore = map(str, tools)
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    _run([dump, "--format=custom", f"--file={part}", f"--dbname={plain}"], environment)
    _run([restore, "--list", str(part)], environment)
    return {}


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise StoreError(f"{Path(command[0]).name} failed: {said[0]}")
