"""The sample stories as feed documents: RSS 2.0, RSS 1.0, Atom 1.0 and JSON Feed 1.1, dated back from `now`."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from html import escape
from typing import Any

from aggregator.demo.stories import Outlet, SampleItem, read_items, read_outlets

# How the record that this program is built for was cut: 59 characters and an ellipsis, words not respected.
TEASER_CHARACTERS = 59
# A related text up to this length is carried whole before its teaser, as in that record (126 characters).
WHOLE_RELATED_CHARACTERS = 140

CONTENT_TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "rdf": "application/rdf+xml; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "json": "application/feed+json",
}
NAMESPACES = {
    "xmlns:content": "http://purl.org/rss/1.0/modules/content/",
    "xmlns:dc": "http://purl.org/dc/elements/1.1/",
}
RDF_NAMESPACES = {
    **NAMESPACES,
    "xmlns": "http://purl.org/rss/1.0/",
    "xmlns:rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}


@dataclass(frozen=True, slots=True)
class SampleFeed:
    """One feed document and where it is served. `path` starts with a slash; `category` may be a/path."""

    path: str
    title: str
    category: str
    content_type: str
    body: bytes


def sample_feeds(now: datetime) -> tuple[SampleFeed, ...]:
    """One feed for each outlet, its items newest first; the same `now` (with a time zone) gives the same bytes.

    Only the dates depend on `now`: guids, links and texts are the same at every call.
    """
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    return tuple(_sample_feed(outlet, now.replace(microsecond=0)) for outlet in read_outlets())


def _sample_feed(outlet: Outlet, now: datetime) -> SampleFeed:
    by_key = {item.key: item for item in read_items()}
    local = now.astimezone(timezone(timedelta(hours=outlet.utc_offset)))
    written = [
        _written(item, by_key, local - timedelta(hours=item.hours_ago))
        for item in by_key.values()
        if item.outlet == outlet
    ]
    render = {"rss": _rss, "rdf": _rdf, "atom": _atom, "json": _json}[outlet.dialect]
    extension = "json" if outlet.dialect == "json" else "xml"
    return SampleFeed(
        path=f"/{outlet.key}.{extension}",
        title=outlet.title,
        category=outlet.category,
        content_type=CONTENT_TYPES[outlet.dialect],
        body=render(outlet, written),
    )


# ---- an item as its outlet prints it ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Written:
    """An item ready for any dialect; `html` and `summary` are "" where the outlet's feed carries none."""

    guid: str
    title: str
    link: str
    lang: str
    published: datetime
    summary: str
    html: str


def _written(item: SampleItem, by_key: Mapping[str, SampleItem], published: datetime) -> _Written:
    outlet = item.outlet
    summary = " ".join(item.told) if outlet.carries == "summary" else "".join(item.told[:1])
    body = [f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in item.told]
    body += [line for key in item.related for line in _related_lines(by_key[key])]
    return _Written(
        guid=item.guid,
        title=item.title,
        link=_link(item),
        lang=item.lang,
        published=published,
        summary=summary if outlet.carries != "headline" else "",
        html="\n".join(body) if outlet.carries == "full" else "",
    )


def _related_lines(item: SampleItem) -> list[str]:
    """What a site sticks to the end of a story: another item's truncated text, before it a short one whole."""
    text = " ".join(item.told)
    teaser = text[:TEASER_CHARACTERS].rstrip() + "…"
    line = f'<p><a href="{escape(_link(item))}">{escape(teaser, quote=False)}</a></p>'
    whole = [f"<p>{escape(text, quote=False)}</p>"] if len(text) <= WHOLE_RELATED_CHARACTERS else []
    return [*whole, line]


def _link(item: SampleItem) -> str:
    return f"{item.url}?{item.outlet.tracking}" if item.outlet.tracking else item.url


# ---- dialects --------------------------------------------------------------------------------------


def _rss(outlet: Outlet, items: list[_Written]) -> bytes:
    """RSS 2.0 with content:encoded (https://www.rssboard.org/rss-specification)."""
    root = ET.Element("rss", {"version": "2.0", **NAMESPACES})
    channel = ET.SubElement(root, "channel")
    _add(channel, "title", outlet.title)
    _add(channel, "link", f"https://{outlet.host}/")
    _add(channel, "description", f"{outlet.title}: {outlet.category}")
    _add(channel, "language", outlet.lang)
    for item in items:
        element = ET.SubElement(channel, "item")
        _add(element, "title", item.title)
        _add(element, "link", item.link)
        _add(element, "guid", item.guid, isPermaLink="true" if outlet.guids == "url" else "false")
        _add(element, "pubDate", format_datetime(item.published))
        _add_if_any(element, "description", item.summary)
        _add_if_any(element, "content:encoded", item.html)
    return _document(root)


def _rdf(outlet: Outlet, items: list[_Written]) -> bytes:
    """RSS 1.0 with Dublin Core (https://web.resource.org/rss/1.0/spec); the guid is the item's rdf:about."""
    root = ET.Element("rdf:RDF", RDF_NAMESPACES)
    site = f"https://{outlet.host}/"
    channel = ET.SubElement(root, "channel", {"rdf:about": site})
    _add(channel, "title", outlet.title)
    _add(channel, "link", site)
    _add(channel, "description", f"{outlet.title}: {outlet.category}")
    _add(channel, "dc:language", outlet.lang)
    sequence = ET.SubElement(ET.SubElement(channel, "items"), "rdf:Seq")
    for item in items:
        ET.SubElement(sequence, "rdf:li", {"rdf:resource": item.guid})
        element = ET.SubElement(root, "item", {"rdf:about": item.guid})
        _add(element, "title", item.title)
        _add(element, "link", item.link)
        _add(element, "dc:date", item.published.isoformat())
        _add(element, "dc:language", item.lang)
        _add_if_any(element, "description", item.summary)
        _add_if_any(element, "content:encoded", item.html)
    return _document(root)


def _atom(outlet: Outlet, items: list[_Written]) -> bytes:
    """Atom 1.0 (RFC 4287)."""
    root = ET.Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": outlet.lang})
    _add(root, "id", f"tag:{outlet.host},2020-01-01:feed")
    _add(root, "title", outlet.title)
    _add(root, "updated", max(item.published for item in items).isoformat())
    ET.SubElement(root, "link", {"rel": "alternate", "href": f"https://{outlet.host}/"})
    _add(ET.SubElement(root, "author"), "name", outlet.title)
    for item in items:
        entry = ET.SubElement(root, "entry", {"xml:lang": item.lang})
        _add(entry, "id", item.guid)
        _add(entry, "title", escape(item.title, quote=False), type="html")
        _add(entry, "published", item.published.isoformat())
        _add(entry, "updated", item.published.isoformat())
        ET.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": item.link})
        _add_if_any(entry, "summary", item.summary)
        _add_if_any(entry, "content", item.html, type="html")
    return _document(root)


def _json(outlet: Outlet, items: list[_Written]) -> bytes:
    """JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""
    document: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": outlet.title,
        "home_page_url": f"https://{outlet.host}/",
        "language": outlet.lang,
        "items": [
            {
                "id": item.guid,
                "url": item.link,
                "title": item.title,
                "summary": item.summary,
                "content_html": item.html,
                "date_published": item.published.isoformat(),
                "language": item.lang,
            }
            for item in items
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _add(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def _add_if_any(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    if text:
        _add(parent, tag, text, **attributes)


def _document(root: ET.Element) -> bytes:
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body + b"\n"
