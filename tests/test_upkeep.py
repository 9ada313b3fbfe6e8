"""The database looked after: backups while it is written, faults found and mended, room given back."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from aggregator.pipeline.checking import find_faults, repair
from aggregator.store import StoreError, open_store
from aggregator.store.backup import back_up
from aggregator.store.checking import Check
from aggregator.store.dialect import hold_role, open_engine
from aggregator.store.space import give_back_pages, space
from tests.databases import Databases, change, columns_of, query, sqlite_file
from tests.program import Program, run, write_jsonl
from tests.test_corrections import BASE, News

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def news(database: str, tmp_path: Path) -> News:
    found = News(tmp_path, database)
    found.bring(BASE)
    return found


A_FILE = pytest.mark.sqlite("a backup of PostgreSQL is made by its own tool")


@pytest.fixture
def grouped(program: Program) -> Program:
    """The program with some events."""
    program.run("import", write_jsonl(program.folder / "base.jsonl", BASE))
    return program


@A_FILE
def test_a_backup_takes_the_place_of_the_database(grouped: Program) -> None:
    before = grouped.run("events", "--json").stdout
    made = json.loads(grouped.run("db", "backup", "copy.db", "--json").stdout)
    assert made["rows"]["entry"] == len(BASE)
    for name in grouped.folder.glob("news.db*"):
        name.unlink()
    shutil.copy(grouped.folder / "copy.db", grouped.folder / "news.db")
    assert grouped.run("events", "--json").stdout == before
    assert "Nothing is wrong" in grouped.run("db", "check").stdout


@A_FILE
def test_a_backup_is_of_one_moment_while_others_write(grouped: Program) -> None:
    store = open_store(grouped.database)
    stop = threading.Event()
    written = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with store.write() as db:
                for _ in range(2):
                    db.execute(text("INSERT INTO change (event_id, kind, at) VALUES (1, 'updated', '2026')"))
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(30)
    try:
        made = [back_up(store.engine, grouped.folder / f"copy{number}.db") for number in range(5)]
    finally:
        stop.set()
        writer.join()
        store.close()
    for one in made:
        ((pairs,),) = query(one.path, "SELECT count(*) FROM change WHERE at = '2026'")
        assert pairs % 2 == 0, "half of a transaction"
    assert not list(grouped.folder.glob("*.part"))


@A_FILE
def test_a_backup_replaces_no_file_and_needs_a_folder(grouped: Program) -> None:
    (grouped.folder / "kept.db").write_bytes(b"mine")
    assert "is there already" in grouped.run("db", "backup", "kept.db", status=1).stderr
    assert (grouped.folder / "kept.db").read_bytes() == b"mine"
    assert "does not exist" in grouped.run("db", "backup", "no/copy.db", status=1).stderr


@A_FILE
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_backup_is_as_private_as_the_database(program: Program, mode: int) -> None:
    (program.folder / "news.db").chmod(mode)
    program.run("db", "backup", "copy.db")
    assert (program.folder / "copy.db").stat().st_mode & 0o777 == mode


@pytest.mark.postgresql("SQLite needs no tool")
def test_without_its_tool_a_backup_of_postgresql_says_what_to_install(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = open_engine(database)
    with pytest.raises(StoreError, match="postgresql-client"):
        back_up(engine, tmp_path / "copy")
    engine.dispose()


BREAKING = {
    Check.UNSIGNED: "DELETE FROM signature WHERE entry_id = 1",
    Check.OTHER_SCHEME: "UPDATE signature SET scheme = 1 WHERE entry_id = 2",
    Check.DAYS: "UPDATE signature SET at = '2020-01-01 00:00:00.000000' WHERE entry_id = 3",
    Check.UNGROUPED: "UPDATE entry SET event_id = NULL WHERE id = 4",
    Check.COUNTS: "UPDATE event SET entry_count = 9 WHERE id = 1",
    Check.RECORDS: "UPDATE event SET canonical_entry_id = NULL WHERE id = 1",
    Check.EMPTY: "INSERT INTO event (id, first_seen_at, last_seen_at, entry_count, source_count) "
    "VALUES (900, '2020-01-01 00:00:00.000000', '2020-01-01 00:00:00.000000', 1, 1)",
}


def test_faults_are_found_and_mended(news: News) -> None:
    before = sorted(news.rows("SELECT guid FROM v1_entry"))
    store = open_store(news.settings["DATABASE"])
    for number, (check, breaking) in enumerate(BREAKING.items(), 1):
        with store.write() as db:
            db.execute(text(breaking))
        assert len([one for one, faults in find_faults(store).items() if faults]) >= number
        assert find_faults(store)[check]
    store.close()
    assert run(news.folder, "db", "check", status=3, settings=news.settings).stdout.count("mends it") >= 7
    mended = run(news.folder, "db", "check", "--repair", "--json", settings=news.settings)
    assert json.loads(mended.stdout)["faults"] == []
    assert sorted(news.rows("SELECT guid FROM v1_entry")) == before
    assert news.rows("SELECT count(*) FROM v1_entry WHERE event_id IS NULL") == [(0,)]


def test_an_empty_event_goes_with_those_merged_into_it_and_is_told(news: News) -> None:
    at = "'2020-01-01 00:00:00.000000'"
    store = open_store(news.settings["DATABASE"])
    with store.write() as db:
        for number, heir in ((900, "NULL"), (901, "900")):
            db.execute(text("INSERT INTO event (id, first_seen_at, last_seen_at, entry_count, source_count, "
                            f"merged_into) VALUES ({number}, {at}, {at}, 1, 1, {heir})"))  # fmt: skip
    repair(store, (fault for faults in find_faults(store).values() for fault in faults), NOON)
    assert not any(find_faults(store).values())
    store.close()
    assert news.rows("SELECT id FROM v1_event WHERE id >= 900") == []
    assert news.rows("SELECT event_id, kind FROM v1_change WHERE event_id >= 900") == [(900, "removed")]


OUT_OF_STEP = {
    "sqlite": (
        "INSERT INTO entry_words (entry_words, rowid, title, text) "  # noqa: ISC004 (one statement)
        "SELECT 'delete', id, title, text FROM entry WHERE id = 1",
    ),
    "postgresql": (
        "DELETE FROM entry_words WHERE entry_id = 1",
        "UPDATE entry_words SET words = '' WHERE entry_id = 2",
        "INSERT INTO entry_words VALUES (999999, '')",
    ),
}


def test_an_index_of_words_out_of_step_is_found_and_mended(grouped: Program) -> None:
    change(grouped.database, *OUT_OF_STEP[make_url(grouped.database).get_backend_name()])
    assert "index of words" in grouped.run("db", "check", status=3).stdout
    grouped.run("db", "check", "--repair")
    assert "Nothing is wrong" in grouped.run("db", "check").stdout


@pytest.mark.postgresql("SQLite refuses it: there an entry's event is a foreign key")
def test_an_entry_of_an_event_that_is_not_there_is_found_and_grouped_anew(grouped: Program) -> None:
    event, number = grouped.query(
        "SELECT event_id, max(entry_id) FROM v1_event_entry WHERE relation <> 'canonical' GROUP BY event_id"
    )[0]
    change(grouped.database, f"UPDATE entry SET event_id = 999999 WHERE id = {number}")
    said = grouped.run("db", "check", status=3).stdout
    assert Check.ORPHANS in said
    assert f"id {number}" in said
    grouped.run("db", "check", "--repair")
    assert "Nothing is wrong" in grouped.run("db", "check").stdout
    assert grouped.query(f"SELECT event_id FROM v1_event_entry WHERE entry_id = {number}") == [(event,)]


@pytest.mark.postgresql("SQLite refuses it: there the ends of a pair are foreign keys")
def test_pairs_of_entries_that_are_not_there_are_found_and_removed(grouped: Program) -> None:
    kept = grouped.query("SELECT a, b FROM link ORDER BY a, b")
    for a, b in ((1, 999999), (999998, 999999)):
        change(grouped.database, f"INSERT INTO link VALUES ({a}, {b}, 0.5, false)")
    assert Check.PAIRS in grouped.run("db", "check", status=3).stdout
    grouped.run("db", "check", "--repair")
    assert "Nothing is wrong" in grouped.run("db", "check").stdout
    assert grouped.query("SELECT a, b FROM link ORDER BY a, b") == kept


@pytest.mark.postgresql("SQLite refuses it: there they are foreign keys")
def test_decisions_and_teasers_of_entries_that_are_not_there_are_found_and_mended(grouped: Program) -> None:
    decided = grouped.query("SELECT entry_id FROM decision ORDER BY entry_id")
    shown = grouped.query("SELECT event_id, position, text FROM teaser ORDER BY event_id, position")
    columns = "at, among, seen, rule, mean, size, threshold, model, features, compared, regroup"
    change(
        grouped.database,
        f"INSERT INTO decision (entry_id, {columns}) SELECT 999999, {columns} FROM decision LIMIT 1",
    )
    change(
        grouped.database, "UPDATE teaser SET entry_id = 999999 WHERE position = 0 AND entry_id IS NOT NULL"
    )
    said = grouped.run("db", "check", status=3).stdout
    assert Check.DECISIONS in said
    assert Check.TEASERS in said
    grouped.run("db", "check", "--repair")
    assert "Nothing is wrong" in grouped.run("db", "check").stdout
    assert grouped.query("SELECT entry_id FROM decision ORDER BY entry_id") == decided
    assert grouped.query("SELECT event_id, position, text FROM teaser ORDER BY event_id, position") == shown


LOSING = {
    "one that is not known": "DELETE FROM entry_identity WHERE entry_id = 1",
    "one of no entry": f"INSERT INTO entry_identity VALUES (1, CAST(md5('lost') AS uuid), {1 << 40})",
    "one of another name": "UPDATE entry_identity SET identity = CAST(md5('lost') AS uuid) WHERE entry_id = 2",
}


@pytest.mark.postgresql("on SQLite they are kept by an index")
@pytest.mark.parametrize("lost", LOSING)
def test_identities_that_do_not_fit_their_entries_are_found_and_mended(news: News, lost: str) -> None:
    store = open_store(news.settings["DATABASE"])
    before = news.rows("SELECT * FROM entry_identity ORDER BY entry_id")
    with store.write() as db:
        db.execute(text(LOSING[lost]))
    found = find_faults(store)
    assert [check for check, faults in found.items() if faults] == [Check.IDENTITIES]
    repair(store, found[Check.IDENTITIES], NOON)
    assert not any(find_faults(store).values())
    assert news.rows("SELECT * FROM entry_identity ORDER BY entry_id") == before
    store.close()


def _twin(database: str) -> str:
    """The statement that puts the first entry into the table once more."""
    columns = ", ".join(name for name in columns_of(database, "entry") if name not in {"id", "event_id"})
    return f"INSERT INTO entry (id, {columns}) SELECT 900, {columns} FROM entry WHERE id = 1"


def _faults_after_repair(grouped: Program) -> dict[str, bool]:
    made = json.loads(grouped.run("db", "check", "--repair", "--json", status=3).stdout)
    return {fault["check"]: fault["can_repair"] for fault in made["faults"]}


@pytest.mark.postgresql("SQLite has no role for which triggers rest")
def test_an_entry_that_is_there_twice_is_found_and_not_said_to_be_mended(grouped: Program) -> None:
    change(grouped.database, "SET session_replication_role = replica", _twin(grouped.database))
    assert _faults_after_repair(grouped) == {Check.TWICE: False}
    said = grouped.run("db", "check", status=3).stdout
    assert "entries that are there twice" in said
    assert "id 900" in said
    assert "restore a backup" in said
    assert "mends it" not in said


@pytest.mark.sqlite("an index of PostgreSQL can't be taken from a constraint")
def test_nor_is_the_index_that_would_forbid_it(grouped: Program) -> None:
    file = sqlite_file(grouped.database)
    twin = _twin(grouped.database)
    with _schema(file) as db:
        (whole,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'entry'").fetchone()
        index = db.execute("SELECT * FROM sqlite_schema WHERE tbl_name = 'entry' AND sql IS NULL").fetchone()
        db.execute("DELETE FROM sqlite_schema WHERE name = ?", index[1:2])
        bare = re.sub(r",\s*CONSTRAINT \w+ UNIQUE \(feed_id, identity\)", "", whole)
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'entry'", (bare,))
    change(grouped.database, twin)
    with _schema(file) as db:
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'entry'", (whole,))
        db.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
    assert _faults_after_repair(grouped) == {Check.FILE: False, Check.TWICE: False}


@contextmanager
def _schema(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that may write the schema itself, which is read anew afterwards."""
    with closing(sqlite3.connect(file)) as db:
        (version,) = db.execute("PRAGMA schema_version").fetchone()
        db.execute("PRAGMA writable_schema = ON")
        yield db
        db.execute(f"PRAGMA schema_version = {version + 1}")
        db.commit()


@pytest.mark.sqlite("PostgreSQL keeps no such row")
def test_a_row_that_points_nowhere_is_found_and_not_mended(grouped: Program) -> None:
    change(
        grouped.database,
        "PRAGMA foreign_keys=OFF",
        "INSERT INTO entry_version (entry_id, replaced_at) VALUES (999, '2026-01-01 00:00:00.000000')",
    )
    said = grouped.run("db", "check", "--repair", status=3).stdout
    assert "foreign keys" in said
    assert "restore" in said


def test_a_view_that_is_lost_is_found(grouped: Program) -> None:
    change(grouped.database, "DROP VIEW v1_teaser")
    assert "v1_teaser" in grouped.run("db", "check", status=3).stdout


def test_nothing_is_mended_or_removed_beside_the_process_that_groups(grouped: Program) -> None:
    store = open_store(grouped.database)
    with store.write() as db:
        db.execute(text(BREAKING[Check.COUNTS]))
    with hold_role(store.engine, "cluster"):
        of_files = () if store.engine.dialect.name == "postgresql" else (("vacuum",),)
        for words in (("check", "--repair"), ("prune",), *of_files):
            assert "aggregator:" in grouped.run("db", *words, status=1).stderr
        grouped.run("db", "prune", "--dry-run")
        grouped.run("db", "check", status=3)
    store.close()


def test_repairing_what_is_sound_changes_nothing(news: News) -> None:
    store = open_store(news.settings["DATABASE"])
    cursor = news.cursor()
    repair(store, (), NOON)
    assert news.cursor() == cursor
    store.close()


def _swell(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE much (bytes)")
        db.executemany("INSERT INTO much VALUES (?)", [(bytes(50_000),) for _ in range(200)])
        db.execute("DROP TABLE much")
        db.commit()


@pytest.mark.sqlite("PostgreSQL gives room back by itself")
def test_room_is_given_back_in_steps(grouped: Program) -> None:
    _swell(grouped.folder / "news.db")
    store = open_store(grouped.database)
    steps = 0
    while give_back_pages(store):
        steps += 1
    with store.read() as db:
        left = space(db)
    store.close()
    assert steps > 1
    assert left.empty <= left.total / 5


@pytest.mark.sqlite("PostgreSQL gives room back by itself")
def test_a_file_that_can_not_shrink_is_rewritten_and_can_from_then_on(
    databases: Databases, tmp_path: Path
) -> None:
    program = Program(tmp_path, databases.bare(tmp_path / "news.db"))
    with closing(sqlite3.connect(tmp_path / "news.db")) as db:
        # As files were before they were made to shrink.
        db.execute("PRAGMA auto_vacuum=NONE")
        db.execute("CREATE TABLE other (number)")
        db.commit()
    program.run("db", "upgrade")
    _swell(tmp_path / "news.db")
    store = open_store(program.database)
    assert not give_back_pages(store)
    store.close()
    assert "became" in program.run("db", "vacuum").stdout
    store = open_store(program.database)
    with store.read() as db:
        assert space(db).can_shrink
        assert space(db).empty == 0
    store.close()


NEEDING = (
    ("db", "backup", "copy.db"),
    ("db", "check"),
    ("db", "prune"),
    ("db", "vacuum"),
    ("status",),
    ("events",),
    ("events", "export"),
    ("event", "show", "1"),
    ("event", "merge", "1", "2"),
    ("explain", "1"),
    ("feeds", "list"),
    ("webhook",),
    ("recluster",),
    ("calibrate",),
)
"""Commands that bring nothing."""


@pytest.mark.parametrize("words", NEEDING, ids=" ".join)
def test_what_brings_nothing_makes_no_database(
    databases: Databases, tmp_path: Path, words: tuple[str, ...]
) -> None:
    program = Program(tmp_path, databases.bare(tmp_path / "news.db"))
    place = (
        str(tmp_path / "news.db") if databases.kind == "sqlite" else str(make_url(program.database).database)
    )
    done = program.run(*words, status=1)
    (told,) = done.stderr.splitlines()
    assert "there is no database at" in told
    assert place in told
    assert "`poll` or `serve` makes one" in told
    assert not done.stdout
    assert not list(tmp_path.iterdir())
    if databases.kind == "postgresql":
        assert query(program.database, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.postgresql("SQLite has no passwords")
def test_a_place_without_a_database_is_told_without_its_password(
    databases: Databases, tmp_path: Path
) -> None:
    url = make_url(databases.bare()).set(password="hidden")
    program = Program(tmp_path, url.render_as_string(hide_password=False))
    told = program.run("status", status=1).stderr
    assert "there is no database at" in told
    assert "hidden" not in told


@pytest.mark.sqlite("PostgreSQL has no such files")
def test_an_empty_file_is_no_database_and_stays_empty(databases: Databases, tmp_path: Path) -> None:
    program = Program(tmp_path, databases.bare(tmp_path / "news.db"))
    (tmp_path / "news.db").touch()
    assert "there is no database at" in program.run("db", "check", status=1).stderr
    assert [(file.name, file.stat().st_size) for file in tmp_path.iterdir()] == [("news.db", 0)]


@pytest.mark.sqlite("a file of its own")
def test_a_feed_is_taken_out_by_its_title_without_a_database(tmp_path: Path, databases: Databases) -> None:
    program = Program(tmp_path, databases.bare(tmp_path / "news.db"))
    (tmp_path / "feeds.opml").write_text(
        "<opml><body><outline text='A' xmlUrl='http://a.example/'/></body></opml>"
    )
    program.run("feeds", "remove", "A")
    assert not (tmp_path / "news.db").exists()
