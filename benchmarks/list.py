"""What a long list of feeds costs: reading it, putting it in force, a reload after one edit, and a tick's look.

`python benchmarks/list.py [FEEDS ...]` (default 1000 10000 100000): on SQLite, with a writer beside it that commits
a small change every few milliseconds, as polls do, and notes how long it had to wait.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Self

from aggregator.config import load_settings
from aggregator.opml import read_opml
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import ListFile, put_in_force
from aggregator.store import Store, open_store
from aggregator.store.feeds import due_feeds, put_off
from aggregator.types import FeedId, ListSource

OUTLINE = '<outline text="Paper {0}" type="rss" xmlUrl="https://paper{0}.example/feed.xml" htmlUrl="https://paper{0}.example/"/>'
PAUSE = 0.005


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


def main() -> None:
    """Prints a row of a table for each length."""
    print("| feeds | read | first time | reload after one edit | longest wait of a writer | a tick's look |")
    print("|---|---|---|---|---|---|")
    for count in [int(word) for word in sys.argv[1:]] or [1_000, 10_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            print(row(count, f"sqlite:///{Path(folder) / 'news.db'}"))


def row(count: int, database: str) -> str:
    """One row: seconds and milliseconds of computing; a wait is by the clock."""
    settings = load_settings({"database": database})
    text = opml(count)
    edited = text.replace("Paper 7<", "Paper seven<").replace('"Paper 7"', '"Paper seven"').encode()
    store = open_store(database)
    try:
        read = seconds(lambda: read_opml(text.encode()))
        with Writer(store) as writer:
            first = seconds(lambda: put_in_force(store, listed(text.encode()), settings))
            reload = seconds(lambda: put_in_force(store, listed(edited), settings))
        later = utc_now() + timedelta(days=1)
        with store.write() as db:
            put_off(db, [(FeedId(number), later) for number in range(1, count + 1)])
        with store.read() as db:
            tick = seconds(lambda: due_feeds(db, utc_now()))
    finally:
        store.close()
    return (
        f"| {count:,} | {read:.2f} s | {first:.2f} s | {reload:.2f} s | {writer.longest * 1000:.0f} ms "
        f"| {tick * 1000:.1f} ms |"
    )


def listed(content: bytes) -> ListFile:
    """The list of this content, as if just read."""
    return ListFile(read_opml(content), ListSource("", "", utc_now()))


def opml(count: int) -> str:
    """A list of so many feeds."""
    outlines = "\n".join(map(OUTLINE.format, range(count)))
    return f'<opml version="2.0"><head><title>Papers</title></head><body>\n{outlines}\n</body></opml>'


def seconds(work: Callable[[], object]) -> float:
    """How long it computes: on a busy machine the clock tells more of the others."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


if __name__ == "__main__":
    main()
