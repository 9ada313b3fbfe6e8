"""The same program on PostgreSQL as on SQLite."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.demo import DemoServer, sample_feeds
from aggregator.store import open_store
from tests.databases import Databases, sqlite_url
from tests.program import Program


@pytest.mark.postgresql("SQLite has one writer at a time anyway")
def test_processes_that_start_at_once_bring_the_schema_up_one_after_another(databases: Databases) -> None:
    database = databases.bare()
    start = threading.Barrier(4)

    def bring_up(_number: int) -> None:
        start.wait()
        open_store(database).close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(bring_up, range(4)))


@pytest.mark.postgresql("it is compared with the other one")
def test_a_pass_leaves_the_same_records_as_on_sqlite(program: Program, tmp_path: Path) -> None:
    other = Program(tmp_path, sqlite_url(tmp_path / "news.db"))
    with DemoServer(sample_feeds(datetime.now(UTC))) as feeds:
        (tmp_path / "feeds.opml").write_bytes(feeds.opml())
        other.run("poll")
        program.run("poll")
        assert program.contents() == other.contents()
        program.run("poll", "--all")
        assert program.contents() == other.contents()
    assert "events" not in program.run("events").stderr
