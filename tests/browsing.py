"""A real browser before the page: Debian's Chromium, headless, and a database that the program filled itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from html import escape
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, sync_playwright
from sqlalchemy import text

from aggregator.cli.passes import cluster_once, poll_once
from aggregator.config import Settings, load_settings
from aggregator.demo import DemoServer, sample_feeds
from aggregator.demo.feeds import SampleFeed
from aggregator.meters import Meters
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.lists import OpmlWatch
from aggregator.store import Store, open_store
from aggregator.store.activity import renew_silence
from aggregator.store.feeds import listed_feeds
from aggregator.types import FeedId
from aggregator.web import WebServer

MISSING = "The browser's tests need Chromium: apt-get install chromium (as root)"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No sandbox, since tests may run as root; and a browser that talks to nobody but the page."""

SCREEN = (1280, 900)
PHONE = (360, 740)
PATIENCE_MS = 10_000

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()

OVERRIDE = "\u202egnp.exe\u202c"
STACKED = "Z" + "\u0335\u0321\u0349\u0316" * 40 + "algo"
LONG = "endless" * 800
MIXED = "\u05e9\u05dc\u05d5\u05dd \u202b(abc) </bdi>\u2067 123"
SCRIPT = "<script>document.title='broken in'</script>"
PIXEL = "https://evil.example/pixel.gif"
MARKUP = (
    f"<img src='{PIXEL}' onerror='alert(2)'><style>body{{display:none}}</style><iframe src='{PIXEL}'></iframe>"
    "<svg onload=alert(3)><a href='javascript:alert(4)'>here</a></svg>"
)

HOSTILE = (
    (
        "script",
        f"{SCRIPT}{OVERRIDE} <img src=x onerror=alert(1)> of the council",
        "javascript:alert(document.domain)",
        f"<p>Words {SCRIPT}</p>{MARKUP}</article></main></body>",
    ),
    ("long", LONG, f"https://hostile.example/{LONG[:2000]}", f"<p>{LONG}</p>" * 3),
    ("stacked", STACKED, 'https://hostile.example/"onmouseover="alert(5)', f"<p>{STACKED}</p>"),
    ("mixed", MIXED, "data:text/html,<script>alert(6)</script>", ""),
    ("untitled", "\u202e", "", f"<p>{OVERRIDE} in a text without a title</p>"),
)
"""What a feed may try: guid, title, address and HTML of each item."""


def chromium() -> str:
    """The browser of this machine; the test fails in one line if there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail(MISSING, pytrace=False)
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser, started for these tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Reader:
    """One who looks at the page in a browser of their own.

    `faults`: what must never happen: an error or a refused load on the console, a script that failed, a dialog,
    a request to another host.
    """

    page: Page
    site: str
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Collects faults from now on."""
        self.page.on("console", self._said)
        self.page.on("pageerror", self._failed)
        self.page.on("dialog", self._asked)
        self.page.on("request", self._requested)

    def go(self, path: str) -> Page:
        """The page at this path, when all of it is there."""
        self.page.goto(self.site + path.removeprefix("/"), wait_until="load")
        return self.page

    def _said(self, message: ConsoleMessage) -> None:
        # A browser says of an error page that it is one.
        if message.type in {"error", "warning"} and "server responded with a status of 4" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _failed(self, error: Error) -> None:
        self.faults.append(f"script: {error}")

    def _asked(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.site).netloc:
            self.faults.append(f"request: {request.url}")


@contextmanager
def reading(
    browser: Browser, site: str, size: tuple[int, int] = SCREEN, *, dark: bool = False, scripts: bool = True
) -> Iterator[Reader]:
    """A reader with a screen of this size; at the end there must have been no fault."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE_MS)
    reader = Reader(context.new_page(), site)
    reader.watch()
    yield reader
    context.close()
    assert reader.faults == []


def findings(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is shown, one line for each element."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        "axe.run({resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"
    )
    return [
        f"{one['impact']}: {one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@dataclass(frozen=True)
class Site:
    """The page as the daemon serves it, and the database behind it."""

    store: Store
    settings: Settings
    url: str

    def event_of(self, guid: str) -> int:
        """The event of the entry with this guid."""
        return self._number("SELECT event_id FROM v1_entry WHERE guid = :given", guid)

    def event_of_language(self, lang: str) -> int:
        """The newest event told in this language."""
        return self._number("SELECT max(id) FROM v1_event WHERE lang = :given", lang)

    def largest_event(self) -> int:
        """The event that most entries told."""
        return self._number("SELECT id FROM v1_event ORDER BY entry_count DESC, id LIMIT 1")

    def bring(self, *entries: Mapping[str, str]) -> None:
        """Keeps entries as if they had come just now, and groups them."""
        for _ in import_lines(self.store, [json.dumps(entry).encode() for entry in entries], utc_now()):
            continue
        cluster_once(self.store, self.settings)

    def _number(self, query: str, given: str = "") -> int:
        with self.store.read() as db:
            return int(db.execute(text(query), {"given": given} if given else {}).scalar_one())


@contextmanager
def site(folder: Path, database: str, *, hostile: bool) -> Iterator[Site]:
    """The page over what one pass brought: the demo's feeds, one that fails, and maybe a hostile one."""
    now = utc_now()
    feeds = [*sample_feeds(now), *([hostile_feed(now)] if hostile else [])]
    with DemoServer(feeds) as server:
        settings = load_settings(
            {
                "database": database,
                "opml": folder / "feeds.opml",
                "allow_addresses": (ip_network("127.0.0.1"),),
                "host_delay": 0.0,
                "host_connections": 8,
                "port": 0,
            }
        )
        lost = f'<outline text="The Lost Courier" type="rss" xmlUrl="{server.base_url}/lost.xml"/></body>'
        settings.opml.write_bytes(server.opml().replace(b"</body>", lost.encode()))
        store = open_store(settings.database)
        try:
            OpmlWatch(store, settings).start()
            with store.read() as db:
                states = listed_feeds(db)
            poll_once(store, settings, states)
            cluster_once(store, settings)
            remember_weeks(store, now)
            with WebServer(store, settings, Meters()) as web:
                yield Site(store, settings, web.url)
        finally:
            store.close()


def hostile_feed(now: datetime) -> SampleFeed:
    """A feed whose every field is out to do harm."""
    items = "".join(
        f"<item><guid>{guid}</guid><title>{escape(title)}</title><link>{escape(link)}</link>"
        f"<description>{escape(html)}</description><author>{escape(OVERRIDE)}</author>"
        f"<pubDate>{format_datetime(now - timedelta(minutes=number))}</pubDate></item>"
        for number, (guid, title, link, html) in enumerate(HOSTILE)
    )
    name = f"<b onclick='alert(7)'>Bad & Co</b> {OVERRIDE} {'x' * 300}"
    body = (
        f"<rss version='2.0'><channel><title>{escape(name)}</title><link>https://hostile.example/</link>"
        f'<language>en" onload="alert(8)</language>{items}</channel></rss>'
    )
    return SampleFeed("/hostile.xml", name, 'Odd "ones"><script>', "application/rss+xml", body.encode())


def remember_weeks(store: Store, now: datetime) -> None:
    """What three weeks of polling would have counted: every feed brings something each day, one fell silent."""
    today = int(now.timestamp() // 86_400)
    with store.write() as db:
        feeds = list(
            db.execute(text("SELECT id FROM feed WHERE last_success_at IS NOT NULL ORDER BY id")).scalars()
        )
        db.execute(text("DELETE FROM activity"))
        rows = [
            {"feed": feed, "day": today - back, "entries": (feed * 7 + back * back * 5) % 11 + 1}
            for feed in feeds
            for back in range(21)
            if feed != feeds[1] or back > 8
        ]
        db.execute(text("INSERT INTO activity (feed_id, day, entries) VALUES (:feed, :day, :entries)"), rows)
        for feed in feeds:
            renew_silence(db, FeedId(feed), today)
