"""What the poll of an unchanged feed costs in a process with its threads, beside what httpx and SQLite take alone.

`python benchmarks/unchanged.py [FEEDS [ROUNDS]] [--postgresql]` (default 500 and 3): so many small feeds are served
by another process on loopback over plain HTTP, polled once, and then again and again: answered 304, or 200 with the
same body. On PostgreSQL the server's own computing is not counted.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

from runs import ROOT, serving, write_list

sys.path.insert(0, str(ROOT))

import httpx

from aggregator.config import Settings, load_settings
from aggregator.pipeline.lists import OpmlWatch
from aggregator.pipeline.poll import open_poller, poll_all
from aggregator.pipeline.reports import Result
from aggregator.store import Store, open_store
from aggregator.store.feeds import listed_feeds
from aggregator.types import FeedState
from tests.servers import own_server

FEED = """<rss version="2.0"><channel><title>Feed {0}</title><link>https://feed{0}.example/</link>
<item><title>Council {0} votes on bridge {1}</title><link>https://feed{0}.example/{1}</link></item></channel></rss>"""


def main() -> None:
    """Prints the best of the rounds for each kind of poll and for the floor."""
    numbers = [word for word in sys.argv[1:] if word.isdigit()]
    count, rounds = int((numbers or ["500"])[0]), int((numbers[1:] or ["3"])[0])
    starts = own_server() if "--postgresql" in sys.argv else nullcontext()
    with tempfile.TemporaryDirectory() as scratch, starts as server:
        place = Path(scratch)
        (place / "feed").mkdir()
        for number in range(count):
            (place / f"feed/{number}.xml").write_text(FEED.format(number, 7 * number))
        with serving(place) as base:
            write_list(place / "feeds.opml", base, [f"/feed/{number}.xml" for number in range(count)])
            settings = _settings(place, server.new_database() if server else f"sqlite:///{place / 'news.db'}")
            store = open_store(settings.database)
            OpmlWatch(store, settings).start()
            _poll(store, settings, rounds)
            states = _states(store)
            store.close()
            _floor(place, states, rounds)


def _settings(place: Path, database: str) -> Settings:
    return load_settings(
        {
            "database": database,
            "opml": str(place / "feeds.opml"),
            "allow_addresses": "127.0.0.1",
            "host_delay": 0,
            "host_connections": 64,
            "min_interval": 0,
        }
    )


def _states(store: Store) -> list[FeedState]:
    with store.read() as db:
        return listed_feeds(db)


def _poll(store: Store, settings: Settings, rounds: int) -> None:
    with open_poller(store, settings) as poller:

        def run(states: Sequence[FeedState], expected: Result) -> None:
            reports = list(poll_all(poller, states))
            assert {report.result for report in reports} == {expected}

        run(_states(store), Result.OK)
        _time("304 Not Modified", rounds, len(_states(store)), lambda: run(_states(store), Result.UNCHANGED))

        def as_whole() -> None:
            run([replace(s, etag="", last_modified="") for s in _states(store)], Result.UNCHANGED)

        _time("200 with the same body", rounds, len(_states(store)), as_whole)


def _floor(place: Path, states: Sequence[FeedState], rounds: int) -> None:
    """A conditional GET by httpx over a connection of its own, and two small transactions of SQLite, a feed."""
    validators = [{"If-None-Match": s.etag, "If-Modified-Since": s.last_modified} for s in states]
    with httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as client:

        def ask() -> None:
            for state, headers in zip(states, validators, strict=True):
                assert client.get(state.url, headers=headers).status_code == httpx.codes.NOT_MODIFIED

        _time("floor: httpx alone", rounds, len(states), ask)
    with closing(sqlite3.connect(place / "floor.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("CREATE TABLE feed (id INTEGER PRIMARY KEY, polled TEXT, next TEXT)")
        db.executemany("INSERT INTO feed VALUES (?, '', '')", [(state.id,) for state in states])

        def write() -> None:
            for state in states:
                for sql in (
                    "UPDATE feed SET polled = ?1 WHERE id = ?2",
                    "UPDATE feed SET next = ?1 WHERE id = ?2",
                ):
                    db.execute("BEGIN IMMEDIATE")
                    db.execute(sql, (time.time(), state.id))
                    db.execute("COMMIT")

        _time("floor: SQLite alone, two transactions", rounds, len(states), write)


def _time(name: str, rounds: int, count: int, work: Callable[[], None]) -> None:
    best = float("inf")
    for _ in range(rounds):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    print(f"{name:40} {1000 * best / count:6.2f} ms of computing a feed")


if __name__ == "__main__":
    main()
