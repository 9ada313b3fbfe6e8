"""Grouping anew: what it would change is shown first, and is what it then changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from aggregator.pipeline.reclustering import Part, difference
from aggregator.store import open_store
from aggregator.store.tables import DECISION, ENTRY, LINK
from aggregator.types import EntryId, EventId
from tests.program import Program, run, write_jsonl
from tests.test_corrections import BASE, FROST, News, _entry


def _events(**entries: int) -> dict[EntryId, EventId]:
    return {EntryId(int(name[1:])): EventId(event) for name, event in entries.items()}


def test_the_difference_names_what_ends_what_parts_and_what_moves() -> None:
    before = _events(e1=1, e2=1, e3=1, e4=2, e5=3, e6=3, e7=4, e8=4)
    after = _events(e1=1, e2=1, e3=9, e4=1, e5=3, e6=4, e7=4, e8=4)
    found = difference(before, after)
    assert found.merged == (Part((EntryId(4),), EventId(2), EventId(1)),)
    assert found.split == (Part((EntryId(3),), EventId(1), EventId(9)),)
    assert found.moved == (Part((EntryId(6),), EventId(3), EventId(4)),)
    assert (found.entries, found.before, found.after) == (8, 4, 4)


def test_an_event_that_ends_in_parts_is_merged_into_the_one_with_most_of_it() -> None:
    before = _events(e1=1, e2=1, e3=1, e4=2, e5=3)
    after = _events(e1=2, e2=2, e3=3, e4=2, e5=3)
    found = difference(before, after)
    assert found.merged == (Part((EntryId(1), EntryId(2)), EventId(1), EventId(2)),)
    assert found.moved == (Part((EntryId(3),), EventId(1), EventId(3)),)


def test_entries_that_are_new_change_nothing() -> None:
    found = difference(_events(e1=1), _events(e1=1, e2=2))
    assert (found.merged, found.split, found.moved) == ((), (), ())


@pytest.fixture
def news(database: str, tmp_path: Path) -> News:
    found = News(tmp_path, database)
    found.bring([*BASE, _entry("frost-2", FROST, 50)])
    return found


def _recluster(news: News, *arguments: str) -> dict[str, Any]:
    done = run(news.folder, "recluster", "--json", *arguments, settings=news.settings)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _mislead(news: News) -> None:
    """Lets the database look as if other weights had been in force: one event torn, two others joined."""
    store = open_store(news.settings["DATABASE"])
    piano, frost = news.event("piano-1"), news.event("frost-1")
    lost = news.number("bridge-3")
    with store.write() as db:
        db.execute(update(ENTRY).where(ENTRY.c.event_id == frost).values(event_id=piano))
        db.execute(text(f"UPDATE event SET merged_into = {piano} WHERE id = {frost}"))
        made = "(canonical_entry_id, merged_into, first_seen_at, last_seen_at, entry_count, source_count)"
        db.execute(
            text(
                f"INSERT INTO event {made} SELECT {lost}, NULL, first_seen_at, last_seen_at, 1, 1"
                f" FROM event WHERE id = {piano}"
            )
        )
        ((torn,),) = db.execute(text("SELECT max(id) FROM event")).all()
        db.execute(update(ENTRY).where(ENTRY.c.id == lost).values(event_id=torn, relation="canonical"))
        db.execute(update(DECISION).values(regroup=False))
    store.close()


def test_the_preview_changes_nothing_and_is_what_then_happens(news: News) -> None:
    right = news.events()
    assert _recluster(news)["events_after"] == 3
    assert news.events() == right
    _mislead(news)
    wrong, start = news.events(), news.cursor()
    assert wrong == [["bridge-1", "bridge-2"], ["bridge-3"], ["frost-1", "frost-2", "piano-1", "piano-2"]]
    shown = _recluster(news, "--dry-run")
    assert (news.events(), news.cursor()) == (wrong, start)
    assert (len(shown["merged"]), len(shown["split"]), shown["moved"]) == (1, 1, [])
    assert shown["split"][0]["new_event_id"] is None
    done = _recluster(news)
    assert news.events() == right
    for kind in ("merged", "split"):
        assert [part["entry_ids"] for part in done[kind]] == [part["entry_ids"] for part in shown[kind]]
    assert done["merged"][0]["into_event_id"] == news.event("bridge-1")
    kinds = {kind for kind, _, _ in news.changes(start)}
    assert kinds == {"created", "split", "merged", "updated"}
    again = _recluster(news)
    assert (again["merged"], again["split"], again["moved"]) == ([], [], [])


def test_corrections_outlast_it(news: News) -> None:
    news.say("merge", news.event("bridge-1"), news.event("frost-1"))
    news.say("split", news.event("piano-1"), news.number("piano-2"))
    said = news.events()
    shown = _recluster(news, "--dry-run")
    assert (shown["merged"], shown["split"], shown["moved"]) == ([], [], [])
    _recluster(news)
    assert news.events() == said


def test_only_entries_since_then_are_weighed(news: News) -> None:
    store = open_store(news.settings["DATABASE"])
    with store.write() as db:
        db.execute(update(LINK).values(score=0.5, is_copy=False))
    _recluster(news, "--since", "2026-11-23T12:11")
    with store.read() as db:
        weighed = {score for (score,) in db.execute(text("SELECT score FROM link"))}
        pairs = db.execute(text("SELECT a, b FROM link WHERE score = 0.5")).all()
    store.close()
    old = {news.number(f"bridge-{n}") for n in (1, 2, 3)}
    assert 0.5 in weighed
    assert {end for pair in pairs for end in pair} <= old


def test_what_it_says_to_people(program: Program) -> None:
    assert "nothing is grouped yet" in program.run("recluster", status=1).stderr
    assert "is no date" in program.run("recluster", "--since", "soon", status=2).stderr
    program.run("import", write_jsonl(program.folder / "in.jsonl", BASE))
    assert "Nothing changes." in program.run("recluster", "--dry-run").stdout
    assert "Nothing has changed." in program.run("recluster").stdout
