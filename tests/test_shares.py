"""A backlog within one window is weighed by several processes as by one, and by one if the others are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from aggregator.cluster import judge
from aggregator.config import load_settings
from aggregator.pipeline import cluster, shares, weighing
from aggregator.pipeline.checking import find_faults
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.store import Store, open_store
from aggregator.workers import Alone, Crew, CrewError, JobLimits, Lost, OnDemand
from tests.archives import Item, Kept, Result, Watched, events_of, kept_of, made_up
from tests.databases import Databases

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NEWS = made_up(130, 2)


def _share_everything(patch: pytest.MonkeyPatch, at_once: int = 16) -> None:
    """Whatever waits is shared out if there are helpers, and judged in small parts anyway."""
    patch.setattr(cluster, "MUCH", 1)
    patch.setattr(cluster, "LEAST_SHARED", 1)
    for module in (shares, weighing):
        patch.setattr(module, "WRITTEN", 1)
    for module in (shares, weighing, judge):
        patch.setattr(module, "AT_ONCE", at_once)


IN_PROCESSES = judge.AT_ONCE
"""What processes of their own have, where nothing is patched."""


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """See _share_everything."""
    _share_everything(monkeypatch)


def _group(
    store: Store, lines: Iterable[bytes], helpers: Crew, clusterer: Clusterer | None = None
) -> Clusterer:
    for _ in import_lines(store, list(lines), NOW):
        continue
    clusterer = clusterer or Clusterer(store, load_settings({}), lambda: NOW, helpers=helpers)
    for _ in clusterer.work():
        continue
    return clusterer


def _all_at_once(store: Store, helpers: Crew) -> Kept:
    _group(store, NEWS, helpers)
    return kept_of(store)


@pytest.fixture(scope="module")
def alone(empty_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """What one process keeps of the news, on SQLite: what is compared with it runs on both databases."""
    with pytest.MonkeyPatch.context() as patch:
        _share_everything(patch)
        store = open_store(Databases(None, empty_file, tmp_path_factory.mktemp("alone")).new())
        kept = _all_at_once(store, Alone())
        store.close()
    return kept


def test_several_processes_keep_what_one_keeps(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    _share_everything(monkeypatch, IN_PROCESSES)
    found = []
    with OnDemand(2) as helpers:
        for crew in (Alone(), helpers):
            store = open_store(databases.new())
            found.append(_all_at_once(store, crew))
            store.close()
    assert 120 <= len(events_of(found[0])) <= 140
    assert found[0] == found[1]


def test_each_helper_gets_a_share_and_then_parts(store: Store, alone: Kept) -> None:
    helpers = Watched()
    assert _all_at_once(store, helpers) == alone
    kinds = [type(given) for given in helpers.given]
    assert kinds.count(shares.Part) > 2
    assert len(kinds) > 2 + kinds.count(shares.Part)


@pytest.mark.parametrize("lost", [1, 3, 5, 100])
def test_what_helpers_lose_this_process_does(store: Store, alone: Kept, lost: int) -> None:
    assert _all_at_once(store, Watched(loses=lost)) == alone


class Unavailable(Watched):
    """A crew of which no process can be started, from the third value on."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew."""
        for given in super().each(job, items, limits_of):
            if len(self.given) > 3:
                raise CrewError("no process can be started")
            yield given


def test_without_any_process_this_one_does_it(store: Store, alone: Kept) -> None:
    assert _all_at_once(store, Unavailable()) == alone


@pytest.mark.parametrize("is_warm", [True, False])
def test_more_news_are_weighed_beside_what_is_there(databases: Databases, *, is_warm: bool) -> None:
    found = []
    for helpers in (Alone(), Watched()):
        store = open_store(databases.new())
        _group(store, NEWS[::2], Alone())
        again = Clusterer(store, load_settings({}), lambda: NOW, helpers=helpers)
        if is_warm:
            for _ in again.work():
                continue
        _group(store, NEWS[1::2], helpers, again)
        found.append(kept_of(store))
        store.close()
    assert events_of(found[0]) == events_of(found[1])
    assert found[0] == found[1]


@pytest.mark.postgresql("SQLite tells rows by their numbers")
def test_it_makes_no_difference_in_which_order_the_database_tells_rows(databases: Databases) -> None:
    found = []
    for moved in (1, 3):
        store = open_store(databases.new())
        _group(store, NEWS[::2], Alone())
        with store.write() as db:  # an update puts a row behind all others
            db.execute(text(f"UPDATE entry SET title = title WHERE id % {moved} = 0"))
            db.execute(text(f"UPDATE signature SET at = at WHERE entry_id % {moved} = 0"))
            db.execute(text(f"UPDATE decision SET at = at WHERE entry_id % {moved} = 0"))
        _group(store, NEWS[1::2], Alone())
        found.append(kept_of(store))
        store.close()
    assert found[0] == found[1]


class Eager(Watched):
    """A crew that has judged everything before anything of it is written."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew."""
        return iter(list(super().each(job, items, limits_of)))


def test_a_new_copy_of_an_old_entry_is_one_whoever_is_judged_first(databases: Databases) -> None:
    found = []
    for helpers in (Alone(), Eager()):
        store = open_store(databases.new())
        _group(store, NEWS[:150], Alone())
        _group(store, NEWS[150:], helpers)
        found.append(kept_of(store)[2])
        store.close()
    copies = [(a, b) for a, b, _, is_copy in found[0] if is_copy]
    assert [(a, b) for a, b in copies if int(str(a)) <= 150 < int(str(b))]
    assert found[0] == found[1]


class Removing(Watched):
    """A crew before whose first job an entry disappears."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew."""
        if not self.given:
            with self._store.write() as db:
                for table, column in (("signature", "entry_id"), ("entry", "id")):
                    db.execute(text(f"DELETE FROM {table} WHERE {column} = 7"))
        return super().each(job, items, limits_of)


def test_an_entry_that_is_removed_meanwhile_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    kept = _all_at_once(store, Removing(store))
    assert len(kept[0]) == len(NEWS) - 1
    assert 0 < len(caplog.records) < len(NEWS) / 16, "only what names the entry is lost"
    assert all(event is not None for _, event, *_ in kept[0])
    assert not any(find_faults(store).values())


def test_helpers_are_started_anew_after_a_rest() -> None:
    with OnDemand(2) as helpers:
        helpers.rest()
        assert dict(helpers.each(abs, [-1, -2])) == {-1: 1, -2: 2}
        helpers.rest()
        assert dict(helpers.each(abs, [-3])) == {-3: 3}
