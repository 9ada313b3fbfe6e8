"""The feeds of a site, found from the address of one of its pages, asking one thing at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

from aggregator.config import Settings
from aggregator.credentials import redacted
from aggregator.fetch import Fetcher, host_of
from aggregator.normalise.page import feed_links, is_page
from aggregator.opml import same_address
from aggregator.parse.feed import feed_kind
from aggregator.parse.mend import decode
from aggregator.pipeline.clock import utc_now
from aggregator.types import (
    Failed,
    FailureKind,
    FeedState,
    Fetched,
    NormalisedFeed,
    NotModified,
)
from aggregator.workers import ParserPool

WELL_KNOWN = (
    "/feed/",
    "/feed.xml",
    "/rss/",
    "/rss.xml",
    "/atom.xml",
    "/index.xml",
    "/feed.json",
    "/feed.atom",
    "/index.rss",
    "/rss/feed.xml",
)
"""Where feeds stand on sites that name none: what Miniflux (internal/reader/subscription/finder.go) and RSS Finder
try, those of common programs first (WordPress, Jekyll, Ghost, Hugo)."""

MOST_FEEDS = 8
"""Feeds of a page that are looked at: each costs its site a request."""

LEFT_ALONE = (FailureKind.THROTTLED, FailureKind.CONNECT, FailureKind.TIMEOUT, FailureKind.DNS)
"""Failures after which a server is asked for nothing else."""

_COMMENTS = re.compile(r"comment|kommentar|commentaire|comentario", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundFeed:
    """A feed that was found and read. `url` is its lasting address; `newest` the latest date that it gives."""

    url: str
    title: str
    site_url: str
    kind: str
    entries: int
    newest: datetime | None


def find_feeds(settings: Settings, url: str, parsers: ParserPool) -> tuple[FoundFeed, ...] | Failed:
    """The feed at the address, else those that the page there names, else the first at a well-known place.

    Feeds of comments come last. Nothing is stored. Waits HOST_DELAY between two requests to one domain.
    """
    with Fetcher(settings) as fetcher:
        return _Search(_Asker(settings, fetcher), parsers, url).find()


class _Asker:
    """Asks one address after another, with HOST_DELAY between two requests to one registrable domain."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        self._delay = settings.host_delay
        self._fetcher = fetcher
        self._free_at: dict[str, float] = {}

    def ask(self, url: str) -> Fetched | Failed:
        """What the server answers; waits for its turn."""
        state = FeedState.unknown(url, utc_now())
        self.go_on(state, url)
        result = self._fetcher.fetch(state, self)
        assert not isinstance(result, NotModified), "nothing was asked that could be unmodified"
        return result

    def go_on(self, _state: FeedState, url: str) -> None:
        """Waits until the host of `url` may be asked."""
        host = host_of(url)
        time.sleep(max(0.0, self._free_at.get(host, 0.0) - time.monotonic()))
        self._free_at[host] = time.monotonic() + self._delay

    def hold_large(self, _state: FeedState) -> None:
        """At once: there is no other."""


class _Search:
    """One search from one address."""

    def __init__(self, asker: _Asker, parsers: ParserPool, url: str) -> None:
        self._asker = asker
        self._parsers = parsers
        self._url = url

    def find(self) -> tuple[FoundFeed, ...] | Failed:
        """The feeds, or why there are none."""
        answer = self._asker.ask(self._url)
        if isinstance(answer, Failed):
            return answer
        read = self._read(answer)
        if isinstance(read, NormalisedFeed):
            return (_found(self._url, answer, read),)
        text = decode(answer.body, answer.content_type)
        if read.kind is not FailureKind.NOT_A_FEED or not is_page(text):
            return read
        named = feed_links(text, answer.url)
        found = _once(self._named(named))
        if found:
            return tuple(sorted(found, key=_is_of_comments))
        found = _once(self._well_known(answer.url))
        if found:
            return found
        names = "names feeds that can't be read" if named else "names no feed"
        return Failed(
            FailureKind.NOT_A_FEED,
            f"The address leads to a web page that {names}, and there is none at the usual places.",
        )

    def _named(self, links: list[str]) -> Iterator[FoundFeed]:
        links = sorted(links, key=lambda link: bool(_COMMENTS.search(link)))
        for link in links[:MOST_FEEDS]:
            url = _with_login(link, self._url)
            answer = self._asker.ask(url)
            read = answer if isinstance(answer, Failed) else self._read(answer)
            if isinstance(answer, Fetched) and isinstance(read, NormalisedFeed):
                yield _found(url, answer, read)

    def _well_known(self, page: str) -> Iterator[FoundFeed]:
        """The first feed of the page's site at one of the usual places."""
        for path in WELL_KNOWN:
            url = _with_login(urljoin(page, path), self._url)
            answer = self._asker.ask(url)
            if isinstance(answer, Failed):
                if answer.kind in LEFT_ALONE:
                    return
                continue
            read = self._read(answer)
            if isinstance(read, NormalisedFeed) and host_of(page) in (
                host_of(answer.url),
                host_of(read.site_url),
            ):
                yield _found(url, answer, read)
                return

    def _read(self, answer: Fetched) -> NormalisedFeed | Failed:
        return self._parsers.read(answer, utc_now())


def _found(asked: str, answer: Fetched, read: NormalisedFeed) -> FoundFeed:
    dates = [entry.published_at for entry in read.entries if not entry.date_guessed]
    url = _with_login(answer.moved_to, asked) if answer.moved_to else asked
    return FoundFeed(
        url, read.title, read.site_url, feed_kind(answer), len(read.entries), max(dates, default=None)
    )


def _once(found: Iterable[FoundFeed]) -> tuple[FoundFeed, ...]:
    """The feeds without those that turned out to be at the address of an earlier one."""
    by_address: dict[str, FoundFeed] = {}
    for feed in found:
        by_address.setdefault(same_address(feed.url), feed)
    return tuple(by_address.values())


def _is_of_comments(feed: FoundFeed) -> bool:
    return bool(_COMMENTS.search(f"{feed.title} {redacted(feed.url)}"))


def _with_login(url: str, asked: str) -> str:
    """The address with user and password of the one that was asked for, if both are the same service."""
    old, new = urlsplit(asked), urlsplit(url)
    login, at, _ = old.netloc.rpartition("@")
    is_same = old.hostname == new.hostname and (old.scheme, new.scheme) != ("https", "http")
    if not at or "@" in new.netloc or not is_same:
        return url
    return new._replace(netloc=f"{login}@{new.netloc}").geturl()
