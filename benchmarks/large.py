"""What readers wait for in a large database: pages, the interface for programs, and plain SQL.

`python benchmarks/large.py [--keep FOLDER] [ENTRIES]` (default 1000000): a database is filled with so many entries
of made-up news in events (benchmarks/filled.py); `serve` answers from it on loopback, without polling or grouping.
Each address is asked many times, one request after another, with other values where its name says so: the front
page, and what programs ask for over and over, is kept until something changes. Wall time as a client sees it,
computing of the server's process. Then four clients at once ask for pages of `/api/v1/events`.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from filled import database
from peers import TICK
from runs import ROOT

from aggregator.store import open_store
from aggregator.types import Place
from aggregator.web.cursors import write_place

ASKED = 60
FREQUENT = (
    "the",
    "that",
    "their",
    "than",
    "my",
    "way",
    "home",
    "down",
    "made",
    "said",
    "i",
    "will",
    "one",
    "all",
)
CLIENTS, SECONDS = 4, 10.0
MOST_SECONDS = 60
LATEST = (
    "SELECT id, title, url, source, summary, last_seen_at FROM v1_event ORDER BY last_seen_at DESC LIMIT 50"
)
TEASERS = "SELECT event_id, position, kind, text, title, url, source FROM v1_teaser WHERE event_id IN ({}) \
ORDER BY event_id, position"


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entries", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="keep what was built, for the next time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = database(asked.keep or Path(scratch), asked.entries, is_kept=asked.keep is not None)
        open_store(f"sqlite:///{path}").close()  # one that was kept may have an older schema
        with closing(sqlite3.connect(path)) as db:
            entries, events = (
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("entry", "event")
            )
            print(f"{entries:,} entries, {events:,} events, {path.stat().st_size / 1e6:,.0f} MB")
            times = [_latest(db) for _ in range(ASKED)]
            print(f"  SQL: latest 50 events with teasers  {_said(times)}")
            places = [
                write_place(Place(datetime.fromisoformat(at).replace(tzinfo=UTC), number))
                for at, number in db.execute("SELECT news_at, id FROM event ORDER BY random() LIMIT 1000")
            ]
            chosen = [row[0] for row in db.execute("SELECT id FROM event ORDER BY random() LIMIT 1000")]
            words = _words(db)
        _ask(path, chosen, words, places)


def _latest(db: sqlite3.Connection) -> float:
    started = time.perf_counter()
    ids = [row[0] for row in db.execute(LATEST).fetchall()]
    db.execute(TEASERS.format(",".join("?" * len(ids))), ids).fetchall()
    return (time.perf_counter() - started) * 1000


def _words(db: sqlite3.Connection) -> list[str]:
    titles = [row[0] for row in db.execute("SELECT title FROM entry ORDER BY random() LIMIT 1000")]
    return [" ".join(random.sample(title.split(), 2)) for title in titles if len(title.split()) > 1]


def _ask(path: Path, events: Sequence[int], words: Sequence[str], places: Sequence[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    settings = {"DATABASE": f"sqlite:///{path}", "PORT": str(port), "LOG_LEVEL": "ERROR"}
    command = [sys.executable, str(ROOT / "run.py"), "serve", "--no-poll", "--no-cluster"]
    environment = os.environ | {f"AGGREGATOR_{name}": value for name, value in settings.items()}
    server = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            _await(client)
            _pages(client, server.pid, events, words, places)
        _together(f"http://127.0.0.1:{port}", server.pid)
    finally:
        server.terminate()
        server.wait()


def _await(client: httpx.Client) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/healthz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    sys.exit("the server did not start")


def _pages(
    client: httpx.Client, server: int, events: Sequence[int], words: Sequence[str], places: Sequence[str]
) -> None:
    newest = client.get("/api/v1/events", params={"limit": 50}).json()
    cursor = newest["next"]
    addresses: dict[str, Callable[[int], tuple[str, dict[str, str]]]] = {
        "front page": lambda _: ("/", {}),
        "a page of the river": lambda n: ("/", {"after": places[n]}),
        "an event": lambda n: (f"/events/{events[n]}", {}),
        "search, two words": lambda n: ("/search", {"q": words[n]}),
        "search, one word": lambda n: ("/search", {"q": words[n].split()[0]}),
        "search, a frequent word": lambda n: ("/search", {"q": FREQUENT[n % len(FREQUENT)], "lang": "en"}),
        "feeds": lambda _: ("/feeds", {}),
        "/api/v1/events": lambda n: ("/api/v1/events", {"limit": str(20 + n % 30)}),
        "/api/v1/events, later": lambda _: ("/api/v1/events", {"cursor": cursor}),
        "/api/v1/events/ID": lambda n: (f"/api/v1/events/{events[-n]}", {}),
        "/feed.atom": lambda _: ("/feed.atom", {}),
    }
    for name, address in addresses.items():
        times: list[float] = []
        size = 0
        before = _computing(server)
        for number in range(ASKED):
            where, parameters = address(number)
            started = time.perf_counter()
            answer = client.get(where, params=parameters)
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == httpx.codes.OK, (where, parameters, answer.status_code, answer.text)
            size += len(answer.content)
        computing = (_computing(server) - before) / ASKED * 1000
        print(
            f"  {name:<26} {_said(times)}, {computing:5.1f} ms computing, {size / ASKED / 1000:5.0f} kB",
            flush=True,
        )


def _together(base: str, server: int) -> None:
    stop = time.monotonic() + SECONDS
    counts = [0] * CLIENTS

    def ask(client_number: int) -> None:
        with httpx.Client(base_url=base) as client:
            while time.monotonic() < stop:
                client.get("/api/v1/events", params={"limit": "20"}).raise_for_status()
                counts[client_number] += 1

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    before, started = _computing(server), time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds, computing = time.monotonic() - started, _computing(server) - before
    asked = sum(counts)
    print(
        f"  /api/v1/events, {CLIENTS} clients: {asked / seconds:,.0f} a second with {computing / seconds:.0%} of a "
        f"core: {asked / computing:,.0f} a second of computing"
    )


def _computing(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _said(times: Sequence[float]) -> str:
    ordered = sorted(times)
    return f"{statistics.median(times):7.1f} ms median, {ordered[int(len(ordered) * 0.95)]:7.1f} ms 95 %"


if __name__ == "__main__":
    main()
