"""A database moves from SQLite to PostgreSQL: nothing is lost, doubled or renumbered, whatever interrupts it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from aggregator.demo import DemoServer, sample_feeds
from aggregator.store import open_store
from aggregator.store.dialect import UtcDateTime, hold_role, open_engine
from aggregator.store.tables import Row
from tests.databases import change, query
from tests.moving import fill, seen
from tests.program import command, environment, run, write_jsonl
from tests.test_corrections import BASE

pytestmark = pytest.mark.postgresql("a move ends on PostgreSQL")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with rows in every table, the highest numbers of some of them gone again."""
    folder = tmp_path_factory.mktemp("filled")
    with DemoServer(sample_feeds(datetime.now(UTC))) as feeds:
        (folder / "feeds.opml").write_bytes(feeds.opml())
        run(folder, "poll")
    store = open_store(f"sqlite:///{folder / 'news.db'}")
    fill(store)
    store.close()
    return folder / "news.db"


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    shutil.copy(filled, tmp_path / "news.db")
    return tmp_path


@pytest.fixture
def target(new_database: str) -> Iterator[Engine]:
    engine = open_engine(new_database)
    yield engine
    engine.dispose()


def _source(folder: Path) -> str:
    return f"sqlite:///{folder / 'news.db'}"


def _url(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _ask(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    with engine.begin() as db:
        result = db.execute(text(sql))
        return [tuple(row) for row in result] if result.returns_rows else []


TIME = "____-__-__ __:__:__.______"
"""How every time is written on SQLite, as a pattern of LIKE: readers and statements compare them as texts."""


def test_every_time_in_a_file_is_written_in_one_form(filled: Path) -> None:
    for table in Row.metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, UtcDateTime):
                other = (
                    f'SELECT "{column.name}" FROM "{table.name}" WHERE "{column.name}" NOT LIKE \'{TIME}\''
                )
                assert query(filled, other) == [], (table.name, column.name)


def test_every_row_of_every_table_is_there_and_the_views_show_the_same(
    folder: Path, new_database: str
) -> None:
    before = (folder / "news.db").read_bytes()
    source = seen(_source(folder))
    assert [name for name, rows in source.items() if not rows] == [], "every table and view has rows"
    said = json.loads(run(folder, "db", "move", new_database, "--json").stdout)
    assert said["verified"]
    assert said["mended"] == {}
    assert {table["table"]: table["rows_moved"] for table in said["tables"]} == {
        name: len(source[name]) for name in Row.metadata.tables
    }
    moved = seen(new_database)
    for name, rows in source.items():
        assert moved[name] == rows, name
    assert (folder / "news.db").read_bytes() == before


def test_the_schema_is_the_one_that_the_migrations_make(
    folder: Path, target: Engine, request: pytest.FixtureRequest
) -> None:
    shown = (
        "SELECT regexp_replace(indexdef, 'INDEX [^ ]+', '') FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        (
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid), convalidated FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ),
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
        (
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i' "
            "ORDER BY 1"
        ),
        "SELECT version_num FROM alembic_version",
    )
    run(folder, "db", "move", _url(target))
    plain = open_store(request.getfixturevalue("server"))
    for sql in shown:
        assert _ask(target, sql) == _ask(plain.engine, sql)
    plain.close()


def test_the_program_goes_on_there_with_numbers_that_were_never_given(
    folder: Path, new_database: str
) -> None:
    settings = {"DATABASE": new_database}
    highest = dict(query(folder / "news.db", "SELECT name, seq FROM sqlite_sequence"))
    assert highest["change"] == 7000, "a cursor that was given and is gone"
    run(folder, "db", "move", new_database)
    with DemoServer(sample_feeds(datetime.now(UTC))) as feeds:
        (folder / "feeds.opml").write_bytes(feeds.opml())
        run(folder, "poll", settings=settings)
    run(folder, "import", write_jsonl(folder / "new.jsonl", BASE), settings=settings)
    assert "Harbury" in run(folder, "events", "Harbury", settings=settings).stdout
    there = seen(new_database)
    assert {row[0] for row in there["change"] if row[0] > 7000} >= {7001, 7002, 7003}
    new = [row[0] for row in there["entry"] if row[0] > highest["entry"]]
    assert len(new) >= len(BASE)
    with closing(sqlite3.connect(folder / "news.db")) as db:
        old = {row[0] for row in db.execute("SELECT id FROM entry")}
    assert {row[0] for row in there["entry"]} == old | set(new)


def test_what_only_sqlite_can_keep_is_mended_and_told(folder: Path, new_database: str) -> None:
    with closing(sqlite3.connect(folder / "news.db")) as db:
        db.execute("UPDATE entry SET author = 'Ann' || char(0) || 'Bo' WHERE id = 1")
        db.execute("UPDATE entry SET author = CAST(x'41ff42' AS TEXT) WHERE id = 2")
        db.execute("UPDATE feed SET ttl = 9999999999 WHERE id = 1")
        db.execute("UPDATE entry SET first_seen_at = '2026-11-23T14:00:00+02:00' WHERE id = 1")
        db.commit()
    said = run(folder, "db", "move", new_database).stdout
    assert "entry.author: PostgreSQL can't keep 2 values" in said
    assert "feed.ttl: PostgreSQL can't keep 1 values" in said
    store = open_store(new_database)
    assert _ask(store.engine, "SELECT author, first_seen_at FROM entry WHERE id <= 2 ORDER BY id")[0] == (
        "Ann\ufffdBo",
        datetime(2026, 11, 23, 12, tzinfo=UTC),
    )
    assert _ask(store.engine, "SELECT author FROM entry WHERE id = 2") == [("A\ufffdB",)]
    assert _ask(store.engine, "SELECT ttl FROM feed WHERE id = 1") == [(2**31 - 1,)]
    store.close()


def test_a_value_of_a_wrong_type_is_named(folder: Path, new_database: str) -> None:
    with closing(sqlite3.connect(folder / "news.db")) as db:
        db.execute("UPDATE entry SET published_at = 'yesterday' WHERE id = 2")
        db.commit()
    said = run(folder, "db", "move", new_database, status=1).stderr
    assert "entry.published_at of the row [2] holds" in said
    assert said.count("\n") == 1
    with closing(sqlite3.connect(folder / "news.db")) as db:
        db.execute("UPDATE entry SET published_at = first_seen_at WHERE id = 2")
        db.commit()
    assert "same on both sides" in run(folder, "db", "move", new_database).stdout


def test_rows_that_point_nowhere_are_named(folder: Path, new_database: str) -> None:
    stray = "INSERT INTO entry_version (entry_id, replaced_at) VALUES (999999, '2026-01-01 00:00:00.000000')"
    change(_source(folder), "PRAGMA foreign_keys=OFF", stray)
    said = _refused(folder, new_database)
    assert "entry_version: Key (entry_id)=(999999) is not present" in said
    change(_source(folder), "DELETE FROM entry_version WHERE entry_id = 999999")
    assert "same on both sides" in run(folder, "db", "move", new_database, "--restart").stdout


def _refused(folder: Path, target: str, **settings: str) -> str:
    said = run(folder, "db", "move", target, status=1, settings=settings).stderr
    assert said.startswith("aggregator: ")
    assert said.count("\n") == 1
    return said


def test_a_target_with_anything_else_in_it_is_left_alone(folder: Path, target: Engine) -> None:
    _ask(target, "CREATE TABLE invoice (id int)")
    assert "tables of another program (invoice)" in _refused(folder, _url(target))
    assert _ask(target, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("invoice",)]


def test_a_target_with_news_in_it_is_left_alone(folder: Path, target: Engine) -> None:
    run(folder, "import", write_jsonl(folder / "a.jsonl", BASE[:1]), settings={"DATABASE": _url(target)})
    assert "it is not empty" in _refused(folder, _url(target))
    run(folder, "db", "check", settings={"DATABASE": _url(target)})


def test_a_target_that_only_has_the_schema_is_filled(folder: Path, new_database: str) -> None:
    run(folder, "db", "upgrade", settings={"DATABASE": new_database})
    assert "same on both sides" in run(folder, "db", "move", new_database).stdout


def test_a_target_of_a_newer_version_is_left_alone(folder: Path, target: Engine) -> None:
    open_store(_url(target)).close()
    _ask(target, "UPDATE alembic_version SET version_num = '9999'")
    assert "has schema 9999" in _refused(folder, _url(target))


def test_while_a_daemon_polls_or_groups_nothing_is_moved(folder: Path, target: Engine) -> None:
    for role in ("poll", "cluster"):
        source = open_engine(_source(folder))
        with hold_role(source, role):
            assert "stop it until the move is done" in _refused(folder, _url(target))
        source.dispose()
    assert _ask(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_targets_that_can_not_be_are_refused_in_one_sentence(folder: Path, new_database: str) -> None:
    secret = "postgresql://me:hidden@127.0.0.1:1/news"
    unreachable = _refused(folder, secret)
    assert "postgresql://me:***@127.0.0.1:1/news" in unreachable
    assert "DATABASE" not in unreachable
    assert "check that the server runs" in unreachable
    assert "is the database that is to be moved" in _refused(folder, _source(folder))
    assert "is an SQLite file, too" in _refused(folder, f"sqlite:///{folder / 'other.db'}")
    assert "can't be read as a URL" in _refused(folder, "news")
    assert "pg_dump" in _refused(folder, new_database, DATABASE=new_database)
    assert "is not there" in _refused(folder, new_database, DATABASE=f"sqlite:///{folder / 'none.db'}")
    assert not (folder / "none.db").exists()


def test_without_the_driver_it_says_what_to_install(folder: Path, new_database: str) -> None:
    (folder / "psycopg.py").write_text("raise ImportError('no psycopg')")
    done = subprocess.run(
        command("db", "move", new_database),
        cwd=folder,
        env=environment(folder) | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'psycopg[binary]'" in done.stderr
    assert done.stderr.count("\n") == 1
