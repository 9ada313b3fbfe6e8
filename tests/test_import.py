"""Archives: the same entries on any number of cores, and however often their import is broken off."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from aggregator.pipeline.importing import ImportReport, import_source
from aggregator.pipeline.lines import Part
from aggregator.pipeline.sources import open_source
from aggregator.store import Store, open_store
from aggregator.store.dialect import hold_role
from aggregator.store.imports import ImportedElsewhereError
from aggregator.workers import Alone, Crew, JobLimits, Lost, Processes
from tests.archives import Kept, rows_of
from tests.forks import start
from tests.program import environment, run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Item = TypeVar("Item")
Result = TypeVar("Result")


def _line(number: int, **fields: object) -> bytes:
    entry = {
        "id": f"n{number}",
        "source": f"Outlet {number % 70}",
        "title": f"Bridge {number} reopens after repairs",
        "text": f"The bridge number {number} was shut for {number % 9} weeks, says the harbour of Town {number}.",
        "url": f"https://outlet-{number % 70}.example/{number}",
        "published": "2026-02-20T08:00:00Z",
    }
    return json.dumps(entry | fields).encode() + b"\n"


def _archive(count: int) -> list[bytes]:
    # What counts is how many lines there are: most are empty, which takes no time.
    lines = [b"\n" if number % 5 else _line(number) for number in range(count)]
    # Lines of one id in one part and in two, an empty line, and two that are no entries.
    lines[40] = _line(20, title="The second of two lines")
    lines[count - 10] = _line(30, title="The second of two lines, far away")
    lines[50], lines[60], lines[count - 20] = b"\n", b"no JSON\n", b"{}\n"
    return lines


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "archive.jsonl"
    file.write_bytes(b"".join(_archive(2_600)))
    return file


def _bring(store: Store, file: Path, crew: Crew) -> ImportReport:
    with open_source(str(file)) as source:
        *_, _ = reports = list(import_source(store, source, NOW, crew))
    total = reports[0]
    for report in reports[1:]:
        total += report
    return total


def _contents(store: Store) -> Kept:
    queries = (
        "SELECT id, feed_id, identity, guid, title, text, lang, content_hash, published_at FROM entry ORDER BY id",
        "SELECT entry_id, minhash, terms, term_marks, title_marks, lead FROM signature ORDER BY entry_id",
        "SELECT id, url FROM feed ORDER BY id",
    )
    return rows_of(store, queries)


def _clear(store: Store) -> None:
    with store.write() as db:
        for table in ("signature", "listed_item", "entry", "feed"):
            db.execute(text(f"DELETE FROM {table}"))
        if db.dialect.name == "sqlite":
            db.execute(text("DELETE FROM sqlite_sequence"))
        else:
            for table in ("entry", "feed"):
                db.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)"))


def _remembered(store: Store) -> int:
    with store.read() as db:
        return sum(
            int(db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            for table in ("import", "import_keys")
        )


class Watched(Alone):
    """Notes which lines are read."""

    def __init__(self) -> None:
        self.firsts: list[int] = []

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        for item, answer in super().each(job, items, limits_of):
            assert isinstance(item, Part)
            self.firsts.append(item.first)
            yield item, answer


def test_the_database_is_the_same_on_any_number_of_cores(store: Store, archive: Path) -> None:
    alone = _bring(store, archive, Alone())
    one = _contents(store)
    _clear(store)
    with Processes(3) as crew:
        together = _bring(store, archive, crew)
    assert _contents(store) == one
    assert together == alone
    assert (alone.read, alone.new, alone.edited) == (515, 515, 0)
    assert [line.number for line in alone.bad] == [41, 61, 2_581, 2_591]


def test_an_import_that_was_broken_off_goes_on_behind_what_it_had_kept(store: Store, archive: Path) -> None:
    whole = _bring(store, archive, Alone())
    one = _contents(store)
    _clear(store)
    with open_source(str(archive)) as source:
        steps = import_source(store, source, NOW, Alone())
        assert next(steps).read
        steps.close()
    assert _remembered(store)
    watched = Watched()
    assert _bring(store, archive, watched) == whole
    assert watched.firsts[0] == 2_001
    assert _contents(store) == one
    assert not _remembered(store)


def test_a_compressed_import_goes_on_too(store: Store, archive: Path, tmp_path: Path) -> None:
    packed = tmp_path / "archive.jsonl.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    with open_source(str(packed)) as source:
        steps = import_source(store, source, NOW, Alone())
        next(steps)
        steps.close()
    watched = Watched()
    assert _bring(store, packed, watched).new == 515
    assert watched.firsts == [2_001, 2_501]


def test_a_file_that_changed_begins_anew_and_changes_nothing_that_was_kept(
    store: Store, archive: Path
) -> None:
    with open_source(str(archive)) as source:
        steps = import_source(store, source, NOW, Alone())
        next(steps)
        steps.close()
    with archive.open("ab") as file:
        file.write(_line(9_999))
    watched = Watched()
    assert _bring(store, archive, watched).new == 516 - 397
    assert watched.firsts[0] == 1


def test_a_line_that_ends_its_process_is_a_bad_line_and_costs_no_other(store: Store, archive: Path) -> None:
    class Losing(Alone):
        def each(
            self,
            job: Callable[[Item], Result],
            items: Iterable[Item],
            limits_of: Callable[[Item], JobLimits] | None = None,
        ) -> Iterator[tuple[Item, Result | Lost]]:
            for item, answer in super().each(job, items, limits_of):
                assert isinstance(item, Part)
                yield (
                    item,
                    Lost("it took too long") if any(b'"n70"' in line for line in item.lines) else answer,
                )

    brought = _bring(store, archive, Losing())
    assert brought.new == 514
    assert [(line.number, line.reason) for line in brought.bad if "could not" in line.reason] == [
        (71, "could not be read: it took too long")
    ]


def test_two_imports_of_one_file_write_nothing_twice(store: Store, archive: Path) -> None:
    with open_source(str(archive)) as one, open_source(str(archive)) as other:
        first, second = (import_source(store, source, NOW, Alone()) for source in (one, other))
        next(first)
        next(second)  # goes on where the first one is
        assert list(second)
        with pytest.raises(ImportedElsewhereError, match="another process imports the same file"):
            list(first)


def _double(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        raise ValueError("five")
    return 2 * number


def test_a_crew_keeps_the_order_and_loses_nothing_but_what_ends_its_process() -> None:
    with Processes(2) as crew:
        answers = list(crew.each(_double, range(30)))
    assert [item for item, _ in answers] == list(range(30))
    lost = {item: answer.reason for item, answer in answers if isinstance(answer, Lost)}
    assert lost.keys() == {3, 5}
    assert "ValueError" in lost[5]
    assert all(answer == 2 * item for item, answer in answers if item not in lost)


@pytest.mark.sqlite("how far the process came is asked of the file")
def test_a_killed_import_is_ended_by_the_same_command(tmp_path: Path) -> None:
    archive, database = tmp_path / "archive.jsonl", tmp_path / "news.db"
    # Large enough for processes; what is no field of an entry is passed over.
    lines = (b"\n" if number % 5 else _line(number, noise="x" * 5_000) for number in range(6_000))
    archive.write_bytes(b"".join(lines))
    store = open_store(f"sqlite:///{database}")
    with closing(store), hold_role(store.engine, "cluster"):
        with start(tmp_path, environment(tmp_path), "import", "--cores", "2", archive) as running:
            while running.poll() is None and not _lines_kept(database):
                time.sleep(0.01)
            running.kill()
        assert 0 < _lines_kept(database) < 6_000
        said = json.loads(run(tmp_path, "import", "--json", "--cores", "2", archive).stdout)
    assert (said["entries_read"], said["entries_new"]) == (1_200, 1_200)
    assert _lines_kept(database) == 0


def _lines_kept(file: Path) -> int:
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        return int((db.execute("SELECT lines FROM import").fetchone() or (0,))[0])
    return 0
