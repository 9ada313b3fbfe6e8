"""How fast entries are grouped, and how that depends on how many the window holds.

`python benchmarks/growth.py [--keep FOLDER] [ENTRIES ...]` (default 10000 100000): for each number a database is
filled with so many entries of made-up news of three days in events (benchmarks/filled.py), the memory of a new
process is built from it, as after a restart, and the next 3,000 entries of the same days are grouped. Their first
third warms up, then what is near to every old entry is found, as in a daemon that has run for days; only the others
count. Storing is measured on the same database: 50 feeds of 30 new entries each, each written in a transaction.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from filled import DAYS, database
from made_up import stories

from aggregator.cluster.judge import survey
from aggregator.cluster.postings import day_of
from aggregator.cluster.signature import sign
from aggregator.config import load_settings
from aggregator.normalise import normalise
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.memory import give_back, share_one_arena
from aggregator.pipeline.news import read_news
from aggregator.store import Store, open_store
from aggregator.store.entries import write_news
from aggregator.store.events import pending_entries
from aggregator.store.feeds import import_feeds
from aggregator.types import NO_HINTS, ParsedEntry, ParsedFeed

WARM = 1_000
FEEDS, ITEMS = 50, 30


def main() -> None:
    """Prints a line for each size of the window."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entries", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="keep what was built, for the next time")
    parser.add_argument("--measure", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        _measure(asked.measure)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for size in asked.entries:
            path = database(asked.keep or Path(scratch), size, is_kept=asked.keep is not None)
            print(f"{size:>9,} entries in the window", flush=True)
            # A process of its own: what the filling took is not counted.
            subprocess.run([sys.executable, __file__, "--measure", path], check=True)


def _measure(path: Path) -> None:
    share_one_arena()
    store = open_store(f"sqlite:///{path}")
    clusterer = Clusterer(store, load_settings({"window_days": DAYS}), utc_now)
    window = clusterer._window  # noqa: SLF001 (no program has a use for this)
    with store.read() as db:
        waiting = pending_entries(db, 10 * WARM)
        started = time.perf_counter()
        clusterer._load(db, {day_of(entry.at) for entry in waiting}, {entry.id for entry in waiting})  # noqa: SLF001
    built = time.perf_counter() - started
    give_back()
    print(f"  memory built in {built:.1f} s, {_megabytes('VmRSS'):,.0f} MB then", flush=True)
    done, began, first = 0, 0.0, 0
    for report in clusterer.settle_pending():
        done += report.entries
        if done >= WARM and not began:
            for _ in survey(window, np.arange(len(window.entries))):
                continue
            began, first = time.process_time(), done
    seconds = time.process_time() - began
    give_back()
    print(
        f"  grouping: {(done - first) / seconds:,.0f} entries a second of computing, "
        f"{seconds / (done - first) * 1000:.2f} ms each; {_megabytes('VmRSS'):,.0f} MB then, "
        f"{_megabytes('VmHWM'):,.0f} MB at most",
        flush=True,
    )
    print(f"  storing: {_store_some(store):.3f} ms an entry", flush=True)
    store.close()


def _store_some(store: Store) -> float:
    """Milliseconds of computing to look up and write an entry of a new feed, in a transaction for each feed."""
    made = (json.loads(line) for _, line in stories(FEEDS * ITEMS, DAYS, seed=2))
    seconds = 0.0
    for number in range(FEEDS):
        items = tuple(_parsed(next(made)) for _ in range(ITEMS))
        feed = normalise(ParsedFeed(f"Feed {number}", "", "", NO_HINTS, items), "", utc_now())
        feed = replace(feed, signatures=tuple(sign(feed.entries)))
        began = time.process_time()
        with store.write() as db:
            feed_id = import_feeds(db, [f"Feed {number}"])[f"Feed {number}"]
            news = read_news(db, feed_id, feed, is_whole=True)
            assert len(write_news(db, feed_id, news, utc_now())) == ITEMS
        seconds += time.process_time() - began
    return seconds / (FEEDS * ITEMS) * 1000


def _parsed(fields: dict[str, str]) -> ParsedEntry:
    return ParsedEntry(
        guid=fields["id"],
        link=fields["url"],
        title=fields["title"],
        title_is_html=False,
        summary=fields["text"],
        summary_is_html=False,
        content="",
        content_is_html=False,
        base="",
        author="",
        lang=fields["lang"],
        source=fields["source"],
        published=datetime.fromisoformat(fields["published"]),
    )


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    main()
