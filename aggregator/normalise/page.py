"""A web page of strangers: the feeds that it names."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from aggregator.normalise.html import is_costly
from aggregator.normalise.url import absolute_url

FEED_TYPES = frozenset(
    {
        "application/rss+xml",
        "application/atom+xml",
        "application/rdf+xml",
        "application/feed+json",
        "application/json",
    }
)
"""Types by which pages name their feeds (RSS Autodiscovery, RFC 4287, JSON Feed 1.1 and 1.0)."""

NOT_FEEDS = ("/wp-json", "rest_route=", "oembed")
"""What WordPress names as application/json: its interface for programs."""

LONGEST_PAGE = 1_000_000
"""Characters of a page that are looked at: feeds are named in its head."""

_BODY = re.compile(r"<body[\s>]", re.IGNORECASE)
_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body|title)[\s>]", re.IGNORECASE)


def is_page(text: str) -> bool:
    """Whether the text looks like a web page."""
    return _PAGE.search(text[:5000]) is not None


def feed_links(text: str, address: str) -> list[str]:
    """The addresses of the feeds that a page at `address` names by <link rel="alternate">, each once, in order."""
    markup = text[:LONGEST_PAGE]
    if is_costly(markup):
        body = _BODY.search(markup)
        markup = markup[: body.start()] if body else ""
        if is_costly(markup):
            return []
    page = LexborHTMLParser(markup)
    first_base = page.css_first("base[href]")
    base = absolute_url(first_base.attributes.get("href") or "", address) if first_base else ""
    found: dict[str, None] = {}
    for link in page.css("link[href]"):
        values = {name: (value or "").strip() for name, value in link.attributes.items()}
        kind = values.get("type", "").partition(";")[0].strip().lower()
        href = values["href"]
        if "alternate" not in values.get("rel", "").lower().split() or kind not in FEED_TYPES:
            continue
        if kind == "application/json" and any(part in href for part in NOT_FEEDS):
            continue
        if url := absolute_url(href, base or address):
            found.setdefault(url)
    return list(found)
