"""What people say of events outlasts whatever comes later: copies, edits, restarts, other weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.reports import ClusterReport
from aggregator.store import open_store
from aggregator.store.decisions import ask_to_regroup
from tests.databases import query
from tests.program import Program, run, write_jsonl

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BRIDGE = (
    "The old bridge over the Wend at Harbury was closed this morning after inspectors found cracks in two of its "
    "pillars. The county's road office said that the work would take until March, and that buses will run by way "
    "of the ferry landing at Oxley. Shopkeepers on the market square fear for their winter trade."
)
PIANO = (
    "A girl of eleven from the fishing village of Sandal has won the national piano prize with a late sonata by "
    "Schubert. The jury spoke of a calm that one does not meet twice in a lifetime. Her teacher, who is eighty, "
    "said that he had only opened the windows. The prize is a grand piano, and nobody knows where to put it."
)
FROST = (
    "Growers in the Tarn valley lit four thousand candles among their apricot trees on Sunday night, as the frost "
    "came back three weeks after blossom. Half of the harvest is lost on the lower slopes, the co-operative said, "
    "and insurers will send assessors on Wednesday to count what the candles have saved."
)


def _entry(name: str, body: str, minutes: int = 0) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minutes)
    return {
        "id": name,
        "source": f"{name.title()} Gazette",
        "title": body.split(".", maxsplit=1)[0],
        "text": body,
        "published": at.isoformat(),
        "lang": "en",
    }


BASE = [
    _entry("bridge-1", BRIDGE),
    _entry("bridge-2", BRIDGE, 5),
    _entry("bridge-3", BRIDGE, 9),
    _entry("piano-1", PIANO, 12),
    _entry("piano-2", PIANO, 15),
    _entry("frost-1", FROST, 20),
]


class News:
    """A database, asked and corrected by way of the commands."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.settings = {"DATABASE": database}
        self._database = database
        self._files = 0

    def bring(self, entries: Sequence[dict[str, Any]]) -> None:
        self._files += 1
        run(
            self.folder,
            "import",
            write_jsonl(self.folder / f"{self._files}.jsonl", entries),
            settings=self.settings,
        )

    def say(self, *words: object, status: int = 0) -> str:
        done = run(self.folder, "event", *words, status=status, settings=self.settings)
        assert done.stderr.count("\n") == (1 if status else 0)
        return done.stdout + done.stderr

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self._database, sql)

    def number(self, name: str) -> int:
        ((found,),) = self.rows(f"SELECT id FROM v1_entry WHERE guid = '{name}'")
        return int(found)

    def event(self, name: str) -> int:
        ((found,),) = self.rows(f"SELECT event_id FROM v1_entry WHERE guid = '{name}'")
        return int(found)

    def events(self) -> list[list[str]]:
        groups: dict[int, list[str]] = {}
        for event, name in self.rows("SELECT event_id, guid FROM v1_entry ORDER BY guid"):
            groups.setdefault(event, []).append(name)
        return sorted(groups.values())

    def cursor(self) -> int:
        return int(self.rows("SELECT coalesce(max(cursor), 0) FROM v1_change")[0][0])

    def changes(self, since: int) -> list[tuple[Any, ...]]:
        return self.rows(
            f"SELECT kind, event_id, other_event_id FROM v1_change WHERE cursor > {since} ORDER BY cursor"
        )

    def form_everything_anew(self) -> None:
        """See `forming_anew`."""
        for _ in self.forming_anew():
            continue

    def forming_anew(self) -> Iterator[ClusterReport]:
        """A new process that looks at every event again, as if all weights had changed, in steps."""
        store = open_store(self._database)
        with store.write() as db:
            ask_to_regroup(db, [row.id for row in db.execute(text("SELECT id FROM v1_entry"))])
        settings = load_settings({"database": self._database})
        yield from Clusterer(store, settings, lambda: NOON + timedelta(hours=1)).work()
        store.close()


@pytest.fixture
def news(database: str, tmp_path: Path) -> News:
    found = News(tmp_path, database)
    found.bring(BASE)
    assert found.events() == [["bridge-1", "bridge-2", "bridge-3"], ["frost-1"], ["piano-1", "piano-2"]]
    return found


def test_merged_events_stay_one_whatever_comes(news: News) -> None:
    kept, gone, start = news.event("bridge-1"), news.event("frost-1"), news.cursor()
    assert f"Event {gone} is now part of event {kept}." in news.say("merge", kept, gone)
    both = [["bridge-1", "bridge-2", "bridge-3", "frost-1"], ["piano-1", "piano-2"]]
    assert news.events() == both
    assert news.rows(f"SELECT merged_into FROM v1_event WHERE id = {gone}") == [(kept,)]
    assert news.rows(f"SELECT entry_count, source_count FROM v1_event WHERE id = {kept}") == [(4, 4)]
    assert news.changes(start) == [("merged", gone, kept), ("updated", kept, None)]
    news.form_everything_anew()
    assert news.events() == both
    news.bring(BASE)
    news.bring([_entry("frost-2", FROST, 40), _entry("bridge-4", BRIDGE, 41)])
    assert news.event("frost-2") == news.event("bridge-4") == news.event("frost-1") == kept
    news.form_everything_anew()
    assert news.event("frost-2") == news.event("bridge-4") == kept
    assert len(news.events()) == 2


def test_what_people_say_while_events_are_formed_anew_is_obeyed(
    news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.pipeline.cluster.REGROUP", 1)
    formed = (report for report in news.forming_anew() if report.reviewed)
    next(formed)
    news.say("split", news.event("piano-1"), news.number("piano-2"))
    next(formed)
    news.say("merge", news.event("bridge-1"), news.event("frost-1"))
    assert len(list(formed)) == 1
    assert news.events() == [["bridge-1", "bridge-2", "bridge-3", "frost-1"], ["piano-1"], ["piano-2"]]
    decided = "SELECT entry_id, rule, mean, size FROM decision ORDER BY entry_id"
    found = news.rows(decided)
    news.form_everything_anew()
    assert found == news.rows(decided)


def test_split_copies_stay_apart_whatever_comes(news: News) -> None:
    whole, start = news.event("bridge-1"), news.cursor()
    news.say("split", whole, news.number("bridge-2"))
    torn = news.event("bridge-2")
    assert torn != whole
    assert news.event("bridge-1") == news.event("bridge-3") == whole
    assert news.changes(start) == [("created", torn, None), ("split", whole, torn), ("updated", whole, None)]
    record = f"SELECT entry_count, source_count, canonical_entry_id FROM v1_event WHERE id = {torn}"
    assert news.rows(record) == [(1, 1, news.number("bridge-2"))]
    relations = f"SELECT relation FROM v1_event_entry WHERE event_id = {torn}"
    assert news.rows(relations) == [("canonical",)]
    news.form_everything_anew()
    news.bring([_entry("bridge-2", BRIDGE.replace("March", "April"), 5)])
    news.bring([_entry("bridge-4", BRIDGE, 41)])
    news.form_everything_anew()
    assert news.event("bridge-1") == news.event("bridge-3") == whole
    assert news.event("bridge-2") == torn
    assert news.event("bridge-4") in {whole, torn}


def test_a_split_is_taken_back_by_a_merge_and_a_merge_by_a_split(news: News) -> None:
    whole = news.event("bridge-1")
    news.say("split", whole, news.number("bridge-2"), news.number("bridge-3"))
    torn = news.event("bridge-2")
    assert "takes back what an earlier split said" in news.say("merge", whole, torn)
    assert news.event("bridge-2") == news.event("bridge-1") == news.event("bridge-3") == whole
    news.say("split", whole, news.number("bridge-2"))
    news.form_everything_anew()
    assert news.event("bridge-2") not in {whole, torn}
    assert news.event("bridge-1") == news.event("bridge-3") == whole


def test_a_part_split_from_a_merged_event_leaves_the_rest_of_the_merge(news: News) -> None:
    whole = news.event("bridge-1")
    news.say("merge", whole, news.event("piano-1"))
    news.say("merge", whole, news.event("frost-1"))
    said = news.say("split", whole, news.number("piano-1"), news.number("piano-2"))
    assert "takes back what an earlier merge said" in said
    news.form_everything_anew()
    assert news.events() == [["bridge-1", "bridge-2", "bridge-3", "frost-1"], ["piano-1", "piano-2"]]


def test_a_merged_event_is_found_by_its_old_id(news: News) -> None:
    bridge, frost, piano = news.event("bridge-1"), news.event("frost-1"), news.event("piano-1")
    news.say("merge", bridge, frost)
    news.say("merge", frost, piano)
    assert set(news.rows("SELECT event_id FROM v1_entry")) == {(bridge,)}
    assert news.rows(f"SELECT merged_into FROM v1_event WHERE id IN ({frost}, {piano})") == [
        (bridge,),
        (bridge,),
    ]


def test_a_pin_holds_until_it_is_taken_out(news: News) -> None:
    event, start = news.event("bridge-1"), news.cursor()
    chosen = "SELECT canonical_entry_id FROM v1_event WHERE id = " + str(event)
    ((before,),) = news.rows(chosen)
    pinned = news.number("bridge-3") if before != news.number("bridge-3") else news.number("bridge-2")
    news.say("pin", pinned)
    assert news.changes(start) == [("updated", event, None)]
    assert news.rows(chosen) == [(pinned,)]
    news.bring([_entry("bridge-0", f"{BRIDGE} The mayor will speak at noon, at the ferry landing.", -90)])
    news.form_everything_anew()
    assert news.event("bridge-0") == event
    assert news.rows(chosen) == [(pinned,)]
    other = news.number("bridge-1")
    assert "takes the place" in news.say("pin", other)
    assert news.rows(chosen) == [(other,)]
    news.say("unpin", other)
    assert news.rows(chosen)[0][0] not in {pinned, other}
    assert f"entry {other} is not pinned" in news.say("unpin", other, status=1)


def test_what_people_said_is_explained(news: News) -> None:
    bridge = news.event("bridge-1")
    news.say("merge", bridge, news.event("frost-1"))
    news.say("split", bridge, news.number("bridge-2"))

    def explained(one: str, other: str) -> str:
        return run(
            news.folder, "explain", news.number(one), news.number(other), settings=news.settings
        ).stdout

    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"together: people said so on {today}" in explained("bridge-1", "frost-1")
    assert f"apart: people said so on {today}" in explained("bridge-1", "bridge-2")
    assert "people" in run(news.folder, "explain", news.number("frost-1"), settings=news.settings).stdout


def test_what_can_not_be_corrected_is_said_and_changes_nothing(news: News) -> None:
    bridge, start, before = news.event("bridge-1"), news.cursor(), news.events()
    piano = news.number("piano-1")
    everything = [news.number(f"bridge-{n}") for n in (1, 2, 3)]
    for words, message in (
        (("merge", bridge, 9999), "there is no event 9999"),
        (("merge", bridge, bridge), "one event already"),
        (("split", bridge, piano), f"not in event {bridge}: entry {piano}"),
        (("split", bridge, *everything), "leave at least one"),
        (("split", 9999, piano), "there is no event 9999"),
        (("pin", 9999), "entry 9999 is in no event"),
        (("unpin", piano), f"entry {piano} is not pinned"),
    ):
        assert message in news.say(*words, status=1)
    assert (news.events(), news.changes(start)) == (before, [])


def test_corrections_as_json(tmp_path: Path, program: Program) -> None:
    program.run("import", write_jsonl(tmp_path / "in.jsonl", BASE))
    ((bridge,), (frost,)) = program.query(
        "SELECT event_id FROM v1_entry WHERE guid IN ('bridge-1', 'frost-1') ORDER BY guid",
    )
    said = json.loads(program.run("event", "merge", bridge, frost, "--json").stdout)
    assert said == {"event_id": bridge, "other_event_id": frost, "corrections_taken_back": 0}
