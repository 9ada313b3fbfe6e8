"""Events as a feed for feed readers: Atom (RFC 4287) and JSON Feed 1.1, one item an event."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from aggregator.types import EventId, EventLine, Teaser, TeaserKind

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 has no place for, and control characters that no reader wants."""

KINDS = ((TeaserKind.COVERAGE, "Also in"), (TeaserKind.RELATED, "Related"))
GENERATOR = "news-event-aggregator"


@dataclass(frozen=True, slots=True)
class FeedHead:
    """What a feed says of itself. `site` is the address of the page, `home` that of the same list as a page."""

    title: str
    site: str
    home: str
    address: str
    updated: datetime


def atom(head: FeedHead, events: Sequence[EventLine], teasers: Mapping[EventId, Sequence[Teaser]]) -> bytes:
    """The events as Atom; ids never change, `updated` is when the event grew last."""
    entries = "".join(_atom_entry(head, event, teasers.get(event.id, ())) for event in events)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<title>{_text(head.title)}</title>\n"
        f"<id>{_text(head.address)}</id>\n"
        f'<link rel="self" type="application/atom+xml" href={_quoted(head.address)}/>\n'
        f'<link rel="alternate" type="text/html" href={_quoted(head.home)}/>\n'
        f"<updated>{_time(head.updated)}</updated>\n"
        f"<generator>{GENERATOR}</generator>\n"
        f"{entries}</feed>\n"
    ).encode()


def _atom_entry(head: FeedHead, event: EventLine, teasers: Sequence[Teaser]) -> str:
    lang = f" xml:lang={_quoted(event.lang)}" if event.lang else ""
    source = f'<link rel="related" href={_quoted(event.url)}/>\n' if event.url else ""
    category = f"<category term={_quoted(event.category)}/>\n" if event.category else ""
    return (
        f"<entry{lang}>\n"
        f"<title>{_text(event.title or 'Without a title')}</title>\n"
        f"<id>{_text(_id(head, event))}</id>\n"
        f'<link rel="alternate" type="text/html" href={_quoted(_page(head, event))}/>\n'
        f"{source}{category}"
        f"<published>{_time(event.first_seen_at)}</published>\n"
        f"<updated>{_time(event.last_seen_at)}</updated>\n"
        f"<author><name>{_text(event.source or 'unknown')}</name></author>\n"
        f'<content type="html">{_text(_content(event, teasers))}</content>\n'
        "</entry>\n"
    )


def json_feed(
    head: FeedHead, events: Sequence[EventLine], teasers: Mapping[EventId, Sequence[Teaser]]
) -> bytes:
    """The events as JSON Feed 1.1."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _clean(head.title),
        "home_page_url": head.home,
        "feed_url": head.address,
        "items": [_json_item(head, event, teasers.get(event.id, ())) for event in events],
    }
    return (json.dumps(feed, ensure_ascii=False, indent=1) + "\n").encode()


def _json_item(head: FeedHead, event: EventLine, teasers: Sequence[Teaser]) -> dict[str, object]:
    item: dict[str, object] = {
        "id": _id(head, event),
        "url": _page(head, event),
        "title": _clean(event.title or "Without a title"),
        "content_html": _content(event, teasers),
        "summary": _clean(event.summary),
        "date_published": _time(event.first_seen_at),
        "date_modified": _time(event.last_seen_at),
        "authors": [{"name": _clean(event.source or "unknown")}],
    }
    optional = {
        "external_url": event.url,
        "language": event.lang,
        "tags": [event.category] if event.category else [],
    }
    return item | {name: value for name, value in optional.items() if value}


def _id(head: FeedHead, event: EventLine) -> str:
    return f"{head.site}events/{event.id}"


def _page(head: FeedHead, event: EventLine) -> str:
    return f"{head.site}events/{event.id}"


def _content(event: EventLine, teasers: Sequence[Teaser]) -> str:
    """The summary and the teasers as HTML of our own making."""
    parts = [f"<p>{_html(event.summary)}</p>"] if event.summary else []
    for kind, name in KINDS:
        chosen = [teaser for teaser in teasers if teaser.kind is kind]
        if chosen:
            parts.append(f"<p>{name}:</p><ul>{''.join(map(_item, chosen))}</ul>")
    return _clean("".join(parts))


def _item(teaser: Teaser) -> str:
    words = _html(teaser.text)
    if teaser.url.startswith(("http://", "https://")):
        words = f'<a href="{html.escape(teaser.url)}">{words}</a>'
    return f"<li>{words}{f' ({_html(teaser.source)})' if teaser.source else ''}</li>"


def _html(text: str) -> str:
    return html.escape(text, quote=False)


def _clean(text: str) -> str:
    return FORBIDDEN.sub("", text)


def _text(text: str) -> str:
    return escape(_clean(text))


def _quoted(text: str) -> str:
    return quoteattr(_clean(text))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
