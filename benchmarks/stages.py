"""What each stage of a first pass costs: computing time for a feed and for an entry, one stage after another.

`python benchmarks/stages.py DIR [ROUNDS]` (default 3): DIR/feed/*.xml are the feeds. Everything runs in this one
process, on one core, with warm caches as in a daemon; the figures are medians of the rounds. Grouping is measured
as a whole, and the part of it that finds who is near and the part that weighs pairs also by themselves; the rest of
it is comparing copies, forming events, and writing.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a second thread mostly waits, and that would count as computing

import numpy as np
from runs import serving

from aggregator.cluster.judge import survey, weigh_surveyed
from aggregator.cluster.network import shipped
from aggregator.cluster.signature import sign
from aggregator.cluster.window import Window
from aggregator.config import Settings, load_settings
from aggregator.fetch import Fetcher
from aggregator.normalise import normalise
from aggregator.parse import parse_feed
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.memory import share_one_arena
from aggregator.pipeline.poll import READING
from aggregator.store import Store, open_store
from aggregator.store.entries import save_poll
from aggregator.store.events import pending_entries
from aggregator.store.feeds import listed_feeds
from aggregator.store.syncing import sync_feeds
from aggregator.types import Entry, Failed, Feed, FeedState, Fetched, News, PollOutcome, Signature

STAGES = (
    "fetch",
    "parse",
    "normalise",
    "sign",
    "store",
    "group: find who is near",
    "group: weigh",
    "group: all",
)


class Clock:
    """Adds up the computing of stages, in seconds."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Counts what this process and its threads compute meanwhile."""
        started = time.process_time()
        yield
        self.spent[stage] += time.process_time() - started


def main() -> None:
    """Prints a table of the stages."""
    share_one_arena()
    folder, rounds = Path(sys.argv[1]), int((sys.argv[2:] or ["3"])[0])
    names = sorted(file.name for file in (folder / "feed").glob("*.xml"))
    settings = load_settings({"allow_addresses": "127.0.0.1"})
    spent: dict[str, list[float]] = defaultdict(list)
    entries = 0
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as scratch, serving(folder) as base:
            clock = Clock()
            store = open_store(f"sqlite:///{scratch}/news.db")
            entries = _measure(clock, store, settings, [f"{base}/feed/{name}" for name in names])
            store.close()
        # The first round warms up.
        for stage in STAGES if number else ():
            spent[stage].append(clock.spent[stage])
    print(f"{len(names)} feeds, {entries} entries, medians of {rounds} rounds")
    for stage in STAGES:
        seconds = statistics.median(spent[stage])
        print(
            f"{stage:24} {seconds / len(names) * 1e3:7.2f} ms a feed {seconds / entries * 1e6:7.0f} µs an entry"
        )


def _measure(clock: Clock, store: Store, settings: Settings, urls: list[str]) -> int:
    """How many entries went through all stages."""
    now = utc_now()
    with store.write() as db:
        sync_feeds(db, [Feed(url, url, "", "") for url in urls], settings, now)
    with store.read() as db:
        states = listed_feeds(db)
    entries = 0
    with Fetcher(settings) as fetcher:
        for state in states:
            with clock.running("fetch"):
                fetched = fetcher.fetch(state)
            assert isinstance(fetched, Fetched)
            with clock.running("parse"):
                parsed = parse_feed(fetched)
            assert not isinstance(parsed, Failed)
            with clock.running("normalise"):
                feed = normalise(parsed, fetched.url, now)
            with clock.running("sign"):
                signatures = sign(feed.entries)
            signed = tuple(zip(feed.entries, signatures, strict=True))
            with clock.running("store"), store.write() as db:
                save_poll(db, _outcome(state, signed, fetched), now, READING)
            entries += len(signed)
    _near_and_weigh(clock, store, settings)
    with clock.running("group: all"):
        for _ in Clusterer(store, settings, utc_now).work():
            continue
    return entries


def _outcome(state: FeedState, signed: tuple[tuple[Entry, Signature], ...], fetched: Fetched) -> PollOutcome:
    kept = replace(state, etag=fetched.etag, last_modified=fetched.last_modified)
    return PollOutcome(kept, len(signed), News(signed, (), ()), None, unchanged=False)


def _near_and_weigh(clock: Clock, store: Store, settings: Settings) -> None:
    """The same that the clusterer does with what waits, without its reading and writing."""
    window = Window(settings.window_days)
    with store.write() as db:
        waiting = pending_entries(db, 1_000_000)
    with clock.running("group: find who is near"):
        window.put(waiting)
        rows = np.arange(len(waiting))
        steps = survey(window, rows)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                met = done.value
                break
    with clock.running("group: weigh"):
        weigh_surveyed(window, shipped(), rows, met)


if __name__ == "__main__":
    main()
