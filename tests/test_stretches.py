"""Archives: what waits on many days has the same events whoever weighs it, and in whatever stretches of time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import literal, select

from aggregator.config import load_settings
from aggregator.pipeline import cluster, stretches
from aggregator.pipeline.checking import find_faults
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.stretches import Stretch
from aggregator.store import Store, events, open_store
from aggregator.store.dialect import UtcDateTime, day_number, lock_grouping
from aggregator.store.retention import Old, remove
from aggregator.types import EventId
from aggregator.workers import Alone, Crew, DaskCluster, Processes
from tests.archives import FIRST, Kept, Watched, events_of, kept_of, made_up
from tests.databases import Databases
from tests.program import ROOT, run

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ARCHIVE = made_up(90, 60)


def _grouped(store: Store, crew: Crew = Alone()) -> Kept:  # noqa: B008 (has no state)
    """All that the clusterer keeps, after the archive was grouped."""
    for _ in import_lines(store, ARCHIVE, NOW):
        continue
    settled = sum(report.entries for report in Clusterer(store, load_settings({}), lambda: NOW, crew).work())
    assert settled == len(ARCHIVE)
    return kept_of(store)


def _work_by_stretches(patch: pytest.MonkeyPatch) -> None:
    """Whatever waits is worked through by stretches, which are short."""
    patch.setattr(cluster, "MUCH", 1)
    patch.setattr(cluster, "MOST_TAKEN", 0)
    patch.setattr(stretches, "LEAST_WEIGHED", 10)


@pytest.fixture
def by_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """See _work_by_stretches."""
    _work_by_stretches(monkeypatch)


@pytest.fixture(scope="module")
def alone(empty_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """What one process keeps of the archive, on SQLite: what is compared with it runs on both databases."""
    with pytest.MonkeyPatch.context() as patch:
        _work_by_stretches(patch)
        store = open_store(Databases(None, empty_file, tmp_path_factory.mktemp("alone")).new())
        kept = _grouped(store)
        store.close()
    return kept


@pytest.mark.usefixtures("by_stretches")
def test_an_archive_has_the_same_events_by_stretches_as_at_once(store: Store, alone: Kept) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "MOST_TAKEN", 1_000)
        at_once = _grouped(store)
    events = events_of(at_once)
    assert 85 <= len(events) <= 95
    assert events_of(alone) == events
    # What is near to an entry, and so how much it is like another, may differ in the last digits.
    assert [row[:2] for row in alone[1]] == [row[:2] for row in at_once[1]]
    assert _strong(alone) == _strong(at_once)


def _strong(kept: Kept) -> list[tuple[object, object]]:
    return [(a, b) for a, b, score, _ in kept[2] if isinstance(score, float) and score >= 0.2]


def test_entries_that_another_process_removes_meanwhile_leave_nothing_behind(store: Store) -> None:
    before = _grouped(store)
    work = Clusterer(store, load_settings({}), lambda: NOW).weigh_since(FIRST)
    next(work)  # it has read the entries
    with store.write() as db:
        lock_grouping(db)
        event = EventId(min(event for _, event, _, _ in before[0] if isinstance(event, int)))
        gone = tuple(events.entries_of(db, [event]))
        remove(db, Old((event,), gone, None), NOW)
    assert sum(report.reviewed for report in work) >= len(ARCHIVE) - len(gone)
    left = kept_of(store)
    assert len(left[1]) == len(ARCHIVE) - len(gone)
    assert not {end for a, b, *_ in left[2] for end in (a, b)} & {int(entry) for entry in gone}
    assert not any(find_faults(store).values())


@pytest.mark.usefixtures("by_stretches")
def test_an_archive_is_worked_through_by_many_stretches(store: Store) -> None:
    crew = Watched()
    _grouped(store, crew)
    assert len(crew.given) > 2


@pytest.mark.usefixtures("by_stretches")
def test_an_archive_has_the_same_events_on_any_number_of_cores(store: Store, alone: Kept) -> None:
    with Processes(2) as crew:
        assert _grouped(store, crew) == alone


@pytest.mark.usefixtures("by_stretches")
def test_what_a_crew_loses_is_weighed_by_this_process(store: Store, alone: Kept) -> None:
    assert _grouped(store, Watched(loses=2)) == alone


@pytest.mark.usefixtures("by_stretches")
def test_an_archive_that_was_broken_off_at_any_step_is_grouped_by_the_next_process(
    databases: Databases, alone: Kept
) -> None:
    events = events_of(alone)
    for steps in (1, 25):
        store = open_store(databases.new())
        for _ in import_lines(store, ARCHIVE, NOW):
            continue
        work = Clusterer(store, load_settings({}), lambda: NOW).work()
        assert sum(1 for _ in zip(range(steps), work, strict=False)) == steps
        work.close()  # type: ignore[attr-defined]
        for _ in Clusterer(store, load_settings({}), lambda: NOW).work():
            continue
        assert events_of(kept_of(store)) == events
        store.close()


def test_stretches_hold_each_day_once_and_grow_with_what_stands_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stretches, "LEAST_WEIGHED", 100)
    thin = stretches.stretches(dict.fromkeys(range(100), 10), range(100), 3)
    assert [thin[0], thin[-1]] == [Stretch(0, 9), Stretch(90, 99)]
    assert [day for one in thin for day in one.with_margin(0)] == list(range(100))
    # A stretch of a dense archive is so long that its margins are at most twice as much as itself.
    dense = stretches.stretches(dict.fromkeys(range(100), 1_000), range(100), 9)
    assert [one.last - one.first + 1 for one in dense[2:-2]] == [9] * (len(dense) - 4)
    # Days on which there is nothing, and those that are not asked for, are passed over.
    assert stretches.stretches({1: 5, 40: 5}, [1, 2, 40, 60], 3) == [Stretch(1, 1), Stretch(40, 40)]
    assert stretches.stretches({}, [1], 3) == []


def test_a_day_is_counted_by_the_database_as_by_python(store: Store) -> None:
    times = [
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2028, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    with store.read() as db:
        found = [db.execute(select(day_number(literal(at, UtcDateTime())))).scalar_one() for at in times]
    assert found == [(at - datetime(1970, 1, 1, tzinfo=UTC)).days for at in times]


# ---- a Dask cluster ------------------------------------------------------------------------------

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None, host="127.0.0.1") as started:
        print(started.scheduler_address, flush=True)
        sys.stdin.read()
"""


@contextmanager
def _dask(folder: Path, code: Path) -> Iterator[str]:
    """The address of a cluster whose worker has the code of a folder."""
    script = folder / "cluster_up.py"
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=folder,
        env={"PATH": "", "HOME": str(folder), "PYTHONPATH": str(code)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


@pytest.mark.postgresql("which other machines reach; what a cluster reads for an import is the same on both")
@pytest.mark.usefixtures("by_stretches")
def test_a_dask_cluster_reads_and_weighs_an_archive_with_the_same_result(
    store: Store, tmp_path: Path, alone: Kept
) -> None:
    (tmp_path / "archive.jsonl").write_bytes(b"\n".join(ARCHIVE))
    with _dask(tmp_path, ROOT) as address:
        with DaskCluster(address) as crew:
            assert crew.cores == 2
            assert _grouped(store, crew) == alone
        told = run(tmp_path, "import", "archive.jsonl", "--dask", address, "--json")
    assert json.loads(told.stdout)["entries_new"] == len(ARCHIVE)


@pytest.mark.sqlite("refused before anything is kept")
def test_a_dask_cluster_with_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive.jsonl").write_bytes(b"\n".join(ARCHIVE[:3]))
    other = tmp_path / "other"
    other.mkdir()
    # A module, no package: an editable installation would bring the rest of a package's parts.
    (other / "aggregator.py").write_text("")
    with _dask(tmp_path, other) as address:
        told = run(tmp_path, "import", "archive.jsonl", "--dask", address, status=1)
    assert "install it there, too" in told.stderr


@pytest.mark.sqlite("refused before anything is kept")
@pytest.mark.parametrize(
    ("address", "reason"),
    [("nonsense", "nonsense is no address"), ("tcp://127.0.0.1:1", "no Dask cluster answers at")],
)
def test_a_dask_cluster_that_is_not_there_is_named(tmp_path: Path, address: str, reason: str) -> None:
    (tmp_path / "archive.jsonl").write_bytes(b"\n".join(ARCHIVE[:3]))
    told = run(tmp_path, "import", "archive.jsonl", "--dask", address, status=1)
    assert reason in told.stderr
    assert "as in tcp://127.0.0.1:8786" in told.stderr
