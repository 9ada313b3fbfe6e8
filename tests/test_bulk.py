"""Many entries that wait are weighed at once: with the same events as one after another, whatever comes between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

from aggregator.cluster import judge
from aggregator.cluster.judge import Pairs
from aggregator.config import load_settings
from aggregator.pipeline import cluster, weighing
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.reports import ClusterReport
from aggregator.store import Store, StoreError, open_store
from aggregator.store.entries import are_pending, count_pending
from tests.databases import Databases
from tests.test_corrections import BASE, FROST, NOON, PIANO

SETTINGS = load_settings({})
LATER = [
    BASE[0] | {"id": "bridge-4", "source": "Late Gazette"},
    BASE[5] | {"id": "frost-2", "source": "Late Gazette"},
]
TOLD = [["bridge-1", "bridge-2", "bridge-3"], ["frost-1"], ["piano-1", "piano-2"]]
TOLD_LATER = [
    ["bridge-1", "bridge-2", "bridge-3", "bridge-4"],
    ["frost-1", "frost-2"],
    ["piano-1", "piano-2"],
]


def _bring(store: Store, entries: list[dict[str, object]]) -> None:
    for _ in import_lines(store, [json.dumps(entry).encode() for entry in entries], NOON):
        continue


def _work(store: Store) -> Iterator[ClusterReport]:
    return Clusterer(store, SETTINGS, lambda: NOON).work()


def _rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    with store.read() as db:
        return [tuple(row) for row in db.execute(text(sql))]


def _events(store: Store) -> list[list[str]]:
    groups: dict[object, list[str]] = {}
    for event, name in _rows(store, "SELECT event_id, guid FROM v1_entry ORDER BY guid"):
        groups.setdefault(event, []).append(str(name))
    assert None not in groups
    return sorted(groups.values())


def _record(store: Store) -> list[tuple[object, ...]]:
    return [
        *_rows(store, "SELECT guid, relation, score FROM entry ORDER BY guid"),
        *_rows(store, "SELECT event_id, position, text FROM v1_teaser ORDER BY event_id, position"),
        *_rows(store, "SELECT entry_id, rule, mean, size, seen FROM decision ORDER BY entry_id"),
    ]


@pytest.mark.parametrize("much", [1, 1_000])
def test_what_waits_finds_its_events_however_much_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch, much: int
) -> None:
    monkeypatch.setattr(cluster, "MUCH", much)
    _bring(store, BASE)
    assert sum(report.entries for report in _work(store)) == len(BASE)
    assert _events(store) == TOLD
    _bring(store, LATER)
    assert sum(report.entries for report in _work(store)) == len(LATER)
    assert _events(store) == TOLD_LATER


def test_so_many_wait_or_fewer(store: Store) -> None:
    _bring(store, BASE)
    with store.read() as db:
        assert [are_pending(db, least) for least in (1, len(BASE), len(BASE) + 1)] == [True, True, False]
        assert count_pending(db) == len(BASE)


def test_records_are_the_same_as_one_after_another(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = []
    for much in (1, 1_000):
        monkeypatch.setattr(cluster, "MUCH", much)
        store = open_store(databases.new())
        _bring(store, BASE + LATER)
        assert sum(report.entries for report in _work(store)) == len(BASE + LATER)
        records.append(_record(store))
        store.close()
    assert records[0] == records[1]


def test_an_edit_while_it_is_weighed_is_not_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MUCH", 1)
    _bring(store, BASE)
    steps = _work(store)
    next(steps)  # all have been read by now, and none is settled
    assert _rows(store, "SELECT count(*) FROM v1_entry WHERE event_id IS NOT NULL") == [(0,)]
    _bring(store, [BASE[5] | {"title": PIANO.split(".", maxsplit=1)[0], "text": PIANO}])
    assert sum(report.entries for report in steps) == len(BASE)
    assert _events(store) == [["bridge-1", "bridge-2", "bridge-3"], ["frost-1", "piano-1", "piano-2"]]
    assert not _rows(store, f"SELECT id FROM v1_entry WHERE text = '{FROST}'")


def test_what_was_being_written_when_weighing_failed_is_weighed_anew_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "MUCH", 1)
    monkeypatch.setattr(weighing, "WRITTEN", 1)
    for module in (weighing, judge):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    weigh, parts = judge.weigh_surveyed, count(1)

    def failing(*given: Any) -> Pairs:
        if next(parts) == 3:
            raise StoreError("the disk is gone")
        return weigh(*given)

    monkeypatch.setattr(weighing, "weigh_surveyed", failing)
    clusterer = Clusterer(store, SETTINGS, lambda: NOON)
    _bring(store, BASE)
    with pytest.raises(StoreError, match="the disk is gone"):
        list(clusterer.work())
    assert _rows(store, "SELECT count(*) FROM decision") == [(4,)]
    for entries in ([], LATER):
        _bring(store, entries)
        for _ in clusterer.work():
            continue
    assert _rows(store, "SELECT DISTINCT among FROM decision") == [(len(BASE + LATER),)]
    assert _events(store) == TOLD_LATER


def test_nothing_is_lost_if_it_ends_at_any_step(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "MUCH", 1)
    monkeypatch.setattr("aggregator.pipeline.weighing.AT_ONCE", 2)
    monkeypatch.setattr("aggregator.cluster.judge.AT_ONCE", 2)
    ended = False
    steps = 0
    while not ended:
        store = open_store(databases.new())
        _bring(store, BASE + LATER)
        work = _work(store)
        ended = sum(1 for _ in zip(range(steps), work, strict=False)) < steps
        work.close()  # type: ignore[attr-defined]
        for _ in _work(store):
            continue
        assert _events(store) == TOLD_LATER
        assert _rows(store, "SELECT count(*) FROM v1_change WHERE kind = 'created'") == [(len(TOLD_LATER),)]
        store.close()
        steps += 1
    assert steps > len(BASE + LATER) / 2
