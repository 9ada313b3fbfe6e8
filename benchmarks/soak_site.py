"""The feeds of soak.py: many hosts on loopback that can go down, each request noted with its simulated time."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

ITEM = "<item><title>{title}</title><link>{url}</link><guid>{id}</guid>\
<description>{text}</description><pubDate>{published}</pubDate></item>"
AT_FIRST, SHOWN = 3, 60
NEWS_SECONDS = 12 * 3600
"""Simulated seconds between two items of a feed, on average."""
WORK_SECONDS = 0.01


@dataclass
class Feed:
    """One feed: its items (by guid, newest last), when the next comes, and when it was asked."""

    items: dict[str, str] = field(default_factory=dict)
    next_at: float = 0.0
    asked: list[float] = field(default_factory=list)


@dataclass
class Site:
    """All feeds. `now` is the true simulated time in seconds; no news comes after `ends_at`."""

    now: Callable[[], float]
    start: datetime
    ends_at: float
    entries: Iterator[tuple[str, bytes]]
    lock: threading.Lock = field(default_factory=threading.Lock)
    feeds: dict[str, Feed] = field(default_factory=lambda: defaultdict(Feed))
    under_way: Counter[str] = field(default_factory=Counter)
    most_under_way: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def answer(self, host: str, path: str, known: str) -> tuple[str, bytes | None]:
        """The feed's ETag, and its document unless that is `known`."""
        with self.lock:
            self.under_way[host] += 1
            self.most_under_way = max(self.most_under_way, self.under_way[host])
            now = self.now()
            feed = self.feeds[f"{host}{path}"]
            feed.asked.append(now)
            if not feed.items:
                feed.next_at = now + self.random.expovariate(1 / NEWS_SECONDS)
                for _ in range(AT_FIRST):
                    self._add(feed, now)
            while feed.next_at <= min(now, self.ends_at):
                self._add(feed, feed.next_at)
                feed.next_at += self.random.expovariate(1 / NEWS_SECONDS)
            tag = f'"{len(feed.items)}"'
            items = list(feed.items.values())[-SHOWN:]
        time.sleep(WORK_SECONDS)
        with self.lock:
            self.under_way[host] -= 1
        if known == tag:
            return tag, None
        title = f"<title>{host}{path}</title><link>http://{host}{path}</link>"
        body = "\n".join(reversed(items))
        return tag, f'<rss version="2.0"><channel>{title}\n{body}\n</channel></rss>'.encode()

    def _add(self, feed: Feed, at: float) -> None:
        entry: dict[str, str] = json.loads(next(self.entries)[1])
        entry["published"] = format_datetime(self.start + timedelta(seconds=at))
        feed.items[entry["id"]] = ITEM.format_map({name: escape(value) for name, value in entry.items()})


class _Request(BaseHTTPRequestHandler):
    def __init__(self, site: Site, host: str, *args: Any) -> None:
        self._site = site
        self._host = host
        super().__init__(*args)

    def do_GET(self) -> None:
        """200 or 304."""
        tag, body = self._site.answer(self._host, self.path, self.headers.get("If-None-Match", ""))
        self.send_response(304 if body is None else 200)
        self.send_header("ETag", tag)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body is not None:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """The daemon was killed in the middle of an answer: that is what this is about."""


class Hosts:
    """So many addresses of loopback with one port; those that are down refuse connections."""

    def __init__(self, site: Site, count: int) -> None:
        self._site = site
        self.names = [f"127.0.0.{number}" for number in range(1, count + 1)]
        self._up: dict[str, _Server] = {}
        self._start(self.names[0], 0)
        self.port = self._up[self.names[0]].server_address[1]
        self.keep_up(set(self.names))

    def keep_up(self, wanted: set[str]) -> None:
        """These hosts are up from now on, all others down."""
        for name in set(self._up) - wanted:
            server = self._up.pop(name)
            server.shutdown()
            server.server_close()
        for name in wanted - set(self._up):
            self._start(name, self.port)

    def _start(self, name: str, port: int) -> None:
        server = self._up[name] = _Server((name, port), partial(_Request, self._site, name))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
