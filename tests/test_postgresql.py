"""The same program on PostgreSQL: a real server, started for these tests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from aggregator.demo import DemoServer, sample_feeds
from aggregator.store import StoreError, open_store
from aggregator.store.dialect import hold_role, open_engine
from aggregator.store.tables import Row
from tests.program import Contents, contents, contents_by, is_ours, run


def _contents(url: str) -> Contents:
    store = open_store(url)
    with store.read() as db:
        found = contents_by(lambda sql: [tuple(row) for row in db.exec_driver_sql(sql)])
    store.close()
    return found


def test_the_migrations_make_the_same_tables(server: str) -> None:
    store = open_store(server)
    with store.read() as db:
        assert (
            compare_metadata(MigrationContext.configure(db, opts={"include_name": is_ours}), Row.metadata)
            == []
        )
    store.close()


def test_a_role_is_held_by_one_process(server: str) -> None:
    one, other = open_engine(server), open_engine(server)
    with hold_role(one, "cluster") as first, hold_role(other, "cluster") as second:
        assert (first, second) == (True, False)
    with hold_role(other, "cluster") as third:
        assert third
    one.dispose()
    other.dispose()


def test_processes_that_start_at_once_bring_the_schema_up_one_after_another(new_database: str) -> None:
    start = threading.Barrier(4)

    def bring_up(_number: int) -> None:
        start.wait()
        open_store(new_database).close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(bring_up, range(4)))


def test_a_database_of_a_newer_program_is_refused(new_database: str) -> None:
    store = open_store(new_database)
    with store.write() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreError, match="a newer version wrote it"):
        open_store(new_database)


def test_a_pass_leaves_the_same_records_as_on_sqlite(server: str, tmp_path: Path) -> None:
    with DemoServer(sample_feeds(datetime.now(UTC))) as feeds:
        (tmp_path / "feeds.opml").write_bytes(feeds.opml())
        run(tmp_path, "poll")
        run(tmp_path, "poll", settings={"DATABASE": server})
        assert _contents(server) == contents(tmp_path / "news.db")
        run(tmp_path, "poll", "--all", settings={"DATABASE": server})
        assert _contents(server) == contents(tmp_path / "news.db")
    assert "events" not in run(tmp_path, "events", settings={"DATABASE": server}).stderr
