"""PostgreSQL's partitions of entries go as a whole when all in them is old, and only then."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from aggregator.pipeline.correcting import pin
from aggregator.store import dropping
from aggregator.store.partitions import PARTED, Range, ranges
from aggregator.types import EntryId
from tests.program import command, environment
from tests.test_corrections import BRIDGE, FROST, PIANO, _entry
from tests.test_retention import LATER, NOON, Archive

pytestmark = pytest.mark.postgresql("SQLite has no partitions")
FIRST = Range(0, 100_000)
PATIENCE_SECONDS = 60


@pytest.fixture
def archive(database: str) -> Iterator[Archive]:
    made = Archive(database)
    yield made
    made.store.close()


def _begin_next_partition(archive: Archive) -> None:
    with archive.store.write() as db:
        db.execute(text(f"SELECT setval('entry_id_seq', {FIRST.end})"))


def _has_first(archive: Archive) -> bool:
    with archive.store.read() as db:
        there = {table: FIRST in ranges(db, table) for table in PARTED if table not in ("change", "activity")}
    assert len(set(there.values())) == 1, there
    return there["entry"]


def _fill(archive: Archive) -> None:
    """Two events in the first partition, and one that comes long after in the next."""
    archive.bring(_entry("bridge-1", BRIDGE), _entry("bridge-2", BRIDGE, 5), _entry("piano", PIANO, 9))
    _begin_next_partition(archive)
    archive.now = LATER
    archive.bring(_entry("frost", FROST, 100 * 1440))


def test_it_goes_with_its_events_which_are_told_and_do_not_come_back(archive: Archive) -> None:
    _fill(archive)
    old = {row[0] for row in archive.rows("SELECT event_id FROM v1_entry WHERE guid <> 'frost'")}
    assert archive.prune() == 3
    assert archive.names() == ["frost"]
    assert not _has_first(archive)
    assert archive.rows("SELECT count(*) FROM event") == [(1,)]
    assert archive.rows("SELECT count(*) FROM entry_identity") == [(1,)]
    told = archive.rows("SELECT event_id FROM v1_change WHERE kind = 'removed'")
    assert sorted(told) == [(event,) for event in sorted(old)]
    assert archive.sound()
    archive.bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO, 9))
    assert archive.names() == ["frost"]


def test_it_goes_also_where_a_program_of_before_made_none_for_words(archive: Archive) -> None:
    """The words of its entries are in the rest of their table then."""
    with archive.store.write() as db:
        db.execute(text(f"DROP TABLE {FIRST.of('entry_words')}"))
    _fill(archive)
    assert archive.rows("SELECT count(*) FROM entry_words_rest") == [(3,)]
    assert archive.prune() == 3
    assert archive.names() == ["frost"]
    assert archive.rows("SELECT count(*) FROM entry_words") == [(1,)]
    assert archive.sound()


def test_what_is_old_in_it_waits_for_the_rest(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    archive.now = NOON + timedelta(days=5)
    archive.bring(_entry("piano", PIANO, 5 * 1440))
    _begin_next_partition(archive)
    archive.now = NOON + timedelta(days=32)
    archive.bring(_entry("frost", FROST, 32 * 1440))
    assert archive.prune() == 0
    assert _has_first(archive)
    archive.now = NOON + timedelta(days=37)
    assert archive.prune() == 2
    assert archive.names() == ["frost"]
    assert not _has_first(archive)


def test_what_stays_for_good_keeps_it_and_the_rest_goes_row_by_row(archive: Archive) -> None:
    _fill(archive)
    with archive.store.read() as db:
        (number,) = db.execute(text("SELECT min(id) FROM entry")).one()
    pin(archive.store, EntryId(number), archive.now)
    assert archive.prune() == 1
    assert archive.names() == ["bridge-1", "bridge-2", "frost"]
    assert _has_first(archive)
    assert archive.sound()


def test_an_event_across_its_end_goes_with_all_of_its_entries(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO))
    _begin_next_partition(archive)
    archive.bring(_entry("bridge-2", BRIDGE, 5))
    archive.now = LATER
    archive.bring(_entry("frost", FROST, 100 * 1440))
    assert archive.prune() == 3
    assert archive.names() == ["frost"]
    assert not _has_first(archive)
    assert archive.sound()


def test_an_event_that_grew_lately_keeps_what_it_has_in_it(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO))
    _begin_next_partition(archive)
    archive.now = LATER
    archive.bring(_entry("bridge-2", BRIDGE, 5))
    record = archive.rows("SELECT * FROM v1_event WHERE entry_count = 2")
    assert archive.prune() == 1
    assert archive.names() == ["bridge-1", "bridge-2"]
    assert archive.rows("SELECT * FROM v1_event WHERE entry_count = 2") == record
    assert _has_first(archive)


def test_who_uses_the_tables_is_let_finish_and_it_goes_another_day(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(archive)
    monkeypatch.setattr(dropping, "TRIES", 1)
    with archive.store.read() as reader:
        reader.execute(text("SELECT count(*) FROM entry")).one()
        assert archive.prune() == 0
        assert reader.execute(text("SELECT count(*) FROM entry")).scalar() == 4
    assert _has_first(archive)
    assert archive.sound()
    archive.now += timedelta(days=1)
    assert archive.prune() == 3
    assert not _has_first(archive)


def test_the_change_log_loses_its_first_partition_and_keeps_its_last_line(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    with archive.store.write() as db:
        db.execute(text(f"SELECT setval('change_cursor_seq', {FIRST.end})"))
    archive.now = LATER
    archive.prune()
    with archive.store.read() as db:
        assert FIRST not in ranges(db, "change")
    lines = archive.rows("SELECT cursor, kind FROM v1_change")
    assert lines == [(FIRST.end + 1, "removed")]


def test_the_change_log_loses_it_beside_a_reader_of_entries(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropping, "TRIES", 1)
    archive.bring(_entry("bridge-1", BRIDGE))
    with archive.store.write() as db:
        db.execute(text(f"SELECT setval('change_cursor_seq', {FIRST.end})"))
    archive.now = LATER
    with archive.store.read() as reader:
        reader.execute(text("SELECT count(*) FROM entry JOIN event ON event.id = event_id")).one()
        archive.prune()
        with archive.store.read() as db:
            assert FIRST not in ranges(db, "change")


def test_of_a_process_that_is_killed_while_it_waits_to_drop_it_nothing_is_seen(
    archive: Archive, tmp_path: Path
) -> None:
    _fill(archive)
    with archive.store.write() as db:  # old by the clock of any process
        here = f"SELECT event_id FROM entry WHERE id < {FIRST.end}"
        db.execute(text(f"UPDATE event SET last_seen_at = '2020-01-01Z' WHERE id IN ({here})"))
        db.execute(text(f"UPDATE entry SET first_seen_at = '2020-01-01Z' WHERE id < {FIRST.end}"))
    before = archive.rows("SELECT * FROM v1_event ORDER BY id")
    waits = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"
    )
    settings = {"DATABASE": archive.settings.database, "KEEP_DAYS": 30}
    with archive.store.read() as reader:
        reader.execute(text("SELECT count(*) FROM link")).one()
        pruning = subprocess.Popen(
            command("db", "prune"), env=environment(tmp_path, settings), stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while archive.rows(waits) == [(0,)]:
            assert time.monotonic() < deadline
            assert pruning.poll() is None
            time.sleep(0.02)
        pruning.kill()
        pruning.wait()
    assert archive.rows("SELECT * FROM v1_event ORDER BY id") == before
    assert _has_first(archive)
    assert archive.sound()
    assert archive.prune() == 3
    assert not _has_first(archive)
    assert archive.sound()
