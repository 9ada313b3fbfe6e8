"""One feed and its server on a stage: the real flow, with a clock and a server that do as they are told."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from aggregator.config import Settings, load_settings
from aggregator.fetch import Fetcher, HostQueue
from aggregator.opml import read_opml
from aggregator.pipeline.clock import Clock
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.network import Network
from aggregator.pipeline.poll import Poller, poll_all
from aggregator.pipeline.reports import PollReport, Result
from aggregator.schedule import due_at_all
from aggregator.store import Store
from aggregator.store.feeds import due_feeds, listed_feeds
from aggregator.store.syncing import sync_feeds
from aggregator.types import FeedState
from aggregator.workers import ParserPool
from tests.loopback import Answer, LoopbackServer, Reply, Request, Responder

START = datetime(2026, 11, 23, 9, 20, tzinfo=UTC)
SETTINGS: dict[str, Any] = {
    "allow_addresses": "127.0.0.1",
    "host_delay": 0.0,
    "fetch_timeout": 5.0,
    "user_agent_contact": "https://reader.example/bot",
}


def item(name: str, *, extra: str = "", title: str = "", link: str = "", guid: str = "") -> str:
    """An RSS item with a guid, a link and a title made from `name` where they are not given."""
    guid = guid or f"guid-{name}"
    link = link or f"https://paper.example/{name}"
    return (
        f"<item><title>{title or f'News of {name}'}</title><link>{link}</link>"
        f"<guid isPermaLink='false'>{guid}</guid>{extra}</item>"
    )


def rss(*items: str, channel: str = "", namespaces: str = "") -> bytes:
    """An RSS feed of items."""
    head = f"<title>Paper</title><link>https://paper.example/</link>{channel}"
    return f"<rss version='2.0' {namespaces}><channel>{head}{''.join(items)}</channel></rss>".encode()


FEED = rss(item("one"), item("two"))


def ok(body: bytes = FEED, /, **headers: str) -> Reply:
    """A 200 with a body; header names with _ for -."""
    return Reply(200, _fields(headers), body)


def said(status: int, body: bytes = b"", /, **headers: str) -> Reply:
    """An answer of another status."""
    return Reply(status, _fields(headers), body)


def _fields(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())


class Collected(logging.Handler):
    """Log lines, as they would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the line."""
        self.lines.append(self.format(record))


@dataclass
class Stage:
    """The store, the server, and a clock that only moves when told to (`now`), or is set."""

    store: Store
    server: LoopbackServer
    parsers: ParserPool
    folder: Path
    log: Collected
    settings: Settings = field(default_factory=lambda: load_settings(SETTINGS))
    now: datetime = START
    _set_by: timedelta = timedelta()

    def serve(self, *answers: Answer | Responder, path: str = "/feed") -> None:
        """What the server answers for a path, one after another, the last for good."""
        self.server.on(path, *answers)

    def set(self, **settings: Any) -> None:
        """Other settings from here on."""
        self.settings = load_settings(SETTINGS | settings)

    def subscribe(self, *urls: str) -> None:
        """The list in force, given the feeds' URLs."""
        outlines = "".join(f"<outline xmlUrl='{url}'/>" for url in urls)
        feeds = read_opml(f"<opml version='2.0'><body>{outlines}</body></opml>".encode()).feeds
        with self.store.write() as db:
            sync_feeds(db, feeds, self.settings, self.now)

    def poll(self, *, hours: float = 0.0, url: str = "", every: bool = True) -> PollReport:
        """The report of the one feed after a pass `hours` later; lists it first if the list is empty."""
        reports = self.pass_over(hours=hours, url=url, every=every)
        assert len(reports) == 1, f"{len(reports)} feeds were polled"
        return reports[0]

    def pass_over(self, *, hours: float = 0.0, url: str = "", every: bool = True) -> Sequence[PollReport]:
        """Reports of all feeds that may be asked (with `every` false, that are due), `hours` later."""
        self.now += timedelta(hours=hours)
        if not self.states():
            self.subscribe(url or self.server.url("/feed"))
        with self.store.read() as db:
            states = listed_feeds(db) if every else due_feeds(db, self.now)
        states = [state for state in states if due_at_all(state, self.now, self.settings)]
        with self.poller() as poller:
            reports = list(poll_all(poller, states))
        return [report for report in reports if report.result is not Result.PASSED_OVER]

    @contextmanager
    def poller(self) -> Iterator[Poller]:
        """The poller that the stage's passes use."""
        with Fetcher(self.settings) as fetcher:
            chance = random.Random(7)  # repeatable
            network = Network(fetcher.reaches, lambda: [state.address for state in self.states()], chance)
            yield Poller(
                self.store, self.settings, fetcher, self.parsers, self._clock(), chance, "stage", network
            )

    def set_clock(self, **by: float) -> None:
        """The clock is set, forward or back."""
        self.now += timedelta(**by)
        self._set_by += timedelta(**by)

    def _clock(self) -> Clock:
        def ran() -> float:
            return (self.now - self._set_by).timestamp()

        return Clock(lambda: self.now, ran)

    def queue(self, states: Sequence[FeedState]) -> HostQueue:
        """A queue of these feeds under the stage's settings."""
        return HostQueue(states, self.settings)

    def states(self) -> Sequence[FeedState]:
        """All listed feeds."""
        with self.store.read() as db:
            return listed_feeds(db)

    @property
    def state(self) -> FeedState:
        """The one feed as it is stored."""
        (state,) = self.states()
        return state

    @property
    def wait(self) -> float:
        """Seconds until the one feed is due."""
        return (self.state.next_poll_at - self.now).total_seconds()

    @property
    def requests(self) -> Sequence[Request]:
        """All that the server was asked."""
        return self.server.requests

    @property
    def last(self) -> Request:
        """The last request."""
        return self.requests[-1]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        with self.store.read() as db:
            return [tuple(row) for row in db.execute(text(sql))]

    @property
    def titles(self) -> list[str]:
        """The titles of all entries, in order."""
        return [str(row[0]) for row in self.rows("SELECT title FROM v1_entry ORDER BY title")]

    def group(self) -> int:
        """The number of events, after all that waits is grouped."""
        clusterer = Clusterer(self.store, self.settings, lambda: self.now)
        for _step in clusterer.work():
            continue
        return len(self.rows("SELECT id FROM v1_event WHERE merged_into IS NULL"))
