"""A move that is killed, disturbed or tampered with: it goes on, is refused, or says that both sides differ."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import psycopg
import pytest

from aggregator.store import StoreError, open_store
from aggregator.store.moving import open_move
from tests.crowd import wait
from tests.databases import Server, change, count, query, sqlite_url
from tests.moving import fill, seen
from tests.program import command, environment, run
from tests.test_corrections import BASE
from tests.test_retention import Archive

pytestmark = pytest.mark.postgresql("a move ends on PostgreSQL")


@pytest.fixture(scope="module")
def filled(empty_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with rows in every table."""
    file = tmp_path_factory.mktemp("filled") / "news.db"
    shutil.copy(empty_file, file)
    archive = Archive(sqlite_url(file))
    archive.bring(*BASE)
    fill(archive.store)
    archive.store.close()
    return file


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    shutil.copy(filled, tmp_path / "news.db")
    return tmp_path


@pytest.fixture
def target(postgresql: Server) -> Iterator[str]:
    """A database that has the schema and nothing else."""
    url = postgresql.copy()
    yield url
    postgresql.drop(url)


def _source(folder: Path) -> str:
    return sqlite_url(folder / "news.db")


def _begin(folder: Path, target: str, rows: int) -> int:
    """A move of one row at a time that is given up once so many are there; how many there were before."""
    with open_move(_source(folder), target) as moving:
        counts = moving.copy(batch=1)
        before = there = next(counts)
        while there < rows:
            there += next(counts)
    return before


def _finished(folder: Path, target: str, *words: str) -> None:
    """The command, run to its end: everything is there, and nothing twice."""
    assert "are the same on both sides" in run(folder, "db", "move", target, *words).stdout
    source, moved = seen(_source(folder)), seen(target)
    for name, rows in source.items():
        assert moved[name] == rows, name
    assert count(target, "entry_identity") == count(target, "entry")
    assert query(target, "SELECT to_regclass('db_move') IS NULL") == [(True,)]


MOMENTS = {
    "before the schema is there": f"SELECT pg_advisory_xact_lock({int.from_bytes(b'schema', 'big')})",
    "at the first table": "LOCK TABLE feed IN ACCESS EXCLUSIVE MODE",
    "within a batch of entries": "LOCK TABLE entry_identity IN SHARE MODE",
    "while indexes are made": "LOCK TABLE signature IN ROW EXCLUSIVE MODE",
    "while foreign keys are made": "LOCK TABLE document IN ROW EXCLUSIVE MODE",
    "when all is compared": "SELECT * FROM alembic_version FOR UPDATE",
}
"""Locks of the test's own, which hold a move up at a known moment."""

HELD_UP = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_the_same_command_goes_on_and_doubles_nothing(
    folder: Path, target: str, moment: str, new_database: str
) -> None:
    is_begun = moment != "before the schema is there"
    if is_begun:
        _begin(folder, target, 0)
    else:
        target = new_database
    with psycopg.connect(target) as held:
        held.execute(MOMENTS[moment])
        moved = subprocess.Popen(
            command("db", "move", target),
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait(lambda: moved.poll() is not None or bool(query(target, HELD_UP)))
        moved.kill()
        said = moved.communicate()
        assert moved.returncode == -signal.SIGKILL, said
    if is_begun:
        with pytest.raises(StoreError, match="not finished"):
            open_store(target)
    _finished(folder, target)


def test_it_goes_on_within_a_table_after_any_row(folder: Path, target: str) -> None:
    """Keys are of one number, of two, or of texts that hold anything."""
    with open_move(_source(folder), target) as moving:
        rows = list(moving.rows.values())
    first = [0, *accumulate(rows)]
    within = sorted(
        {start + n for start, many in zip(first, rows, strict=False) for n in (1, many - 1) if many > 1}
    )
    assert len(within) > len(rows) // 2
    before = 0
    for place in within:
        assert _begin(folder, target, place) == before, "it began where the last one was cut off"
        before = place
    _finished(folder, target)


TAMPERING = {
    "entry": "UPDATE entry SET title = title || ' ' WHERE id = 2",
    "decision": "UPDATE decision SET mean = mean + 1e-12 WHERE entry_id = 1",
    "signature": r"UPDATE signature SET body = body || '\x00' WHERE entry_id = 1",
    "feed": "UPDATE feed SET listed = NOT listed WHERE id = 1",
    "activity": "DELETE FROM activity",
    "change": "UPDATE change SET at = at + interval '1 microsecond' WHERE cursor = 1",
    "link": "UPDATE link SET a = b, b = a",
}


def test_a_row_that_differs_is_found_and_the_target_is_not_used(folder: Path, target: str) -> None:
    """Each in a way of its own: a space, the last bits of a number, a byte, a flag, a row, a moment, an order."""
    with open_move(_source(folder), target) as moving:
        everything = moving.total
    _begin(folder, target, everything)
    change(target, *TAMPERING.values())
    done = run(folder, "db", "move", target, "--json", status=1)
    said = json.loads(done.stdout)
    assert not said["verified"]
    assert {one["table"] for one in said["tables"] if not one["same"]} == set(TAMPERING)
    with pytest.raises(StoreError, match="not finished"):
        open_store(target)


def _differing(told: str) -> list[str]:
    """The lines of the tables that differ."""
    return [line for line in told.splitlines() if "DIFFERS" in line]


def test_one_that_found_a_difference_says_which_table_and_begins_anew_when_told_to(
    folder: Path, target: str
) -> None:
    with open_move(_source(folder), target) as moving:
        everything = moving.total
    _begin(folder, target, everything)
    change(target, TAMPERING["entry"])
    done = run(folder, "db", "move", target, status=1)
    (line,) = _differing(done.stdout)
    assert line.split()[0] == "entry"
    assert "--restart" in done.stderr
    assert "no program opens it" in done.stderr
    _finished(folder, target, "--restart")


WRITTEN = {
    "a feed was polled": "UPDATE feed SET fence = fence + 1",
    "an entry came and went": "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'entry'",
    "an entry was grouped": "UPDATE event SET entry_count = entry_count + 1 WHERE id = 1",
    "a row went": "DELETE FROM entry_alias WHERE identity = 'z'",
}


@pytest.mark.parametrize("what", WRITTEN)
def test_a_source_that_was_written_between_two_halves_is_refused(
    folder: Path, target: str, what: str
) -> None:
    _begin(folder, target, 9)
    change(_source(folder), WRITTEN[what])
    with pytest.raises(StoreError, match="it was written since"), open_move(_source(folder), target):
        pass
    with pytest.raises(StoreError, match="not finished"):
        open_store(target)


def test_what_no_count_of_the_source_shows_is_found_by_comparing(folder: Path, target: str) -> None:
    with open_move(_source(folder), target) as moving:
        feeds = moving.rows["feed"]
    _begin(folder, target, feeds)
    change(_source(folder), "UPDATE feed SET title = 'another' WHERE id = 1")
    (line,) = _differing(run(folder, "db", "move", target, status=1).stdout)
    assert line.split()[0] == "feed"


def test_a_source_that_was_written_between_two_halves_is_moved_anew_when_told_to(
    folder: Path, target: str
) -> None:
    _begin(folder, target, 9)
    change(_source(folder), "UPDATE feed SET fence = fence + 1, title = 'another'")
    assert "`db move --restart` empties the target" in _refused(folder, target)
    _finished(folder, target, "--restart")


def test_another_source_does_not_go_on_with_what_one_began(folder: Path, target: str) -> None:
    _begin(folder, target, 9)
    other = folder / "other"
    other.mkdir()
    shutil.copy(folder / "news.db", other)
    change(_source(other), "UPDATE feed SET fence = fence + 1")
    said = _refused(other, target)
    assert f"that was {folder / 'news.db'}" in said


def _refused(folder: Path, target: str) -> str:
    said = run(folder, "db", "move", target, status=1).stderr
    assert said.startswith("aggregator: ")
    assert said.count("\n") == 1
    return said


def test_while_it_moves_no_program_starts_and_no_second_move(folder: Path, target: str) -> None:
    other = folder / "other"
    other.mkdir()
    shutil.copy(folder / "news.db", other)
    (folder / "feeds.opml").write_text('<opml version="2.0"><body/></opml>')
    with open_move(_source(folder), target):
        assert "stop it until the move is done" in _refused(folder, target)
        assert "another `db move` fills it" in _refused(other, target)
        assert "another process" in run(folder, "poll", status=1).stderr
    _finished(folder, target)
