"""Four that write the same stories in the same instant leave what one leaves that writes them in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.store import Store, open_store
from tests.barrier import WRITERS, bring_alone, bring_at_once, expected, partition_of
from tests.crowd import AT_REST, GROUPS, Crowd, wait

STORIES, BATCH, SEED = 200, 20, 20261126


@pytest.mark.postgresql("one process at a time writes to an SQLite database")
def test_four_writers_at_a_barrier_and_one_leave_the_same_events(database: str, tmp_path: Path) -> None:
    store = open_store(database)
    crowd = Crowd(tmp_path, {"DATABASE": database})
    try:
        for _ in range(2):
            crowd.start(GROUPS)
        for new in bring_at_once(database, SEED, STORIES, BATCH):
            assert new == WRITERS * BATCH

        def is_at_rest() -> bool:
            with store.read() as db:
                return bool(db.exec_driver_sql(AT_REST).scalar())

        wait(is_at_rest)
        crowd.end()
        assert partition_of(store) == expected(STORIES)
        with store.read() as db:
            created = db.exec_driver_sql(
                "SELECT count(*), count(DISTINCT event_id) FROM v1_change WHERE kind = 'created'"
            ).one()
            events = db.exec_driver_sql("SELECT count(*) FROM v1_event").scalar()
        assert tuple(created) == (events, events)
    finally:
        crowd.end()
        store.close()


def test_one_writer_leaves_the_events_that_there_are(store: Store) -> None:
    bring_alone(store, SEED, STORIES)
    assert partition_of(store) == expected(STORIES)
