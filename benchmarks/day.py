"""What a day of many feeds costs: a scaled piece of it at its true pace, multiplied out.

`python benchmarks/day.py [FEEDS [SECONDS [SAMPLED]]]` (default 10000, 180 and 300): FEEDS polled every 15 minutes
make a number of polls a second; here SAMPLED feeds are polled so much more often that there are as many. Of 20
polls 19 find the feed unchanged (304), one finds two new entries. A daemon with its page reads all feeds once and
groups their ten entries each; then all of its processes are watched while feeds come due at that pace. The
server, on the same machine, is none of them. Entries are made-up news (benchmarks/made_up.py) in order of time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from made_up import stories
from rest import await_calm, computing, daemon_settings, memory
from runs import ROOT, rows, write_list

DAY, INTERVAL = 86_400, 900
ITEMS, NEW, EVERY = 10, 2, 20
ITEM = "<item><title>{title}</title><link>{url}</link><guid>{id}</guid>\
<description>{text}</description><pubDate>{published}</pubDate></item>"


@dataclass
class Site:
    """All feeds of the server: each shows its newest items, and every so many requests brings new ones."""

    entries: Iterator[tuple[str, bytes]]
    lock: threading.Lock = field(default_factory=threading.Lock)
    shown: dict[str, deque[str]] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    version: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    is_moving: bool = False
    asked: int = 0

    def answer(self, path: str, known: str) -> tuple[str, bytes | None]:
        """The feed's ETag, and its document unless that is `known`."""
        with self.lock:
            self.asked += 1
            if path not in self.shown:
                # Not all bring their first news at once.
                self.requests[path] = len(self.shown) % EVERY
                self.shown[path] = deque((self._item() for _ in range(ITEMS)), maxlen=ITEMS)
            elif self.is_moving:
                self.requests[path] += 1
                if self.requests[path] % EVERY == 0:
                    self.version[path] += 1
                    self.shown[path].extendleft(self._item() for _ in range(NEW))
            tag = f'"{self.version[path]}"'
            if known == tag:
                return tag, None
            items = "\n".join(self.shown[path])
        title = f"<title>{path}</title><link>https://news.example{path}</link>"
        return tag, f'<rss version="2.0"><channel>{title}\n{items}\n</channel></rss>'.encode()

    def _item(self) -> str:
        entry: dict[str, str] = json.loads(next(self.entries)[1])
        entry["published"] = format_datetime(datetime.fromisoformat(entry["published"]))
        return ITEM.format_map({name: escape(value) for name, value in entry.items()})


class Request(BaseHTTPRequestHandler):
    """One conditional request."""

    def __init__(self, site: Site, *args: Any) -> None:
        self._site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        """200 or 304."""
        tag, body = self._site.answer(self.path, self.headers.get("If-None-Match", ""))
        self.send_response(304 if body is None else 200)
        self.send_header("ETag", tag)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body is not None:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    """All feeds may be asked at once."""

    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    """Prints the piece that was measured, and the day that it makes."""
    given = [int(value) for value in sys.argv[1:]]
    feeds, seconds, sampled = given + [10_000, 180, 300][len(given) :]
    pace = sampled * INTERVAL / feeds
    expected = round(sampled * (ITEMS + NEW * (2 + seconds / pace / EVERY)))
    site = Site(stories(2 * expected, 3.0, 1))
    with tempfile.TemporaryDirectory() as scratch, _served(site) as base:
        place = Path(scratch)
        write_list(place / "feeds.opml", base, [f"/{number}.xml" for number in range(sampled)])
        wait = str(max(1, round(pace)))
        names = ("INTERVAL", "MIN_INTERVAL", "MAX_INTERVAL")
        chosen = daemon_settings(place) | {f"AGGREGATOR_{name}": wait for name in names}
        daemon = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), "serve"],
            env=os.environ | chosen,
            stderr=subprocess.DEVNULL,
        )
        try:
            await_calm(place / "news.db", sampled)
            site.is_moving = True
            time.sleep(pace)
            asked, known = site.asked, _entries(place)
            before, started = computing(daemon.pid), time.monotonic()
            time.sleep(seconds)
            spent = sum(computing(daemon.pid).values()) - sum(before.values())
            took = time.monotonic() - started
            asked, new, held = site.asked - asked, _entries(place) - known, memory(daemon.pid)
        finally:
            daemon.terminate()
            daemon.wait()
    polls = feeds * DAY / INTERVAL
    whole = spent / asked * polls
    print(f"{asked} polls in {took:.0f} s, {new} new entries, {spent:.1f} s of computing, {held:.0f} MB")
    print(f"a day of {feeds} feeds: {polls:.0f} polls, {new / asked * polls:.0f} new entries")
    print(f"{whole:.0f} s of computing: {whole / DAY:.2%} of a core")


@contextmanager
def _served(site: Site) -> Iterator[str]:
    """The address of a server for the site."""
    server = Server(("127.0.0.1", 0), partial(Request, site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _entries(place: Path) -> int:
    return int(rows(place / "news.db", "SELECT count(*) FROM v1_entry")[0][0])


if __name__ == "__main__":
    main()
