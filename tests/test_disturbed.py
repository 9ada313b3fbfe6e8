"""Workers and clusterers killed at random moments, and their server with them: nothing is lost or doubled."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from aggregator.store import Store, StoreError, open_store
from tests.crowd import AT_REST, FETCHES, GROUPS, Crowd, Mirror, Outlets, told, wait
from tests.loopback import LoopbackServer
from tests.program import contents_by
from tests.servers import own_server

FEEDS, STORIES, KILLS = 12, 90, 20
PROGRESS_SECONDS = 5.0
"""How long the next kill waits for something to have been done since the last one."""


def _progress(store: Store) -> tuple[int, ...]:
    try:
        with store.read() as db:
            waiting = "SELECT count(*) FROM entry WHERE pending"
            query = f"SELECT (SELECT count(*) FROM entry), ({waiting}), max(cursor) FROM change"
            return tuple(db.exec_driver_sql(query).one())
    except StoreError:
        return ()


def _is_done(store: Store, entries: int) -> bool:
    try:
        with store.read() as db:
            stored = db.exec_driver_sql("SELECT count(*) FROM entry").scalar()
            return stored == entries and bool(db.exec_driver_sql(AT_REST).scalar())
    except StoreError:
        return False


@pytest.mark.postgresql("SQLite has no server, and one process at a time")
def test_twenty_kills_and_a_crash_of_the_server_lose_and_double_nothing(
    tmp_path: Path, loopback: LoopbackServer
) -> None:
    chance = random.Random(20261126)
    outlets = Outlets(loopback, FEEDS, told(STORIES, chance))
    outlets.write_list(tmp_path / "feeds.opml")
    with ExitStack() as stack:
        server = stack.enter_context(own_server())
        url = server.new_database()
        store = open_store(url)
        stack.callback(store.close)
        mirror, stop = Mirror(url), threading.Event()
        following = threading.Thread(target=mirror.follow, args=(stop,))
        following.start()
        stack.callback(following.join)
        stack.callback(stop.set)
        crowd = Crowd(tmp_path, {"DATABASE": url, "INTERVAL": 1, "MAX_INTERVAL": 1})
        stack.callback(crowd.end)
        for roles in (FETCHES, GROUPS, FETCHES, GROUPS):
            crowd.start(roles)
        for number in range(KILLS):
            before, deadline = _progress(store), time.monotonic() + PROGRESS_SECONDS
            while _progress(store) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
            crowd.replace(chance.randrange(4))
            if number == KILLS // 2:
                server.crash()
                server.start()
        wait(lambda: _is_done(store, 4 * STORIES))
        crowd.end()
        stop.set()
        following.join()
        with store.read() as db:
            while mirror.look(db):
                pass
            left = mirror.differences(db)
            found = contents_by(lambda sql: [tuple(row) for row in db.exec_driver_sql(sql)])
            doubled = db.exec_driver_sql("SELECT count(*) - count(DISTINCT (feed_url, guid)) FROM v1_entry")
            assert doubled.scalar() == 0
            changes = db.exec_driver_sql("SELECT cursor, event_id, kind FROM v1_change ORDER BY cursor").all()
            alive = db.exec_driver_sql("SELECT id, merged_into FROM v1_event").all()
    assert found.events == outlets.expected
    assert left == {"v1_event": [], "v1_event_entry": [], "v1_teaser": []}
    assert mirror.seen == [tuple(row) for row in changes]
    times = Counter((row.event_id, row.kind) for row in changes)
    assert {event: n for (event, kind), n in times.items() if kind == "created"} == {
        row.id: 1 for row in alive
    }
    ended = {row.id: 1 for row in alive if row.merged_into is not None}
    assert {event: n for (event, kind), n in times.items() if kind == "merged"} == ended
    assert [log.name for log in crowd.logs if "Traceback" in log.read_text()] == []
