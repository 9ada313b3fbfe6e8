"""Processes side by side that only poll, on one PostgreSQL: polls a second, their price, what was doubled.

usage: python benchmarks/workers.py [FEEDS [WORKERS ...]]     (3,000 feeds; 1, 2, 4 and 8 workers)

Each number of workers polls all feeds of ten entries for the first time, from a server on loopback in this process,
on a hundred addresses, which counts what is asked. No feed may be asked again within its interval, here an hour: if
one is asked twice, or one entry stored twice, the command fails. A worker without a core for 9 s loses the leases
of its feeds, and what it had fetched of them comes with their next poll: so many are "not saved". Memory is the
greatest sum of all their processes, with shared pages counted once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from rest import computing, memory

from aggregator.store import open_store
from tests.crowd import FETCHES, Crowd
from tests.loopback import LoopbackServer
from tests.servers import OwnServer, own_server
from tests.stage import item, ok, rss

ITEMS, HOSTS = 10, 100
LONGEST_SECONDS = 1_800
POLLED = "SELECT count(*) FROM feed WHERE last_polled_at IS NOT NULL AND coalesce(lease_until <= now(), true)"
SAVED = "SELECT count(*) FROM feed WHERE last_success_at IS NOT NULL"
SETTINGS = {
    "MIN_INTERVAL": 3_600,
    "ALLOW_ADDRESSES": "127.0.0.0/8",
    "HOST_CONNECTIONS": 16,
    "FETCH_TIMEOUT": 120,
}


def main() -> None:
    """Prints a row for each number of workers."""
    feeds, *counts = [int(word) for word in sys.argv[1:]] or [3_000]
    print("| workers | polls a second | computing a poll | memory | connections | asked twice | not saved |")
    print("|---|---|---|---|---|---|---|")
    with own_server() as server:
        for count in counts or [1, 2, 4, 8]:
            print(row(server, feeds, count), flush=True)


def row(server: OwnServer, feeds: int, count: int) -> str:
    """One row; fails if anything was doubled."""
    url = server.new_database()
    with LoopbackServer(address="0.0.0.0") as site, tempfile.TemporaryDirectory() as place:
        paths = serve(site, feeds)
        outlines = "".join(f"<outline xmlUrl='{site.url(path, host=host(path))}'/>" for path in paths)
        (Path(place) / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
        store = open_store(url)
        crowd = Crowd(Path(place), {**SETTINGS, "DATABASE": url})
        most = connections = 0.0
        spent: dict[int, float] = {}
        try:
            for _ in range(count):
                crowd.start(FETCHES)
            deadline = time.monotonic() + LONGEST_SECONDS
            polled = 0
            while polled < feeds:
                assert time.monotonic() < deadline, "not all feeds were polled"
                time.sleep(0.5)
                with store.read() as db:
                    polled = db.exec_driver_sql(POLLED).scalar() or 0
                    there = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    connections = max(connections, db.exec_driver_sql(there).scalar() or 0)
                for pid in crowd.pids:
                    spent |= computing(pid)
                most = max(most, sum(map(memory, crowd.pids)))
            with store.read() as db:
                query = "SELECT count(*), count(DISTINCT (feed_id, guid)) FROM entry"
                stored = tuple(db.exec_driver_sql(query).one())
                saved = db.exec_driver_sql(SAVED).scalar() or 0
        finally:
            crowd.end()
            store.close()
    times = sorted(request.at for request in site.requests)
    twice = sum(times > 1 for times in Counter(request.path for request in site.requests).values())
    assert (twice, stored) == (0, (saved * ITEMS, saved * ITEMS)), (
        f"{twice} feeds asked twice, stored {stored} of {saved} feeds"
    )
    return (
        f"| {count} | {feeds / (times[-1] - times[0]):.0f} | {sum(spent.values()) / feeds * 1000:.1f} ms "
        f"| {most:.0f} MB | {connections:.0f} | {twice} | {feeds - saved} |"
    )


def host(path: str) -> str:
    """The address on loopback where a feed is: a hundred share them."""
    return f"127.0.0.{1 + int(path[1:]) % HOSTS}"


def serve(site: LoopbackServer, feeds: int) -> Sequence[str]:
    """The paths of so many feeds, each with entries of its own."""
    paths = [f"/{number}" for number in range(feeds)]
    for path in paths:
        site.on(path, ok(rss(*(item(f"{path[1:]}-{number}", extra=TEXT) for number in range(ITEMS)))))
    return paths


TEXT = (
    "<description>The council has decided on Tuesday evening to open the old bridge to the north of the town "
    "again, after two years of repairs that cost more than was planned, a speaker said.</description>"
)


if __name__ == "__main__":
    main()
