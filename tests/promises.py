"""What is promised of every value that leaves parse, normalise and opml, whatever bytes came in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import urlsplit

import regex

from aggregator.normalise import normalise
from aggregator.normalise.characters import SUMMARY_LENGTH
from aggregator.normalise.entry import EARLIEST, LATEST_AHEAD, LONGEST_GUID, NAME_LENGTH, TITLE_LENGTH
from aggregator.normalise.html import ATTRIBUTES, TAGS
from aggregator.normalise.url import LONGEST_URL
from aggregator.opml import OpmlError, read_opml, write_opml
from aggregator.parse import parse_feed
from aggregator.teaser import LENGTH, MOST_LISTED
from aggregator.types import Entry, Failed, FailureKind, FeedList, Fetched, NormalisedFeed, ParsedFeed

URL = "https://news.example/feed.xml"
NOW = datetime(2026, 1, 10, tzinfo=UTC)

MOST_ENTRIES = 5000
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
HARMFUL = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LINE_BREAK = re.compile("[\n\r\u2028\u2029\t]")
LANG = re.compile(r"(?:[a-z]{2,3})?")
"""A primary language tag, or none."""

LONGEST_ESCAPED = 2 * 12 * LONGEST_URL
"""Characters of an address and its base whose characters were all escaped as four bytes of UTF-8."""

LONGEST_KEY = 2 + 1500
"""Bytes of an identity: an index of PostgreSQL takes 2,700 for a key, part of it another's."""

ANYWHERE = {"lang", "title"}
"""Attributes that every element may have."""


def broken_by_feed(body: bytes, content_type: str) -> list[str]:
    """A sentence for each promise that parse_feed or normalise breaks on this body."""
    try:
        parsed = parse_feed(Fetched(URL, 200, body, content_type, "", "", "", None, ""))
    except Exception as error:  # noqa: BLE001  (whatever it is: it should not have come out)
        return [f"parse_feed raised {error!r}"]
    if isinstance(parsed, Failed):
        said = parsed.detail
        return [
            *_dirty("Failed", parsed),
            *_unless(parsed.kind is FailureKind.NOT_A_FEED, "an odd failure"),
            *_unless(said.endswith(".") and not LINE_BREAK.search(said), f"no sentence: {said!r}"),
        ]
    return [*_dirty("ParsedFeed", parsed), *_of_parsed(parsed), *broken_by_normalising(parsed)]


def broken_by_normalising(parsed: ParsedFeed) -> list[str]:
    """A sentence for each promise that normalise breaks on this feed."""
    try:
        feed = normalise(parsed, URL, NOW)
    except Exception as error:  # noqa: BLE001  (as above)
        return [f"normalise raised {error!r}"]
    return [*_dirty("NormalisedFeed", feed), *_of_normalised(feed)]


def broken_by_list(content: bytes) -> list[str]:
    """A sentence for each promise that read_opml breaks on this content."""
    try:
        found = read_opml(content)
    except OpmlError as error:
        said = str(error)
        return list(_unless(said.endswith(".") and not LINE_BREAK.search(said), f"no sentence: {said!r}"))
    except Exception as error:  # noqa: BLE001  (as above)
        return [f"read_opml raised {error!r}"]
    return [*_dirty("FeedList", found), *_of_list(found)]


def _unless(promise: bool, sentence: str) -> Iterator[str]:  # noqa: FBT001  (the promise is what it is about)
    if not promise:
        yield sentence


def _dirty(place: str, value: object) -> Iterator[str]:
    """Each string below `value` that holds a forbidden character."""
    if isinstance(value, str):
        found = FORBIDDEN.search(value)
        yield from _unless(found is None, f"{place} holds {found and found[0]!a}")
    elif isinstance(value, tuple | frozenset):
        for number, member in enumerate(value):
            yield from _dirty(f"{place}[{number}]", member)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _dirty(f"{place}.{field.name}", getattr(value, field.name))


def _of_parsed(feed: ParsedFeed) -> Iterator[str]:
    for number, entry in enumerate(feed.entries):
        published = entry.published
        yield from _unless(published is None or published.tzinfo is UTC, f"entry {number}: a date not in UTC")
        scheme = entry.link.partition(":")[0].lower() if ":" in entry.link.partition("/")[0] else ""
        yield from _unless(scheme in {"", "http", "https"}, f"entry {number}: link {entry.link[:80]!r}")
    hints = feed.hints
    yield from _unless(hints.ttl is None or 0 < hints.ttl < 10**9, f"ttl {hints.ttl}")
    yield from _unless(hints.skip_hours <= set(range(24)) and hints.skip_days <= set(range(7)), f"{hints}")


def _of_normalised(feed: NormalisedFeed) -> Iterator[str]:
    yield from _unless(len(feed.entries) <= MOST_ENTRIES, f"{len(feed.entries)} entries")
    identities = {entry.identity for entry in feed.entries}
    yield from _unless(len(identities) == len(feed.entries) and "" not in identities, "identities not unique")
    yield from _line("feed title", feed.title, TITLE_LENGTH)
    yield from _address("site_url", feed.site_url)
    for number, entry in enumerate(feed.entries):
        for sentence in _of_entry(entry):
            yield f"entry {number}: {sentence}"


def _of_entry(entry: Entry) -> Iterator[str]:
    yield from _line("title", entry.title, TITLE_LENGTH)
    yield from _line("summary", entry.summary, SUMMARY_LENGTH)
    yield from _line("author", entry.author, NAME_LENGTH)
    yield from _line("source", entry.source, NAME_LENGTH)
    yield from _address("url", entry.url)
    yield from _address("canonical_url", entry.canonical_url)
    yield from _unless(len(entry.guid) <= LONGEST_GUID, f"a guid of {len(entry.guid)}")
    for key in (entry.identity, entry.canonical_url):
        yield from _unless(len(key.encode()) <= LONGEST_KEY, f"a key of {len(key)} characters: {key[:80]}")
    yield from _unless(LANG.fullmatch(entry.lang) is not None, f"lang {entry.lang!r}")
    yield from _unless(entry.published_at.tzinfo is UTC, "published_at not in UTC")
    yield from _unless(EARLIEST <= entry.published_at <= NOW + LATEST_AHEAD, f"{entry.published_at}")
    yield from _unless(
        all(line == line.strip() != "" for line in entry.text.split("\n") if entry.text), "text"
    )
    for shown in (entry.title, entry.summary, entry.text, entry.html, entry.author, entry.source, entry.guid):
        yield from _unless(HARMFUL.search(shown) is None, f"harmful characters in {shown[:80]!a}")
    yield from _unless(len(entry.listed) <= MOST_LISTED, f"{len(entry.listed)} listed items")
    for item in entry.listed:
        yield from _line("teaser", item.teaser, LENGTH)
        yield from _address("listed url", item.url)
        yield from _unless(-(1 << 63) <= item.start_key < 1 << 63, "start_key")
    yield from _Markup.broken_by(entry.html)


def _line(name: str, text: str, most: int) -> Iterator[str]:
    yield from _unless(LINE_BREAK.search(text) is None, f"{name} has line breaks: {text[:80]!r}")
    if len(text) > most:
        length = len(regex.findall(r"\X", text))
        yield from _unless(length <= most and len(text) <= most * 17, f"{name} has {length} characters")


def _address(name: str, url: str) -> Iterator[str]:
    parts = urlsplit(url)
    yield from _unless(
        not url or (parts.scheme in {"http", "https"} and bool(parts.hostname)), f"{name} {url[:80]!r}"
    )
    yield from _unless(len(url) <= LONGEST_ESCAPED, f"{name} has {len(url)} characters")
    yield from _unless(LINE_BREAK.search(url) is None, f"{name} has line breaks")


class _Markup(HTMLParser):
    """Looks at sanitised markup with another parser than the one that cleaned it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @classmethod
    def broken_by(cls, html: str) -> list[str]:
        markup = cls()
        markup.feed(html)
        markup.close()
        return markup.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.found.append(f"html has <{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, set()) | ANYWHERE | ({"rel"} if tag == "a" else set()):
                self.found.append(f"html has <{tag} {name}>")
            if name in {"href", "src", "cite"}:
                scheme = re.match(r"([^/?#]*?):", "".join((value or "").split()))
                if scheme is None or scheme[1].lower() not in {"http", "https", "mailto"}:
                    self.found.append(f"html has {name}={(value or '')[:80]!r}")


def _of_list(found: FeedList) -> Iterator[str]:
    urls = [feed.url for feed in found.feeds]
    yield from _unless(len(set(urls)) == len(urls), "an address twice")
    for feed in found.feeds:
        yield from _address("feed url", feed.url)
        for name in ("title", "category", "site_url"):
            yield from _unless(LINE_BREAK.search(getattr(feed, name)) is None, f"{name} has line breaks")
    for warning in (found.title, *found.warnings):
        yield from _unless(LINE_BREAK.search(warning) is None, f"line breaks in {warning!r}")
    for warning in found.warnings:
        yield from _unless("://" not in warning, f"an address in {warning!r}")
    again = read_opml(write_opml(found))
    yield from _unless(set(again.feeds) == set(found.feeds), "the list that is written is another one")
    yield from _unless(not again.warnings, "the list that is written has faults")
