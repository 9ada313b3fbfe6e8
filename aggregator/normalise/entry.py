"""One item of a feed: from what the feed gave to a clean Entry."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import regex
import xxhash

from aggregator.normalise.html import (
    clean_text,
    from_plain,
    has_markup,
    links,
    paragraphs,
    plain_paragraphs,
    plain_title,
    sanitise,
)
from aggregator.normalise.language import detect_language
from aggregator.normalise.url import absolute_url, canonical_url, host_of
from aggregator.teaser import Line, fold_space, is_cut, split_related, start_key, starts_like
from aggregator.types import Entry, ListedItem, ParsedEntry, ParsedFeed

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(hours=24)
"""Dates outside are mistakes: no feed is older than RSS by years, and a clock is wrong by a day at most."""

TITLE_LENGTH = 500
SUMMARY_LENGTH = 300
NAME_LENGTH = 200
"""User-perceived characters kept of titles, summaries, and names of authors and outlets."""

BOILERPLATE = regex.compile(
    r"^(?:the post .{1,300} (?:appeared first|first appeared) on .{1,200}"
    r"|(?:l['’]article|cet article) .{1,300} est apparu en premier sur .{1,200}"
    r"|(?:der beitrag|der artikel) .{1,300} erschien zuerst (?:auf|bei) .{1,200}"
    r"|la entrada .{1,300} (?:se publicó primero|aparece primero|apareció primero) en .{1,200}"
    r"|l['’]articolo .{1,300} proviene da .{1,200}"
    r"|(?:continue|keep) reading.{0,300}|read (?:more|on|the (?:full|whole) (?:article|story)).{0,40}"
    r"|lire la suite.{0,80}|(?:weiter|mehr)lesen.{0,40}|weiterlesen.{0,80}|leer más.{0,40}|seguir leyendo.{0,40}"
    r"|leggi (?:tutto|di più).{0,40}|continua a leggere.{0,80}|leia mais.{0,40}|lees (?:meer|verder).{0,40}"
    r"|читать (?:далее|дальше|полностью).{0,80}|full story.{0,20}"
    r"|\d* ?comments?|\[?link\]?|\[?comments\]?|submitted by /u/.{0,80})[.…»>→ ]*$",
    regex.IGNORECASE,
)
"""Lines that feed software and sites put under a text and that say nothing of it."""

MORE = re.compile(
    r"\s*(?:\[…\]|\[\.\.\.\]|…|\.\.\.)\s*(?:\[?(?:read )?more\]?|\(more\)|lire la suite|weiterlesen)\s*[»>→]*$",
    re.IGNORECASE,
)
"""What stands behind the "…" of a text that was cut short."""


def clean_entry(item: ParsedEntry, feed: ParsedFeed, feed_url: str, now: datetime) -> Entry | None:
    """The item as a clean entry, None if it has neither title nor text nor link. Identity: the guid, if any."""
    base = item.base or feed_url
    url = absolute_url(item.link, base)
    content = _Text.read(item.content, base, is_html=item.content_is_html)
    summary = _Text.read(item.summary, base, is_html=item.summary_is_html)
    if not content.lines or (len(summary.joined) > len(content.joined) and not summary.is_cut):
        content, summary = summary, content
    title = cut_length(plain_title(item.title, is_html=item.title_is_html), TITLE_LENGTH)
    text = content.joined
    if not (title or text or url):
        return None
    published, guessed = _published(item.published, now)
    canonical = canonical_url(url)
    return Entry(
        identity="",
        guid=clean_text(item.guid).strip()[:2000],
        url=url,
        canonical_url=canonical,
        title=title,
        summary=excerpt(" ".join(summary.lines) or text),
        text=text,
        html=content.html,
        lang=detect_language(f"{title}. {text}", item.lang or feed.lang),
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
        while len(lines) > 1 and BOILERPLATE.match(lines[-1]):
            lines.pop()
        if lines:
            lines[-1] = MORE.sub("…", lines[-1])
        own, listed = split_related([Line(line, "") for line in lines])
        self.lines = [line.text for line in own]
        self.joined = "\n".join(self.lines)
        self.html = html
        self.listed = _with_addresses(listed, html)
        self.is_cut = bool(self.lines) and is_cut(self.lines[-1])

    @classmethod
    def read(cls, value: str, base: str, *, is_html: bool) -> _Text:
        if not value.strip():
            return cls([], "")
        if is_html and has_markup(value):
            html = sanitise(value, base)
            return cls(paragraphs(html) if "<" in html else plain_paragraphs(_unescaped(html)), html)
        lines = plain_paragraphs(value) if is_html else _given_lines(value)
        return cls(lines, from_plain("\n".join(lines)))


def _unescaped(html: str) -> str:
    return "\n".join(line for raw in html.split("\n") for line in (paragraphs(raw) or [""]))


def _given_lines(text: str) -> list[str]:
    """The lines of text that is plain by declaration: each is a paragraph, unless the text is hard-wrapped."""
    lines = [line for raw in clean_text(text).splitlines() if (line := fold_space(raw))]
    wrapped = len(lines) > 3 and max(map(len, lines)) <= 80 and not any(is_cut(line) for line in lines)
    return plain_paragraphs(text) if wrapped else lines


def _with_addresses(listed: tuple[ListedItem, ...], html: str) -> tuple[ListedItem, ...]:
    """The listed items with the addresses of the links whose text they are."""
    if not listed:
        return ()
    found = links(html)
    return tuple(
        replace(item, url=next((url for text, url in found if _same_item(item, text)), item.url))
        for item in listed
    )


def _same_item(item: ListedItem, text: str) -> bool:
    return text in (item.text, item.teaser) or starts_like(item.teaser, text)


def _outlet(item: ParsedEntry, feed: ParsedFeed, feed_url: str, url: str) -> str:
    named = item.source or plain_title(feed.title, is_html=True)
    return fold_space(clean_text(named)) or host_of(feed.site_url) or host_of(feed_url) or host_of(url)


def _published(stated: datetime | None, now: datetime) -> tuple[datetime, bool]:
    if stated is not None and EARLIEST <= stated <= now + LATEST_AHEAD:
        return stated, False
    return now, True


def excerpt(text: str) -> str:
    """The beginning of a text on one line: at most SUMMARY_LENGTH characters, ended at a word with "…"."""
    line = fold_space(text[: SUMMARY_LENGTH * 8])
    short = cut_length(line, SUMMARY_LENGTH)
    if short == line:
        return line
    words, _, _ = short[:-1].rpartition(" ")
    return (words or short[:-1]).rstrip(" ,;:-–—") + "…"


def cut_length(text: str, most: int) -> str:
    """The text, or its first most - 1 user-perceived characters and "…"."""
    if len(text) <= most:
        return text
    clusters = regex.findall(r"\X", text[: most * 16])
    return text if len(clusters) <= most else "".join(clusters[: most - 1]) + "…"
