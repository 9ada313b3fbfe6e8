"""How fast one process groups what waits in bulk, on SQLite and on PostgreSQL.

`python benchmarks/backlog.py [--days 3] [--cores 1] [ENTRIES ...]` (default 5000 20000): so many entries of
made-up news (made_up.py) are stored in an empty database and then grouped, as after a first pass over many feeds.
Seconds, and those of computing in this process (not in the helpers that it has with more cores), of each part of
it: finding what is near, weighing with what is written of it, forming events, and their related teasers. It ends
with status 1 if the events on both databases are not the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a second thread mostly waits

from made_up import stories
from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_source
from aggregator.pipeline.memory import share_one_arena
from aggregator.pipeline.reports import ClusterReport
from aggregator.pipeline.sources import open_source
from aggregator.store import Store, open_store
from aggregator.workers import ALONE, Crew, OnDemand
from tests.servers import own_server

PARTS = ("finding", "weighing", "forming", "relating")


def main() -> None:
    """Prints a line for each number of entries and database."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entries", nargs="*", type=int, default=[5_000, 20_000])
    parser.add_argument("--days", type=float, default=3)
    parser.add_argument("--cores", type=int, default=1, help="processes that weigh")
    asked = parser.parse_args()
    share_one_arena()
    print("| entries | database | entries a second, of computing |" + "".join(f" {part} |" for part in PARTS))
    print("|---|---|---|" + "---|" * len(PARTS))
    with own_server() as server, tempfile.TemporaryDirectory() as folder:
        for number, size in enumerate(asked.entries):
            archive = Path(folder) / f"{number}.jsonl"
            with archive.open("wb") as file:
                file.writelines(line for _, line in stories(size, asked.days, seed=1))
            found = [
                work_off(name, url, archive, asked.cores)
                for name, url in (
                    ("SQLite", f"sqlite:///{folder}/{number}.db"),
                    ("PostgreSQL", server.new_database()),
                )
            ]
            if found[0] != found[1]:
                sys.exit("the events are not the same")


def work_off(name: str, url: str, archive: Path, cores: int) -> list[list[int]]:
    """Stores and groups the entries, and prints what grouping took; the events."""
    store = open_store(url)
    with open_source(str(archive)) as source:
        for _ in import_source(store, source, utc_now(), ALONE):
            continue
    with OnDemand(cores) as helpers:
        wall, computing = _grouped(store, helpers)
    events = _events(store)
    store.close()
    entries = sum(map(len, events))
    shown = "".join(f" {wall[part]:.1f} s ({computing[part]:.1f}) |" for part in PARTS)
    rates = f"{entries / sum(wall.values()):,.0f}, {entries / sum(computing.values()):,.0f}"
    print(f"| {entries:,} | {name} | {rates} |{shown}", flush=True)
    return events


def _grouped(store: Store, helpers: Crew) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each part, and those of computing."""
    wall: dict[str, float] = defaultdict(float)
    computing: dict[str, float] = defaultdict(float)
    began, worked = time.perf_counter(), time.process_time()
    for report in Clusterer(store, load_settings({}), utc_now, helpers=helpers).work():
        part = _part(report, is_formed="forming" in wall)
        wall[part] += time.perf_counter() - began
        computing[part] += time.process_time() - worked
        began, worked = time.perf_counter(), time.process_time()
    return wall, computing


def _part(report: ClusterReport, *, is_formed: bool) -> str:
    if report.entries:
        return "weighing"
    if report.reviewed:
        return "forming"
    return "relating" if is_formed else "finding"


def _events(store: Store) -> list[list[int]]:
    with store.read() as db:
        groups: dict[int, list[int]] = {}
        for entry, event in db.execute(text("SELECT id, event_id FROM entry ORDER BY id")):
            groups.setdefault(event, []).append(entry)
    return sorted(groups.values())


if __name__ == "__main__":
    main()
