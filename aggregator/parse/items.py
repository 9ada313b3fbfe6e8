"""One item as feedparser shows it becomes a ParsedEntry; feedparser's own guesses are undone here."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aggregator.parse.dates import parse_date
from aggregator.parse.mend import clean
from aggregator.parse.texts import (
    NO_TEXT,
    Text,
    assign_texts,
    choose_content,
    has_markup,
    is_http,
    join,
    language,
    plain,
)
from aggregator.types import ParsedEntry

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
# pubDate, issued; dc:date, modified; created: the first that can be read counts.
DATE_FIELDS = ("published", "updated", "created", "prism_publicationdate")


@dataclass(frozen=True, slots=True)
class Shared:
    """What the items of one document share.

    `base` is the document's address, `lang` the language of its outermost element, `author` what an Atom
    feed gives for entries without one. `is_loose`: feedparser's strict parser gave up.
    """

    base: str
    lang: str
    author: str
    is_atom: bool
    is_loose: bool


def read_entry(item: dict[str, Any], shared: Shared) -> ParsedEntry:
    """The item in our own terms, links absolute, markup untouched."""
    title = read_title(item, shared)
    parts = [part for part in map(_content_part, _list(item, "content")) if part.value]
    content, summary = assign_texts(choose_content(parts), _summary(item))
    texts = (content, summary, title)
    base = next((text.base for text in texts if text.base), "")
    lang = read_field(item, "language", shared) or next((text.lang for text in texts if text.lang), "")
    source = _mapping(item, "source")
    return ParsedEntry(
        guid=read_field(item, "id", shared),
        link=join(shared.base, _link(item, shared)),
        title=title.value,
        title_is_html=title.is_html,
        summary=summary.value,
        summary_is_html=summary.is_html,
        content=content.value,
        content_is_html=content.is_html,
        base=join(shared.base, base) or shared.base,
        author=read_authors(item, shared) or read_authors(source, shared) or shared.author,
        lang="" if lang == shared.lang else language(lang),
        source=plain(read_title(source, shared)),
        published=_published(item, shared),
    )


def read_field(fields: dict[str, Any], name: str, shared: Shared) -> str:
    """A field without markup, "" if missing. feedparser's lenient parser leaves "&amp;" in these.

    `dict.get`, because feedparser's own answers one field's name with another field's value.
    """
    value = dict.get(fields, name)
    if not isinstance(value, str):
        return ""
    return clean(html.unescape(value) if shared.is_loose else value).strip()


def read_title(fields: dict[str, Any], shared: Shared) -> Text:
    """The title of an item, a feed or a source. Atom says its type; in RSS it is told from the text."""
    detail, value = _mapping(fields, "title_detail"), dict.get(fields, "title")
    if not isinstance(value, str):
        return NO_TEXT
    if detail.get("value") != value:
        # The detail is that of a title deeper inside, say of the author's job.
        detail = {}
    text = _text(detail, value)
    if shared.is_atom:
        return text
    return Text(text.value, text.is_html or has_markup(text.value), text.base, text.lang)


def read_authors(fields: dict[str, Any], shared: Shared) -> str:
    """The names of the authors, joined by commas; an address only where a name is missing."""
    names = []
    for author in _list(fields, "authors"):
        name = read_field(author, "name", shared) or read_field(author, "email", shared)
        if name and name not in names:
            names.append(name)
    return " ".join((", ".join(names) or read_field(fields, "author", shared)).split())


def _list(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = fields.get(name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _mapping(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _text(detail: dict[str, Any], value: str) -> Text:
    return Text(
        value=clean(value).strip(),
        is_html=detail.get("type") in HTML_TYPES,
        base=clean(detail.get("base") or ""),
        lang=language(detail.get("language") or ""),
    )


def _content_part(part: dict[str, Any]) -> Text:
    """A part of the content, nothing if it is no text (Atom carries images, too)."""
    kind, value = part.get("type") or "", part.get("value")
    if not isinstance(value, str) or not (kind in HTML_TYPES or kind.startswith("text/") or not kind):
        return NO_TEXT
    return _text(part, value)


def _summary(item: dict[str, Any]) -> Text:
    """The summary that the feed gives. Without one feedparser shows a copy of the content, without detail."""
    detail, value = _mapping(item, "summary_detail"), dict.get(item, "summary")
    is_copy = not detail and any(part.get("value") == value for part in _list(item, "content"))
    if is_copy or not isinstance(value, str):
        return NO_TEXT
    # Where they differ the detail is that of a deeper description, say of a picture.
    return _text(detail, value) if detail.get("value") == value else _text({"type": "text/html"}, value)


def _link(item: dict[str, Any], shared: Shared) -> str:
    """The item's page: the one behind a feed proxy, the alternate link, the guid, at last an enclosure."""
    original = read_field(item, "feedburner_origlink", shared)
    if is_http(original):
        return original
    links = _list(item, "links")
    alternates = [link for link in links if str(link.get("rel", "")).rpartition("/")[2] == "alternate"]
    pages = [link for link in alternates if link.get("type") in HTML_TYPES]
    for link in pages + alternates:
        if url := read_field(link, "href", shared):
            return url
    guid = read_field(item, "id", shared)
    # Beside an empty link element feedparser does not say whether the guid is a permalink.
    if is_http(guid) and (item.get("guidislink") or dict.get(item, "link") == ""):
        return guid
    enclosures = (read_field(link, "href", shared) for link in links if link.get("rel") == "enclosure")
    return next((url for url in enclosures if url), "")


def _published(item: dict[str, Any], shared: Shared) -> datetime | None:
    dates = (parse_date(read_field(item, name, shared)) for name in DATE_FIELDS)
    return next((date for date in dates if date is not None), None)
