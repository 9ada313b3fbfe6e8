"""A fetched body becomes a ParsedFeed: RSS, RDF and Atom through feedparser, JSON through its neighbour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any
from xml.sax import SAXException

import feedparser

from aggregator.parse.hints import read_hints
from aggregator.parse.items import Shared, read_authors, read_entry, read_field, read_title
from aggregator.parse.jsonfeed import looks_like_json, parse_json
from aggregator.parse.mend import Mended, clean, decode, mend
from aggregator.parse.split import TAG, Parts, split
from aggregator.parse.strict import read_items
from aggregator.parse.texts import is_empty, is_http, join, language, plain
from aggregator.types import NOTHING_SEEN, Failed, FailureKind, Fetched, ParsedFeed, Seen, SeenItem

FEED_ROOTS = frozenset({"rss", "rdf", "feed", "channel"})
PAGE_ROOTS = frozenset({"html", "head", "body"})
# How much of an unusable document an error message quotes, and how far a page is searched for its feed.
QUOTED = 60
XML = "application/xml; charset=utf-8"
MAX_PAGE = 100_000
# Where nearly every document has begun, and what is nothing in one.
HEAD = 1000
BLANK = "\ufeff \t\n"

# Between the outermost element and items: what lies on every element below it.
_CHANGES_ITEMS = re.compile(rb"\s(?:xml:)?(?:base|lang)\s*=")
_ELEMENT = re.compile(rb"<[^/!]")
_FEED_LINK = re.compile(r"<link\s[^<>]{0,1000}>", re.IGNORECASE)
_FEED_TYPE = re.compile(r"application/(?:rss\+xml|atom\+xml|feed\+json)", re.IGNORECASE)
_HREF = re.compile(r"\shref\s{0,9}=\s{0,9}[\"']?([^\s\"'<>]{1,500})", re.IGNORECASE)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(rss|rdf|feed)[\s>]", re.IGNORECASE)
_FORMATS = {"rss": "RSS", "rdf": "RSS 1.0", "feed": "Atom"}
_SAID_INSTEAD = {
    "opml": "The document is an OPML list of feeds, for `feeds import`, and not a feed.",
    "urlset": "The document is a sitemap, not a feed.",
    "sitemapindex": "The document is a sitemap, not a feed.",
}


def parse_feed(fetched: Fetched, seen: Seen = NOTHING_SEEN) -> ParsedFeed | Failed:
    """The feed in the body, however malformed; Failed(NOT_A_FEED) with a plain sentence if there is none.

    Items that were `seen` before, in the same frame and byte for byte the same, are left out.
    Reads RSS 0.9x to 2.0, RSS 1.0, Atom 0.3 and 1.0, JSON Feed 1.0 and 1.1, RSS in JSON. The body decides,
    not the content type. An empty feed is a feed; items with nothing in them are left out. Never raises,
    and looks no entity of a DTD up anywhere.
    """
    text = decode(fetched.body, fetched.content_type)
    base = join(fetched.url, fetched.content_location) or fetched.url
    if not clean(text[:HEAD]).strip(BLANK) and not clean(text).strip(BLANK):
        return _not_a_feed("The server sent an empty document.")
    if looks_like_json(text):
        return parse_json(text, base)
    document = mend(text)
    parts = None if document.is_cut else split(document.text, base)
    if parts is not None and (rest := _unseen(parts, seen, document, base)) is not None:
        return rest
    strict = None if parts is None else _read_strictly(parts.document, parts)
    parsed = whole = strict or _read(document.text.encode(), XML)
    if (document.is_cut or not _entries(parsed)) and not document.had_excess:
        parsed = max(parsed, _read(fetched.body, fetched.content_type), key=lambda each: len(_entries(each)))
    version = str(parsed.get("version") or "")
    if document.root in PAGE_ROOTS and not version:
        return _not_a_feed(_describe_page(text, base))
    feed = _assemble(parsed, document, base)
    told = _told(feed, parts.frame, parts.contents, parsed) if parts is not None and parsed is whole else None
    feed = told or replace(feed, entries=tuple(entry for entry in feed.entries if not is_empty(entry)))
    if feed.entries or (version and document.root in FEED_ROOTS and not document.is_cut):
        return feed
    return _not_a_feed(_describe(text, document, base))


def feed_kind(fetched: Fetched) -> str:
    """The format of a document that was read as a feed, as people call it."""
    text = decode(fetched.body, fetched.content_type)
    if looks_like_json(text):
        return "JSON Feed"
    root = _ROOT.search(text[:HEAD])
    return _FORMATS.get(root.group(1).lower(), "RSS") if root else "RSS"


def _unseen(parts: Parts, seen: Seen, document: Mended, base: str) -> ParsedFeed | None:
    """The feed with the items that were not seen before alone; None if all of it is to be read."""
    known = {item.content: item for item in seen.items}
    if parts.frame != seen.frame or known.keys().isdisjoint(parts.contents):
        return None
    rest, contents = parts.without(known)
    parsed = _read_strictly(rest, parts) or _read(rest, XML)
    feed = _told(_assemble(parsed, document, base), parts.frame, contents, parsed)
    if feed is None:
        return None
    skipped = (known[content] for content in parts.contents if content in known)
    return replace(feed, skipped=(*feed.skipped, *skipped))


def _told(feed: ParsedFeed, frame: int, contents: Sequence[int], parsed: dict[str, Any]) -> ParsedFeed | None:
    """The feed without empty items, each with its part of the document; None if these do not match."""
    if len(feed.entries) != len(contents) or _is_loose(parsed):
        return None
    told = list(zip(contents, feed.entries, strict=True))
    return replace(
        feed,
        frame=frame,
        entries=tuple(entry for _, entry in told if not is_empty(entry)),
        contents=tuple(content for content, entry in told if not is_empty(entry)),
        skipped=tuple(SeenItem(content) for content, entry in told if is_empty(entry)),
    )


def _not_a_feed(sentence: str) -> Failed:
    return Failed(FailureKind.NOT_A_FEED, clean(sentence))


def _read(body: bytes, content_type: str) -> dict[str, Any]:
    """What feedparser makes of the bytes, nothing if it breaks on them.

    Content-Location stays out of the headers: with it, feedparser makes an address of the guid "17", which
    then changes whenever the header does. xml:base counts either way.
    """
    try:
        parsed: dict[str, Any] = feedparser.parse(
            BytesIO(body),
            sanitize_html=False,
            resolve_relative_uris=False,
            response_headers={"content-type": content_type},
        )
    except Exception:  # noqa: BLE001  # its lenient parser breaks in many ways on hostile input
        return {}
    return parsed


def _read_strictly(document: bytes, parts: Parts) -> dict[str, Any] | None:
    """What feedparser makes of the bytes, with the items read by `strict`; None if it may see them otherwise.

    `document` has the frame of `parts`, and some of its items or all.
    """
    bare, behind = parts.bare()
    root = TAG.match(bare)
    if root is None or _CHANGES_ITEMS.search(bare, root.end()) or b"title" in behind:
        # Feedparser keeps the second title of a channel or not, by what came before.
        return None
    frame = _read(bare, XML)
    if not frame or _is_loose(frame) or _entries(frame):
        return None
    is_atom = str(frame.get("version") or "").startswith("atom")
    items = read_items(document, is_atom=is_atom, has_more=_ELEMENT.search(behind) is not None)
    if items is None:
        return None
    frame["entries"] = items
    return frame


def _entries(parsed: dict[str, Any]) -> list[dict[str, Any]]:
    return parsed.get("entries") or []


def _assemble(parsed: dict[str, Any], document: Mended, base: str) -> ParsedFeed:
    """The feed, empty items included."""
    feed = parsed.get("feed") or {}
    # The version alone is not enough: RSS that declares the Atom namespace first passes for Atom.
    is_atom = str(parsed.get("version") or "").startswith("atom") and document.root not in FEED_ROOTS
    bare = Shared(
        base=base,
        lang="",
        author="",
        is_atom=is_atom or document.root == "feed",
        is_loose=_is_loose(parsed),
    )
    title = read_title(feed, bare)
    site_url = join(base, read_field(feed, "link", bare))
    shared = Shared(
        base=base if is_http(base) else site_url or base,
        lang=title.lang,
        # RFC 4287 section 4.1.2: the feed's author is the author of entries that name none.
        author=read_authors(feed, bare) if bare.is_atom else "",
        is_atom=bare.is_atom,
        is_loose=bare.is_loose,
    )
    entries = [read_entry(item, shared) for item in _entries(parsed)]
    named = [bool(entry.guid or entry.link) for entry in entries]
    if document.is_cut and any(named) and not named[-1]:
        # Its identity stood in the missing part: the next poll would take it for another item.
        entries.pop()
    return ParsedFeed(
        title=plain(title),
        site_url=site_url,
        lang=language(read_field(feed, "language", bare)),
        hints=read_hints(
            document.text,
            *(read_field(feed, name, bare) for name in ("ttl", "sy_updateperiod", "sy_updatefrequency")),
        ),
        entries=tuple(entries),
    )


def _is_loose(parsed: dict[str, Any]) -> bool:
    """Whether feedparser's strict parser gave up."""
    return isinstance(parsed.get("bozo_exception"), SAXException)


def _describe(text: str, document: Mended, base: str) -> str:
    """What the document is instead of a feed."""
    if document.root in FEED_ROOTS:
        if document.is_cut:
            return "The feed breaks off before its first item: the server sent only a part of it."
        return f"The document starts like a feed (<{document.root}>) but is of no known feed format."
    if document.root in PAGE_ROOTS or "<html" in text[:MAX_PAGE].lower():
        return _describe_page(text, base)
    if document.root in _SAID_INSTEAD:
        return _SAID_INSTEAD[document.root]
    if document.root and text.lstrip("\ufeff \t\r\n").startswith("<"):
        return f"The document is XML but no feed: its outermost element is <{document.root[:QUOTED]}>."
    start = " ".join(text[: 4 * QUOTED].split())[:QUOTED]
    return f"The document is neither XML nor JSON; it starts with {start!a}."


def _describe_page(text: str, base: str) -> str:
    for link in _FEED_LINK.findall(text[:MAX_PAGE]):
        href = _HREF.search(link)
        url = join(base, href.group(1).replace("&amp;", "&")) if href and _FEED_TYPE.search(link) else ""
        if url:
            return f"The address leads to an HTML page, not to a feed; the page names the feed {url} instead."
    return "The address leads to an HTML page, not to a feed."
