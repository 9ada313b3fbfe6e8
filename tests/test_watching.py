"""What an operator is told: alarms by each feed's own rhythm, once; a line a day; status."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.pipeline.watching import Watch
from aggregator.publish import feed_alarm
from aggregator.store import open_store
from aggregator.store.dialect import hold_role, role_holder
from aggregator.store.syncing import sync_feeds
from aggregator.types import Feed
from tests.loopback import LoopbackServer
from tests.program import run
from tests.stage import ok

WEEKLY = {7 * week: 1 for week in range(10)}
HOURLY = dict.fromkeys(range(64), 24)


@pytest.mark.parametrize(
    ("by_day", "today", "is_strange"),
    [
        (WEEKLY, 65, False),
        (WEEKLY, 63 + 22, True),
        (HOURLY, 64, False),
        (HOURLY, 65, True),
        (dict.fromkeys(range(64), 2), 66, False),
        (dict.fromkeys(range(64), 2), 67, True),
        ({0: 1, 1: 1}, 60, False),
        (HOURLY | {64: 119}, 64, False),
        (HOURLY | {64: 120}, 64, True),
        (dict.fromkeys(range(64), 1) | {64: 49}, 64, False),
        ({64: 5_000}, 64, False),
    ],
)
def test_what_is_strange_goes_by_the_feeds_own_rhythm(
    by_day: dict[int, int],
    today: int,
    is_strange: bool,  # noqa: FBT001
) -> None:
    assert bool(feed_alarm(by_day, today)) == is_strange


def test_an_alarm_is_told_when_it_begins_and_when_it_ends_and_a_day_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    store = open_store(f"sqlite:///{tmp_path / 'news.db'}")
    today = int(clock[0].timestamp() // 86_400)
    with store.write() as db:
        sync_feeds(db, [Feed("https://paper.example/rss", "Paper", "", "")], load_settings({}), clock[0])
        for day in range(today - 30, today - 5):
            db.execute(text(f"INSERT INTO activity VALUES (1, {day}, 3)"))
    counted = Counter(polls=2, failed=1, new=3)
    watch = Watch(store, lambda: clock[0], counted)

    def told() -> list[str]:
        caplog.clear()
        watch.look()
        return [record.getMessage() for record in caplog.records]

    with caplog.at_level(logging.INFO):
        assert told() == ["Paper: Quiet for 6 days, far longer than ever before."]
        clock[0] += timedelta(hours=2)
        assert told() == []
        with store.write() as db:
            db.execute(text(f"INSERT INTO activity VALUES (1, {today}, 3)"))
        clock[0] += timedelta(hours=2)
        assert told() == ["Paper: as usual again"]
        clock[0] += timedelta(hours=12)
        (line,) = told()
        assert line.startswith("a day is over: 2 polls, 1 of them failed, 3 new entries")
        counted["polls"] += 5
        clock[0] += timedelta(days=1)
        assert told()[-1].startswith("a day is over: 5 polls, 0 of them failed")
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_holds_a_role_is_known_without_taking_it(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path / 'news.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("new_database")
    store = open_store(url)
    assert role_holder(store.engine, "cluster") == ""
    with hold_role(store.engine, "cluster") as held:
        assert held
        assert "process" in role_holder(store.engine, "cluster")
    store.close()


def test_status_says_what_runs_what_is_wrong_and_what_comes(tmp_path: Path, loopback: LoopbackServer) -> None:
    loopback.on("/well", ok())
    outlines = "".join(f"<outline xmlUrl='{loopback.url(path)}'/>" for path in ("/well", "/lost"))
    (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    run(tmp_path, "poll")
    found = json.loads(run(tmp_path, "status", "--json").stdout)
    assert found["running"] == {"poll": None, "cluster": None}
    assert found["feeds"] == {"ok": 1, "failing": 1}
    assert [one["failures"] for one in found["worst"]] == [1]
    assert len(found["next"]) == 2
    assert found["bytes"] > 0
    said = run(tmp_path, "status").stdout
    assert "no process" in said
    assert "worst feeds" in said
