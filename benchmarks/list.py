"""What a long list of feeds costs: reading it, putting it in force, a reload after one edit, and a tick's look.

`python benchmarks/list.py [FEEDS ...] [--postgresql]` (default 1000 10000 100000): with a writer beside it that
commits a small change every few milliseconds, as polls do, and notes how long it had to wait. On PostgreSQL the
server's own computing is not counted, but it is in what the clock says. PYTHONPATH names the tree that is measured.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Self

from runs import ROOT

sys.path.append(str(ROOT))

from aggregator.config import load_settings
from aggregator.opml import read_opml
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import OpmlWatch
from aggregator.store import Store, open_store
from aggregator.store.feeds import due_feeds, put_off
from aggregator.types import FeedId
from tests.servers import own_server

OUTLINE = '<outline text="Paper {0}" type="rss" xmlUrl="https://paper{0}.example/feed.xml" htmlUrl="https://paper{0}.example/"/>'
PAUSE = 0.005
RELOADS = 5


class Writer:
    """Commits a change every few milliseconds; `longest` is the most that one took, in seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.longest = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._ended.wait(PAUSE):
            started = time.perf_counter()
            with self._store.write() as db:
                put_off(db, [(FeedId(1), utc_now() + timedelta(days=9))])
            self.longest = max(self.longest, time.perf_counter() - started)


class Time(NamedTuple):
    """Seconds of computing of this thread, and by the clock: on a busy machine that tells more of the others."""

    computing: float
    clock: float


def main() -> None:
    """Prints a row of a table for each length."""
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()] or [1_000, 10_000, 100_000]
    print(
        "| feeds | read | first time | longest wait | reload after one edit | by the clock | longest wait | tick |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with own_server() if "--postgresql" in sys.argv else nullcontext() as server:
        for count in counts:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                database = server.new_database() if server else f"sqlite:///{folder / 'news.db'}"
                print(row(count, folder, database))


def row(count: int, folder: Path, database: str) -> str:
    """One row: of the reloads the longest; a writer's waits are by the clock."""
    settings = load_settings({"database": database, "opml": folder / "feeds.opml"})
    text = opml(count)
    lists = [text, text.replace('"Paper 7"', '"Paper seven"')]
    store = open_store(database)
    watch = OpmlWatch(store, settings)

    def reload(number: int) -> Time:
        settings.opml.write_text(lists[number % len(lists)])
        return taken(watch.look)

    try:
        read = taken(lambda: read_opml(text.encode()))
        settings.opml.write_text(text)
        with Writer(store) as beside_first:
            first = taken(watch.start)
        with Writer(store) as beside_reloads:
            reloads = [reload(number) for number in range(1, RELOADS + 1)]
        later = utc_now() + timedelta(days=1)
        with store.write() as db:
            put_off(db, [(FeedId(number), later) for number in range(1, count + 1)])
        with store.read() as db:
            tick = taken(lambda: due_feeds(db, utc_now()))
    finally:
        store.close()
    return (
        f"| {count:,} | {read.computing:.2f} s | {first.computing:.2f} s | {beside_first.longest * 1000:.0f} ms "
        f"| {max(reloads).computing:.2f} s | {max(one.clock for one in reloads):.2f} s "
        f"| {beside_reloads.longest * 1000:.0f} ms | {tick.computing * 1000:.1f} ms |"
    )


def opml(count: int) -> str:
    """A list of so many feeds."""
    outlines = "\n".join(map(OUTLINE.format, range(count)))
    return f'<opml version="2.0"><head><title>Papers</title></head><body>\n{outlines}\n</body></opml>'


def taken(work: Callable[[], object]) -> Time:
    """How long it takes."""
    computing, clock = time.thread_time(), time.perf_counter()
    work()
    return Time(time.thread_time() - computing, time.perf_counter() - clock)


if __name__ == "__main__":
    main()
