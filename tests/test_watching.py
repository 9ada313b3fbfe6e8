"""What an operator is told: alarms by each feed's own rhythm, once; a line a day; which processes run; status."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from aggregator.config import load_settings
from aggregator.meters import Meters
from aggregator.pipeline.watching import Watch
from aggregator.publish import feed_advice
from aggregator.store import Store, open_store
from aggregator.store.activity import brought_by_day, count_activity, day_number, find_alarms
from aggregator.store.dialect import hold_role, role_holder
from aggregator.store.feeds import feed_statuses
from aggregator.store.office import Office
from aggregator.store.processes import KEPT, STALE, Presence, running
from aggregator.store.retention import remove_old, retention
from aggregator.store.syncing import sync_feeds
from aggregator.store.tables import FEED
from aggregator.types import AlarmKind, Brought, Feed, FeedId
from aggregator.workers import ParserPool
from tests.forks import start
from tests.loopback import LoopbackServer
from tests.program import Program, environment
from tests.stage import Collected, Stage, item, ok, rss

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = day_number(NOON)
PAPER = FeedId(1)


@pytest.fixture(scope="module")
def parsers() -> Iterator[ParserPool]:
    with ParserPool(1) as pool:
        yield pool


@pytest.fixture
def stage(store: Store, loopback: LoopbackServer, parsers: ParserPool, tmp_path: Path) -> Stage:
    return Stage(store, loopback, parsers, tmp_path, Collected())


@dataclass
class Desk:
    """A watch with a clock, what it counts, and what it tells."""

    watch: Watch
    counted: Counter[str]
    log: pytest.LogCaptureFixture
    now: datetime = NOON

    def told(self, *, hours: float = 0.0) -> list[str]:
        self.now += timedelta(hours=hours)
        self.log.clear()
        with self.log.at_level(logging.INFO):
            self.watch.look()
        return [record.getMessage() for record in self.log.records]


@pytest.fixture
def desk(store: Store, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], Desk]]:
    """Makes desks, as processes would have them."""
    offices: list[Office] = []

    def make() -> Desk:
        office = Office(store, "watch")
        offices.append(office)
        counted = Counter[str]()
        made: list[Desk] = []
        made.append(Desk(Watch(office, lambda: made[0].now, counted), counted, caplog))
        return made[0]

    yield make
    for office in offices:
        office.__exit__(None, None, None)


def _list(store: Store, *titles: str) -> None:
    feeds = [Feed(f"https://{title.lower()}.example/rss", title, "", "") for title in titles]
    with store.write() as db:
        sync_feeds(db, feeds, load_settings({}), NOON - timedelta(days=40))


def _bring(store: Store, days: range, entries: int = 3, again: int = 0) -> None:
    """The paper brings entries on these days, counted back from today, and is read until noon."""
    with store.write() as db:
        for back in days:
            count_activity(db, PAPER, NOON - timedelta(days=back), Brought(entries, again))
        db.execute(update(FEED).values(last_success_at=NOON))


def _rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.read() as db:
        return [tuple(row) for row in db.execute(text(sql))]


def test_a_silent_feed_is_silent_wherever_it_is_shown(store: Store) -> None:
    _list(store, "Paper", "Wire")
    _bring(store, range(30, 5, -1))
    assert dict(_rows(store, "SELECT title, state FROM v1_feed")) == {"Paper": "silent", "Wire": "ok"}
    with store.read() as db:
        paper, wire = feed_statuses(db)
        (alarm,) = find_alarms(db, NOON)
    assert (paper.state, paper.quiet_days, wire.state, wire.quiet_days) == ("silent", 6, "ok", 0)
    assert feed_advice(paper).startswith("Quiet for 6 days, far longer than ever before.")
    assert (alarm.name, alarm.kind, alarm.count) == ("Paper", AlarmKind.SILENCE, 6)
    shown = Meters().as_text(store, NOON).decode()
    for line in (
        'aggregator_feeds{state="silent"} 1.0',
        'aggregator_feeds{state="failing"} 0.0',
        'aggregator_alarms{kind="silence"} 1.0',
        'aggregator_alarms{kind="again"} 0.0',
    ):
        assert line in shown.splitlines()
    _bring(store, range(0, -1, -1))
    assert dict(_rows(store, "SELECT title, state FROM v1_feed"))["Paper"] == "ok"


def test_a_feed_that_was_not_read_since_is_not_called_silent(store: Store) -> None:
    _list(store, "Paper")
    _bring(store, range(30, 5, -1))
    with store.write() as db:
        db.execute(text("UPDATE feed SET last_success_at = silent_at"))
    assert _rows(store, "SELECT state FROM v1_feed") == [("silent",)]
    with store.write() as db:
        db.execute(text("UPDATE feed SET last_success_at = last_polled_at"))
    assert _rows(store, "SELECT state FROM v1_feed") == [("ok",)]
    for health in ("failing", "gone", "paused"):
        with store.write() as db:
            db.execute(text(f"UPDATE feed SET last_success_at = silent_at, health = '{health}'"))
        assert _rows(store, "SELECT state FROM v1_feed") == [(health,)]


def test_an_alarm_is_told_when_it_begins_and_when_it_ends(store: Store, desk: Callable[[], Desk]) -> None:
    _list(store, "Paper")
    _bring(store, range(30, 5, -1))
    one = desk()
    assert one.told() == ["Paper: Quiet for 6 days, far longer than ever before."]
    assert one.told(hours=2) == []
    _bring(store, range(0, -1, -1), entries=90)
    assert one.told(hours=2) == [
        "Paper: 90 new entries in a day, far more than on any day before.",
        "Paper: as usual again (silence)",
    ]
    assert one.told(hours=12)[0].startswith("2026-11-23 is over"), "the flood of last night is still told of"
    assert one.told(hours=24)[0] == "Paper: as usual again (flood)"


def test_each_day_has_one_line_for_all_processes_and_restarts(store: Store, desk: Callable[[], Desk]) -> None:
    _list(store, "Paper")
    first, second = desk(), desk()
    first.told()
    first.counted.update(polls=2, failed=1, new=3)
    second.counted.update(events=2)
    assert first.told(hours=1) == []
    assert second.told(hours=1) == []
    first.counted.update(polls=5)
    first.watch.count()
    restarted = desk()
    assert restarted.told(hours=11.9) == []
    restarted.counted.update(polls=1)
    second.counted.update(events=1)
    assert second.told(hours=11.01) == [], "another process has the role"
    assert restarted.told(hours=0.1) == [], "a process may not have counted yet"
    (line,) = first.told(hours=11.1)
    assert line.startswith(
        "2026-11-23 is over: 8 polls, 1 of them failed, 3 new entries, 3 new events, 0 alarms, lag unknown, "
    )
    record = first.log.records[0]
    assert (record.__dict__["polls"], record.__dict__["bytes"] > 0) == (8, True)
    assert first.told(hours=1) == []
    (empty,) = first.told(hours=24)
    assert empty.startswith("2026-11-24 is over: 0 polls")


def test_another_process_tells_when_the_one_that_told_is_gone(store: Store, desk: Callable[[], Desk]) -> None:
    _list(store, "Paper")
    _bring(store, range(30, 5, -1))
    with Office(store, "watch") as holder:
        assert holder.seek()
        other = desk()
        assert other.told() == []
    assert other.told() == ["Paper: Quiet for 6 days, far longer than ever before."]


# ---- a source that emits anew --------------------------------------------------------------------

STORIES = range(20)


def _page(way: str) -> bytes:
    """The stories as the site shows them from then on."""
    texts = [
        f"{number} ships and {7 * number} boats wait at quay {number} for the tide" for number in STORIES
    ]
    described = [
        f"<description>{'Meanwhile ' if way == 'edited' else ''}{words}.</description>" for words in texts
    ]
    names = [f"{way}-{number}" if way in {"guids", "archive"} else f"old-{number}" for number in STORIES]
    links = [
        f"https://paper.example/{'archive' if way == 'archive' else 'news'}/{number}" for number in STORIES
    ]
    titles = [f"Quay {number} waits" for number in STORIES]
    return rss(*(
        item(name, extra=body, title=title, link=link)
        for name, body, title, link in zip(names, described, titles, links, strict=True)
    ))  # fmt: skip


def _known_for_days(stage: Stage) -> None:
    """The feed has a rhythm: some stories a day, the last of them now."""
    for day in range(5):
        shown = [item(f"day-{day}-{number}") for number in range(3)]
        stage.serve(ok(rss(*shown)))
        stage.poll(hours=25)
    stage.serve(ok(_page("first")))
    stage.poll(hours=25)
    stage.now += timedelta(hours=24)


def _strange(stage: Stage) -> list[tuple[AlarmKind, int]]:
    with stage.store.read() as db:
        return [(alarm.kind, alarm.count) for alarm in find_alarms(db, stage.now)]


@pytest.mark.parametrize("way", ["guids", "archive", "edited"])
def test_a_feed_that_emits_its_stories_anew_is_an_alarm(stage: Stage, way: str) -> None:
    _known_for_days(stage)
    assert _strange(stage) == []
    stage.serve(ok(_page(way)))
    report = stage.poll(hours=25)
    assert (report.new, report.edited) == {"guids": (0, 0), "archive": (20, 0), "edited": (0, 20)}[way]
    assert _strange(stage) == [(AlarmKind.AGAIN, 20)]
    assert stage.poll(hours=2).new == 0
    assert _strange(stage) == [(AlarmKind.AGAIN, 20)], "what is there again unchanged is not counted again"
    stage.now += timedelta(hours=48)
    assert _strange(stage) == []


def test_ordinary_edits_are_no_alarm(stage: Stage) -> None:
    _known_for_days(stage)
    page = _page("first").decode()
    for number in range(12):
        page = page.replace(f"{number} ships", f"{number} large ships").replace(
            "wait at quay 3", "still wait at quay 3"
        )
        stage.serve(ok(page.encode()))
        assert stage.poll(hours=1).edited
    assert _strange(stage) == []


def test_items_that_went_for_their_age_and_come_again_count(stage: Stage) -> None:
    _known_for_days(stage)
    stage.serve(ok(rss(item("now"))))
    stage.poll(hours=25)
    stage.group()
    stage.now += timedelta(days=40)
    with stage.store.write() as db:
        while remove_old(db, retention(db, stage.now, 30, 1), None, stage.now).events:
            continue
    assert stage.titles == []
    stage.serve(ok(_page("first")))
    assert stage.poll(hours=1).new == 0
    with stage.store.read() as db:
        (by_day,) = brought_by_day(db, day_number(stage.now)).values()
    assert by_day == {day_number(stage.now): Brought(0, 20)}


def test_what_another_version_of_this_program_read_is_not_the_feeds_doing(stage: Stage) -> None:
    _known_for_days(stage)
    with stage.store.write() as db:
        db.execute(text("UPDATE feed SET body_hash = '0:as read by an earlier version'"))
    stage.serve(ok(_page("edited")))
    assert stage.poll(hours=25).edited == 20
    assert _strange(stage) == []


# ---- what runs -----------------------------------------------------------------------------------


def test_who_holds_a_role_is_known_without_taking_it(store: Store) -> None:
    assert role_holder(store.engine, "cluster") == ""
    with hold_role(store.engine, "cluster") as held:
        assert held
        assert "process" in role_holder(store.engine, "cluster")


@pytest.mark.sqlite("on PostgreSQL processes say that they run")
def test_the_processes_on_an_sqlite_file_are_known_by_their_locks(store: Store) -> None:
    assert running(store) == []
    with hold_role(store.engine, "poll"), hold_role(store.engine, "cluster"):
        (found,) = running(store)
    assert (found.pid, found.roles, found.seen_at, found.is_stale) == (
        os.getpid(),
        ("poll", "cluster"),
        None,
        False,
    )


@pytest.mark.postgresql("on SQLite processes are known by their locks")
def test_the_processes_on_postgresql_say_that_they_run_until_they_are_gone(
    store: Store, program: Program
) -> None:
    polls = Presence(store, "one:7:a", lambda: ["poll", "standby"])
    groups = Presence(store, "two:8:b", lambda: ["cluster", "web"])
    for presence in (polls, groups, polls):
        presence.say()
    assert [(one.name, one.roles, one.is_stale) for one in running(store)] == [
        ("one:7:a", ("poll", "standby"), False),
        ("two:8:b", ("cluster", "web"), False),
    ]
    with store.write() as db:
        db.execute(text(f"UPDATE process SET seen_at = now() - interval '{2 * STALE.seconds} seconds' "
                        "WHERE name = 'two:8:b'"))  # fmt: skip
    said = program.run("status").stdout
    assert "killed or cut off" in said
    assert "polls, stands by to group" in said
    found = json.loads(program.run("status", "--json").stdout)
    assert [one["is_stale"] for one in found["processes"]] == [False, True]
    assert found["running"]["cluster"] is None, "who is cut off does not group"
    polls.leave()
    with store.write() as db:
        db.execute(text(f"UPDATE process SET seen_at = now() - interval '{KEPT.days + 1} days'"))
    Presence(store, "three:9:c", lambda: ["web"]).say()
    assert [one.name for one in running(store)] == ["three:9:c"]


@pytest.mark.sqlite("a daemon as a whole; what it writes is tried on both above")
def test_a_daemon_is_among_the_processes_while_it_runs_and_its_day_is_counted(
    tmp_path: Path, loopback: LoopbackServer
) -> None:
    url = f"sqlite:///{tmp_path / 'news.db'}"
    store = open_store(url)
    loopback.on("/well", ok())
    outline = f"<outline xmlUrl='{loopback.url('/well')}'/>"
    (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outline}</body></opml>")
    given = environment(tmp_path, {"DATABASE": url})
    with start(tmp_path, given, "serve", "--no-web", stderr=subprocess.PIPE) as daemon:
        try:
            assert daemon.stderr
            assert any("grouped" in line for line in daemon.stderr)
            (found,) = running(store)
            assert (found.pid, found.roles, found.is_stale) == (daemon.pid, ("poll", "cluster"), False)
            daemon.terminate()
            daemon.communicate(timeout=60)
        finally:
            daemon.kill()
    assert running(store) == []
    assert _rows(store, "SELECT sum(polls), sum(failed), sum(new), sum(events) FROM day_count") == [
        (1, 0, 2, 2)
    ]
    store.close()


STATUS = {
    "running", "processes", "schema", "bytes", "bytes_empty", "feeds", "due", "pending", "lag_seconds",
    "last_polled_at", "alarms", "worst", "next",
}  # fmt: skip


def test_status_says_what_runs_what_is_wrong_and_what_comes(
    tmp_path: Path, program: Program, loopback: LoopbackServer
) -> None:
    loopback.on("/well", ok())
    outlines = "".join(f"<outline xmlUrl='{loopback.url(path)}'/>" for path in ("/well", "/lost"))
    (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    program.run("poll")
    found = json.loads(program.run("status", "--json").stdout)
    assert set(found) == STATUS
    assert found["running"] == {"poll": None, "cluster": None}
    assert found["processes"] == []
    assert found["feeds"] == {"ok": 1, "failing": 1}
    assert [one["failures"] for one in found["worst"]] == [1]
    assert len(found["next"]) == 2
    assert found["bytes"] > 0
    said = program.run("status").stdout
    assert "no process" in said
    assert "worst feeds" in said
