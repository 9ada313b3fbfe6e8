"""One item of a feed: from what the feed gave to a clean Entry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import xxhash

from aggregator.normalise.characters import clean_text, cut_length, excerpt
from aggregator.normalise.ending import without_ending
from aggregator.normalise.html import has_markup, links, sanitise
from aggregator.normalise.language import detect_language
from aggregator.normalise.paragraphs import from_plain, paragraphs, plain_paragraphs, plain_title
from aggregator.normalise.url import absolute_url, canonical_url, host_of
from aggregator.teaser import MOST_LISTED, Line, fold_space, is_cut, is_heading, split_related, start_key
from aggregator.types import Entry, ParsedEntry, ParsedFeed

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(hours=24)
"""Dates outside are mistakes: no feed is older than RSS by years, and a clock is wrong by a day at most."""

TITLE_LENGTH = 500
NAME_LENGTH = 200
"""User-perceived characters kept of titles, and of names of authors and outlets."""

LONGEST_GUID = 2000


def clean_entry(
    item: ParsedEntry, feed: ParsedFeed, feed_url: str, now: datetime, lang: str = ""
) -> Entry | None:
    """The item as a clean entry, None if it has neither title nor text nor link. Identity: the guid, if any.

    `lang`: its language if the operator knows it.
    """
    base = item.base or feed_url
    url = absolute_url(item.link, base)
    content = _Text.read(item.content, base, is_html=item.content_is_html)
    summary = _Text.read(item.summary, base, is_html=item.summary_is_html)
    longer = len(summary.joined) > len(content.joined)
    if not content.lines or (longer and (content.is_cut or not summary.is_cut)):
        content, summary = summary, content
    title = cut_length(plain_title(item.title, is_html=item.title_is_html), TITLE_LENGTH)
    text = content.joined
    if not (title or text or url):
        return None
    published, guessed = _published(item.published, now)
    canonical = canonical_url(url)
    return Entry(
        identity="",
        guid=clean_text(item.guid).replace("\r", "\n").strip()[:LONGEST_GUID],
        url=url,
        canonical_url=canonical,
        title=title,
        summary=excerpt(" ".join(summary.lines) or text),
        text=text,
        html=content.html,
        lang=lang or detect_language(f"{title}. {text}", item.lang or feed.lang),
        author=cut_length(fold_space(clean_text(item.author)), NAME_LENGTH),
        source=cut_length(_outlet(item, feed, feed_url, url), NAME_LENGTH),
        published_at=published,
        date_guessed=guessed,
        truncated=content.is_cut,
        content_hash="",
        text_key=start_key(text),
        title_key=start_key(title),
        listed=content.listed,
    )


def with_identity(entry: Entry, identity: str) -> Entry:
    """The entry under this identity, its content hash made anew."""
    shown = f"{entry.title}\x00{entry.summary}\x00{entry.text}\x00{entry.canonical_url}"
    return replace(entry, identity=identity, content_hash=xxhash.xxh3_128_hexdigest(shown.encode()))


class _Text:
    """A field of markup or plain text, read: its paragraphs, its sanitised markup, its trailing related items."""

    def __init__(self, lines: list[str], html: str) -> None:
        own, listed = split_related(_linked(without_ending(lines), html))
        self.lines = without_ending([line.text for line in own]) if listed else [line.text for line in own]
        self.joined = "\n".join(self.lines)
        self.html = html
        self.listed = listed
        self.is_cut = bool(self.lines) and is_cut(self.lines[-1])

    @classmethod
    def read(cls, value: str, base: str, *, is_html: bool) -> _Text:
        if not value.strip():
            return cls([], "")
        if is_html and has_markup(value):
            html = sanitise(value, base)
            if "<" in html:
                return cls(paragraphs(html), html)
            value = unescape(html)
        lines = plain_paragraphs(value, is_declared=not is_html)
        return cls(lines, from_plain(lines))


def _linked(lines: list[str], html: str) -> list[Line]:
    """The lines; where related items may be listed, the last ones with the address of the link that they are."""
    first = max(0, len(lines) - MOST_LISTED)
    if not any(is_cut(text) or is_heading(text) for text in lines[first:]):
        return [Line(text, "") for text in lines]
    found = links(html)[-MOST_LISTED * 2 :]
    return [Line(text, "") for text in lines[:first]] + [
        Line(text, next((url for label, url in found if _is_mostly(label, text)), ""))
        for text in lines[first:]
    ]


def _is_mostly(label: str, line: str) -> bool:
    return len(label) * 5 >= len(line) * 3 and label in line


def _outlet(item: ParsedEntry, feed: ParsedFeed, feed_url: str, url: str) -> str:
    named = item.source or plain_title(feed.title, is_html=True)
    return fold_space(clean_text(named)) or host_of(feed.site_url) or host_of(feed_url) or host_of(url)


def _published(stated: datetime | None, now: datetime) -> tuple[datetime, bool]:
    if stated is not None and EARLIEST <= stated <= now + LATEST_AHEAD:
        return stated, False
    return now, True
