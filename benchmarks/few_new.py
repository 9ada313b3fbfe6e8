"""What a poll costs that brings two new entries, beside the first poll of the same feed.

`python benchmarks/few_new.py DIR [FEEDS]` (default 200): so many feeds of DIR/feed/*.xml, RSS and Atom, are polled
as they are, by a database that never saw them; without their first two items, by another; and as they are by that
one. All but the fetch and the way to a worker process runs in this one process, with warm caches as in a daemon:
claiming, reading, normalising, signing, deciding, writing.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import cast

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.config import load_settings
from aggregator.fetch import Fetcher, Permits
from aggregator.fetch.exchange import FREE
from aggregator.pipeline.clock import Clock, running, utc_now
from aggregator.pipeline.network import Network
from aggregator.pipeline.poll import Poller
from aggregator.pipeline.reports import PollReport
from aggregator.store import open_store
from aggregator.store.feeds import listed_feeds
from aggregator.store.syncing import sync_feeds
from aggregator.types import Failed, Feed, FeedState, Fetched, NormalisedFeed, Seen
from aggregator.workers import ParserPool
from aggregator.workers.process import read_feed

ITEM = re.compile(rb"<(item|entry)\b.*?</\1>\s*", re.DOTALL)
NEW = 2


class Served:
    """A fetcher whose servers answer at once with the documents it was given, by the feeds' URLs."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def fetch(self, state: FeedState, _permits: Permits) -> Fetched:
        """The whole document."""
        return Fetched(
            url=state.url,
            status=200,
            body=self.documents[state.url],
            content_type="application/xml",
            content_location="",
            etag="",
            last_modified="",
            max_age=None,
            moved_to="",
            is_delta=False,
        )


class Reader:
    """The workers' job, done here."""

    def read(self, fetched: Fetched, now: datetime, seen: Seen | None) -> NormalisedFeed | Failed:
        """As ParserPool.read."""
        return read_feed(fetched, now, seen)


def main() -> None:
    """Prints a line for each kind of poll, and how they compare."""
    folder, most = Path(sys.argv[1]), int((sys.argv[2:] or ["200"])[0])
    bodies = [file.read_bytes() for file in sorted((folder / "feed").glob("*.xml"))]
    whole = [body for body in bodies if b"<rdf:" not in body and len(ITEM.findall(body)) > NEW][:most]
    before = [ITEM.sub(b"", body, count=NEW) for body in whole]
    _measure([whole[:5]])
    (first,) = _measure([whole])
    again, few = _measure([before, whole])
    assert all(report.new == NEW for report in few[1]), "not every poll brought two entries"
    for name, (seconds, reports) in (("first poll", first), ("two fewer", again), ("two new", few)):
        new = sum(report.new for report in reports)
        print(f"{name:12} {1000 * seconds / len(reports):6.2f} ms of computing a feed, {new} new entries")
    print(f"two new entries take {few[0] / first[0]:.3f} of a first poll")


def _measure(passes: Sequence[Sequence[bytes]]) -> list[tuple[float, list[PollReport]]]:
    """Computing seconds and reports of each pass, one after another over one new database."""
    settings = load_settings({"min_interval": 0})
    served = Served()
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(f"sqlite:///{scratch}/news.db")
        urls = [f"https://news{number}.example/feed" for number in range(len(passes[0]))]
        with store.write() as db:
            sync_feeds(db, [Feed(url, url, "", "") for url in urls], settings, utc_now())
        poller = Poller(
            store,
            settings,
            cast("Fetcher", served),
            cast("ParserPool", Reader()),
            Clock(utc_now, running),
            Random(1),
            "benchmark",
            Network(lambda _url: True, list, Random(1)),
        )
        found = []
        for bodies in passes:
            served.documents = dict(zip(urls, bodies, strict=True))
            with store.read() as db:
                states = listed_feeds(db)
            started = time.process_time()
            reports = [poller.poll(state, FREE) for state in states]
            found.append((time.process_time() - started, reports))
        store.close()
    return found


if __name__ == "__main__":
    main()
