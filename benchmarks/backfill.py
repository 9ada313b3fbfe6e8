"""An archive of many days, read and grouped by one process, by all cores, and by a Dask cluster of this machine.

`python benchmarks/backfill.py [--entries 60000] [--days 120]`: each works through the same made-up archive
(made_up.py) in a database of its own, one after the other. Seconds of reading, of weighing (until nothing waits)
and of forming events; the memory of all processes together at most, pages that they share counted once. It ends
with status 1 if the events are not the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a second thread mostly waits

from made_up import stories
from rest import memory
from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_source
from aggregator.pipeline.sources import open_source
from aggregator.store import open_store
from aggregator.workers import Alone, Crew, DaskCluster, Processes, end_fork_server

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=None) as started:
        print(started.scheduler_address, flush=True)
        sys.stdin.read()
"""
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Run:
    """What one way took, in seconds and MB, and the events that it made."""

    reading: float
    weighing: float
    forming: float
    most: float
    events: frozenset[tuple[int, ...]]


def main() -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=60_000)
    parser.add_argument("--days", type=float, default=120)
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        archive = folder / "archive.jsonl"
        with archive.open("wb") as file:
            file.writelines(line + b"\n" for _, line in stories(asked.entries, asked.days, seed=1))
        print(f"{asked.entries:,} entries of {asked.days:g} days, {cores} cores")
        print("by                reading  weighing  forming  entries/s  memory at most")
        with one_process() as crew:
            runs.append(show("one process", archive, crew))
        with all_cores(cores) as crew:
            runs.append(show(f"{cores} processes", archive, crew))
        with dask(folder, cores) as crew:
            runs.append(show("a Dask cluster", archive, crew))
    if any(run.events != runs[0].events for run in runs):
        sys.exit("the events are not the same")


def show(name: str, archive: Path, crew: Crew) -> Run:
    """Works through the archive and prints what it took."""
    run = work_through(archive, crew)
    total = run.reading + run.weighing + run.forming
    print(
        f"{name:16} {run.reading:7.1f}s {run.weighing:8.1f}s {run.forming:7.1f}s"
        f" {sum(map(len, run.events)) / total:10.0f} {run.most:12.0f} MB"
    )
    return run


def work_through(archive: Path, crew: Crew) -> Run:
    """Reads and groups the archive into a new database."""
    with tempfile.TemporaryDirectory() as folder, watched() as most:
        store = open_store(f"sqlite:///{folder}/news.db")
        started = time.perf_counter()
        with open_source(str(archive)) as source:
            for _ in import_source(store, source, utc_now(), crew):
                continue
        read = weighed = time.perf_counter()
        for report in Clusterer(store, load_settings({}), utc_now, crew).work():
            if report.entries:
                weighed = time.perf_counter()
        ended = time.perf_counter()
        with store.read() as db:
            groups: dict[int, list[int]] = {}
            for entry, event in db.execute(text("SELECT id, event_id FROM entry ORDER BY id")):
                groups.setdefault(event, []).append(entry)
        store.close()
        events = frozenset(tuple(group) for group in groups.values())
        return Run(read - started, weighed - read, ended - weighed, max(most), events)


@contextmanager
def watched() -> Iterator[list[float]]:
    """What this process and its children hold, in MB, looked at again and again."""
    found = [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            found.append(memory(os.getpid()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


@contextmanager
def one_process() -> Iterator[Crew]:
    """This process."""
    yield Alone()


@contextmanager
def all_cores(cores: int) -> Iterator[Crew]:
    """A process for each core."""
    with Processes(cores) as crew:
        yield crew
    end_fork_server()


@contextmanager
def dask(folder: Path, cores: int) -> Iterator[Crew]:
    """A Dask cluster with a worker for each core."""
    script = folder / "cluster_up.py"
    script.write_text(CLUSTER)
    place = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, str(script), str(cores)]
    with subprocess.Popen(
        command, env=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            with DaskCluster(process.stdout.readline().strip()) as crew:
                yield crew
        finally:
            process.stdin.close()


if __name__ == "__main__":
    main()
