"""JSON Feed 1.0 and 1.1 (jsonfeed.org), and RSS in JSON, become ParsedFeeds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aggregator.parse.dates import parse_date
from aggregator.parse.hints import ttl_seconds
from aggregator.parse.mend import clean
from aggregator.parse.texts import (
    NO_TEXT,
    Text,
    assign_texts,
    has_markup,
    is_empty,
    is_http,
    join,
    language,
    plain,
)
from aggregator.types import NO_HINTS, Failed, FailureKind, ParsedEntry, ParsedFeed

# Names that only JSON Feed uses: they tell it where the version is missing.
_OWN_FEED_NAMES = frozenset({"home_page_url", "feed_url"})
_OWN_ITEM_NAMES = frozenset({"content_html", "content_text", "date_published", "external_url"})
_START = re.compile(r"[\ufeff\s\0]*[{\[]")
_ITEMS = re.compile(r'"items"\s*:\s*\[')
_GAP = re.compile(r"[\s,]*")


def looks_like_json(text: str) -> bool:
    """Whether the document can only be JSON: it starts with a bracket."""
    return _START.match(text) is not None


def parse_json(text: str, base: str) -> ParsedFeed | Failed:
    """The feed in a JSON document; Failed(NOT_A_FEED) if it is none. Wrong types count as absent.

    Of a document that breaks off, the whole items are read. `base` makes relative addresses absolute.
    """
    document = _load(clean(text).lstrip("\ufeff \t\n"))
    channel = _object(_object(document, "rss"), "channel")
    if channel:
        return _read_rss(channel, base)
    if document is None:
        return Failed(
            FailureKind.NOT_A_FEED,
            "The document starts like JSON but can't be read.",
        )
    if not _is_json_feed(document):
        return Failed(
            FailureKind.NOT_A_FEED,
            "The document is JSON but not a JSON Feed, perhaps an error message.",
        )
    return _read_json_feed(document, base)


def _load(text: str) -> Any:
    """The document, None if it is not JSON. Raw newlines in strings are let through."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return _load_part(text)


def _load_part(text: str) -> dict[str, Any] | None:
    """The head and the whole items of a JSON Feed that breaks off."""
    start = _ITEMS.search(text)
    if start is None:
        return None
    decoder = json.JSONDecoder(strict=False)
    try:
        head = decoder.decode(text[: start.start()].rstrip(", \t\n") + "}")
    except (ValueError, RecursionError):
        return None
    items = []
    position = start.end()
    while True:
        gap = _GAP.match(text, position)
        try:
            item, position = decoder.raw_decode(text, gap.end() if gap else position)
        except (ValueError, RecursionError):
            break
        items.append(item)
    return {**head, "items": items} if isinstance(head, dict) and items else None


def _is_json_feed(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    if "jsonfeed.org" in _string(document, "version"):
        return True
    if not isinstance(document.get("items"), list):
        return False
    return not _OWN_FEED_NAMES.isdisjoint(document) or any(
        not _OWN_ITEM_NAMES.isdisjoint(item) for item in _objects(document, "items")
    )


def _read_json_feed(document: dict[str, Any], base: str) -> ParsedFeed:
    authors = _authors(document)
    site_url = join(base, _string(document, "home_page_url"))
    base = base if is_http(base) else site_url or base
    entries = (_read_item(item, authors, base) for item in _objects(document, "items"))
    return ParsedFeed(
        title=plain(Text(_string(document, "title"), is_html=False)),
        site_url=site_url,
        lang=language(_string(document, "language")),
        hints=NO_HINTS,
        entries=tuple(entry for entry in entries if not is_empty(entry)),
    )


def _read_item(item: dict[str, Any], authors: str, base: str) -> ParsedEntry:
    guid = _string(item, "id")
    rich, bare = _string(item, "content_html"), _string(item, "content_text")
    content = Text(rich, is_html=True) if rich else Text(bare, is_html=False)
    content, summary = assign_texts(content, Text(_string(item, "summary"), is_html=False))
    attachments = (_string(attachment, "url") for attachment in _objects(item, "attachments"))
    links = (_string(item, "url"), _string(item, "external_url"), guid if is_http(guid) else "", *attachments)
    dates = (parse_date(_string(item, name)) for name in ("date_published", "date_modified"))
    return ParsedEntry(
        guid=guid,
        link=next((url for url in (join(base, link) for link in links) if url), ""),
        title=_string(item, "title"),
        title_is_html=False,
        summary=summary.value,
        summary_is_html=summary.is_html,
        content=content.value,
        content_is_html=content.is_html,
        base=base,
        author=_authors(item) or authors,
        lang=language(_string(item, "language")),
        source="",
        published=next((date for date in dates if date is not None), None),
    )


def _authors(holder: dict[str, Any]) -> str:
    """The names in `authors` (1.1), else in `author` (1.0)."""
    names = [_string(author, "name") for author in _objects(holder, "authors")]
    return ", ".join(dict.fromkeys(filter(None, names))) or _string(_object(holder, "author"), "name")


def _read_rss(channel: dict[str, Any], base: str) -> ParsedFeed:
    """RSS whose elements are JSON members; a single item may stand without its list."""
    site_url = join(base, _string(channel, "link"))
    base = base if is_http(base) else site_url or base
    items = channel.get("item")
    holder = channel if isinstance(items, list) else {"item": [items]}
    entries = (_read_rss_item(item, base) for item in _objects(holder, "item"))
    title = _string(channel, "title")
    return ParsedFeed(
        title=plain(Text(title, has_markup(title))),
        site_url=site_url,
        lang=language(_string(channel, "language")),
        hints=replace(NO_HINTS, ttl=ttl_seconds(_string(channel, "ttl"))),
        entries=tuple(entry for entry in entries if not is_empty(entry)),
    )


def _read_rss_item(item: dict[str, Any], base: str) -> ParsedEntry:
    guid_object = _object(item, "guid")
    guid = _string(item, "guid") or _string(guid_object, "#value") or _string(guid_object, "#text")
    is_permalink = is_http(guid) and _string(guid_object, "isPermaLink").lower() != "false"
    title, full = _string(item, "title"), _string(item, "content:encoded")
    content, summary = assign_texts(
        Text(full, is_html=True) if full else NO_TEXT, Text(_string(item, "description"), is_html=True)
    )
    links = (_string(item, "link"), guid if is_permalink else "", _string(_object(item, "enclosure"), "url"))
    return ParsedEntry(
        guid=guid,
        link=next((url for url in (join(base, link) for link in links) if url), ""),
        title=title,
        title_is_html=has_markup(title),
        summary=summary.value,
        summary_is_html=summary.is_html,
        content=content.value,
        content_is_html=content.is_html,
        base=base,
        author=_string(item, "author") or _string(item, "dc:creator"),
        lang="",
        source=_string(item, "source") or _string(_object(item, "source"), "#value"),
        published=parse_date(_string(item, "pubDate")) or parse_date(_string(item, "dc:date")),
    )


def _string(holder: Any, name: str) -> str:
    """The member as a string, "" if it is none; numbers are written out, as JSON Feed asks for `id`."""
    value = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return clean(str(value)).strip() if isinstance(value, str | int | float) else ""


def _object(holder: Any, name: str) -> dict[str, Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _objects(holder: Any, name: str) -> Iterator[dict[str, Any]]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return (member for member in value if isinstance(member, dict)) if isinstance(value, list) else iter(())
