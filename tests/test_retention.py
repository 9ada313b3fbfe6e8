"""Old entries go in small steps, whole events at a time, and do not come back as new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from aggregator.config import Settings, SettingsError, load_settings
from aggregator.pipeline.checking import find_faults
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.correcting import pin
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.poll import READING
from aggregator.pipeline.pruning import Pruner, count_old
from aggregator.store import Store, open_store
from aggregator.store.retention import forget_pruned, remember
from aggregator.types import EntryId
from tests.databases import change
from tests.loopback import LoopbackServer
from tests.program import Program
from tests.stage import item, ok, rss
from tests.test_corrections import BRIDGE, FROST, PIANO, _entry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=100)


class Archive:
    """A database whose clock the test sets."""

    def __init__(self, url: str) -> None:
        self.settings: Settings = load_settings({"database": url, "keep_days": "30"})
        self.store: Store = open_store(url)
        self.now = NOON
        self.clusterer = Clusterer(self.store, self.settings, self.clock)
        self.pruner = Pruner(self.store, self.settings, self.clock)

    def clock(self) -> datetime:
        return self.now

    def bring(self, *entries: dict[str, Any]) -> None:
        """Imports entries at the present time and groups them."""
        lines = [json.dumps(entry).encode() for entry in entries]
        assert not any(report.bad for report in import_lines(self.store, lines, self.now))
        for _ in self.clusterer.work():
            pass

    def prune(self) -> int:
        """Removes all that is old; how many entries that was."""
        entries = 0
        while (done := self.pruner.step()) is not None:
            self.clusterer.forget(done.numbers)
            entries += done.entries
        return entries

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.read() as db:
            return [tuple(row) for row in db.execute(text(sql))]

    def names(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT guid FROM v1_entry ORDER BY guid")]

    def sound(self) -> bool:
        return not any(find_faults(self.store).values())


@pytest.fixture
def archive(database: str) -> Iterator[Archive]:
    made = Archive(database)
    yield made
    made.store.close()


def test_what_is_old_goes_with_all_that_belongs_to_it_and_is_told(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("bridge-2", BRIDGE, 5), _entry("piano", PIANO, 9))
    (old,) = {row[0] for row in archive.rows("SELECT event_id FROM v1_entry WHERE guid LIKE 'bridge%'")}
    archive.now = LATER
    archive.bring(_entry("frost", FROST, 100 * 1440))
    assert archive.prune() == 3
    assert archive.names() == ["frost"]
    for table in ("signature", "decision", "entry"):
        assert archive.rows(f"SELECT count(*) FROM {table}") == [(1,)], table
    assert archive.rows("SELECT count(*) FROM v1_event") == [(1,)]
    assert (old, None) in archive.rows(
        "SELECT event_id, other_event_id FROM v1_change WHERE kind = 'removed'"
    )
    assert archive.sound()


def test_an_event_with_one_young_entry_keeps_all_of_them_and_its_id(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    before = archive.rows("SELECT id FROM v1_event")
    archive.now = LATER
    # Published then, found now: the same event.
    archive.bring(_entry("bridge-2", BRIDGE, 5))
    record = archive.rows("SELECT * FROM v1_event")
    assert archive.prune() == 0
    assert archive.names() == ["bridge-1", "bridge-2"]
    assert archive.rows("SELECT * FROM v1_event") == record
    assert [(row[0],) for row in record] == before


def test_what_people_said_stays_for_ever(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("bridge-2", BRIDGE, 5), _entry("piano", PIANO, 9))
    ((pinned,),) = archive.rows("SELECT id FROM v1_entry WHERE guid = 'bridge-2'")
    pin(archive.store, EntryId(pinned), NOON)
    archive.now = LATER
    assert archive.prune() == 1
    assert archive.names() == ["bridge-1", "bridge-2"]
    assert archive.sound()


def test_an_item_that_went_does_not_come_back_as_new(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO))
    archive.now = LATER
    archive.prune()
    archive.bring(_entry("bridge-1", f"{BRIDGE} Edited since."), _entry("piano", PIANO))
    assert archive.names() == []


def test_to_remember_items_of_many_feeds_takes_no_more_statements_than_of_one(archive: Archive) -> None:
    statements: list[str] = []

    def note(_db: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    counts = []
    for feeds in (1, 4):
        archive.bring(
            *(_entry(f"{feeds} {n}", BRIDGE, n) | {"source": f"{feeds} {n % feeds}"} for n in range(8))
        )
        numbers = archive.rows(f"SELECT id FROM v1_entry WHERE guid LIKE '{feeds} %'")
        assert len(numbers) == 8
        statements.clear()
        event.listen(archive.store.engine, "before_cursor_execute", note)
        with archive.store.write() as db:
            remember(db, [EntryId(number) for (number,) in numbers], NOON)
        event.remove(archive.store.engine, "before_cursor_execute", note)
        counts.append(len(statements))
    assert archive.rows("SELECT count(*), count(DISTINCT feed_id) FROM pruned") == [(16, 5)]
    assert counts[0] == counts[1]


def test_another_story_under_the_name_of_one_that_went_is_new(archive: Archive) -> None:
    archive.bring(_entry("1", BRIDGE))
    archive.now = LATER
    archive.prune()
    archive.bring(_entry("1", FROST, 100 * 1440))
    assert archive.rows("SELECT title FROM v1_entry") == [(FROST.split(".", maxsplit=1)[0],)]
    archive.now = LATER + timedelta(days=100)
    assert archive.prune() == 1


def test_the_clusterers_memory_names_nothing_that_went(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO))
    archive.now = LATER
    archive.prune()
    # A late copy, published then: it would have met the old one.
    archive.bring(_entry("bridge-9", BRIDGE, 7))
    assert archive.names() == ["bridge-9"]
    assert archive.sound()


def test_teasers_of_what_went_keep_their_text(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE), _entry("piano", PIANO))
    ((living,), (dying,)) = archive.rows("SELECT id FROM v1_event ORDER BY id")
    ((pinned,),) = archive.rows("SELECT id FROM v1_entry WHERE guid = 'bridge-1'")
    pin(archive.store, EntryId(pinned), NOON)
    with archive.store.write() as db:
        ((entry,),) = db.execute(text(f"SELECT canonical_entry_id FROM event WHERE id = {dying}")).all()
        db.execute(
            text(
                "INSERT INTO teaser (event_id, position, kind, text, entry_id, related_event_id) "
                f"VALUES ({living}, 90, 'related', 'A girl of eleven', {entry}, {dying})"
            )
        )
    archive.now = LATER
    archive.prune()
    shown = archive.rows("SELECT text, entry_id, related_event_id FROM v1_teaser WHERE position = 90")
    assert shown == [("A girl of eleven", None, None)]


def test_the_change_log_loses_its_beginning_and_nothing_else(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    archive.now = NOON + timedelta(days=60)
    archive.bring(_entry("frost", FROST, 60 * 1440))
    ((last,),) = archive.rows("SELECT max(cursor) FROM v1_change")
    archive.prune()
    left = [row[0] for row in archive.rows("SELECT cursor FROM v1_change ORDER BY cursor")]
    assert left == list(range(left[0], left[-1] + 1))
    assert left[0] > 1
    assert left[0] <= last < left[-1], "what happened since then is there, and the removal is told after it"


def test_the_last_change_stays_so_that_cursors_go_on(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    ((before,),) = archive.rows("SELECT max(cursor) FROM v1_change")
    for days in (100, 200):
        archive.now = NOON + timedelta(days=days)
        archive.prune()
    ((after,),) = archive.rows("SELECT max(cursor) FROM v1_change")
    assert after > before


def test_without_keep_days_nothing_goes(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    archive.now = NOON + timedelta(days=10_000)
    for_ever = load_settings({"database": archive.settings.database})
    assert Pruner(archive.store, for_ever, archive.clock).step() is None
    assert count_old(archive.store, for_ever, archive.now).entries == 0
    assert count_old(archive.store, archive.settings, archive.now).entries == 1
    assert archive.names() == ["bridge-1"]


def test_keeping_less_than_the_window_is_refused() -> None:
    with pytest.raises(SettingsError, match="WINDOW_DAYS"):
        load_settings({"keep_days": "2"})


def test_a_removed_item_is_forgotten_after_a_year(archive: Archive) -> None:
    archive.bring(_entry("bridge-1", BRIDGE))
    archive.now = LATER
    archive.prune()
    with archive.store.write() as db:
        assert forget_pruned(db, LATER + timedelta(days=300), READING) == 0
        assert forget_pruned(db, LATER + timedelta(days=400), READING) == 1
    assert archive.rows("SELECT count(*) FROM pruned") == [(0,)]


def _age(database: str, days: int) -> None:
    """Makes all that is in the database arrive so many days earlier."""
    earlier = (datetime.now(UTC) - timedelta(days=days)).strftime("'%Y-%m-%d %H:%M:%S.%f'")
    if not database.startswith("sqlite:"):
        earlier = f"{earlier[:-1]}+00'"
    change(
        database,
        f"UPDATE entry SET first_seen_at = {earlier}",
        f"UPDATE event SET first_seen_at = {earlier}, last_seen_at = {earlier}",
    )


def test_a_feed_that_still_lists_an_old_item_brings_only_what_is_new(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    def serve(*items: str) -> None:
        loopback.on("/feed", ok(rss(*items)))

    def titles() -> list[str]:
        return [row[0] for row in program.query("SELECT title FROM v1_entry ORDER BY title")]

    keep = {"KEEP_DAYS": 10}
    (tmp_path / "feeds.opml").write_text(
        f'<opml version="2.0"><body><outline xmlUrl="{loopback.url("/feed")}"/></body></opml>'
    )
    serve(item("one"), item("two"))
    program.run("poll", settings=keep)
    assert len(titles()) == 2
    _age(program.database, 40)
    assert "2 entries in" in program.run("db", "prune", "--dry-run", settings=keep).stdout
    assert "2 entries in" in program.run("db", "prune", settings=keep).stdout
    assert titles() == []
    # The bytes of the first are others now, the second is as it was.
    serve(item("one", extra="<category>late</category>"), item("two"), item("three"))
    program.run("poll", "--all", settings=keep)
    assert len(titles()) == 1
    serve(item("one"), item("two", extra="<category>late</category>"), item("three"), item("four"))
    program.run("poll", "--all", settings=keep)
    assert len(titles()) == 2
    assert "Nothing is wrong" in program.run("db", "check", settings=keep).stdout


def test_a_feed_of_its_own_rule_keeps_its_entries_longer_or_for_ever(archive: Archive) -> None:
    archive.bring(_entry("bridge", BRIDGE), _entry("piano", PIANO, 9), _entry("frost", FROST, 20))
    with archive.store.write() as db:
        for name, days in (("bridge", 0), ("piano", 200)):
            db.execute(text(f"UPDATE feed SET keep_days = {days} WHERE title = '{name.title()} Gazette'"))
    archive.now = LATER
    assert archive.prune() == 1
    assert archive.names() == ["bridge", "piano"]
    archive.now = NOON + timedelta(days=300)
    assert archive.prune() == 1
    assert archive.names() == ["bridge"]
    assert archive.rows("SELECT min(cursor) FROM v1_change") == [(1,)], "what is kept for ever has its log"
