"""The list of feeds: OPML bytes in, a FeedList out, and back; also reads FOAF lists (home of listparser).

Of 272 lists found in public 95 are not well-formed: bare ampersands, quotation marks and HTML inside attributes.
A reader for XML refuses them and one for HTML loses the outlines concerned or rewrites
`&section=` in a URL to `§ion=`, so outlines are read here, tag by tag: by the rules of XML where the tag obeys
them, else by where the attributes visibly begin and end. Nothing is declared, expanded or fetched.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from html import escape
from urllib.parse import urlsplit

from aggregator.opml.settings import NAMESPACE, PREFIX, Prefixes, read_settings, written
from aggregator.opml.tags import FeedTag, OpmlError, Tag, Tags, decode, place_of
from aggregator.types import AS_ALL, Feed, FeedList, FeedSettings

__all__ = [
    "OpmlError",
    "nearly_same_address",
    "path_of",
    "read_opml",
    "same_address",
    "titled",
    "usable_url",
    "write_opml",
]

URL_BREAKS = re.compile(r"[\t\r\n]+")
FEED_SCHEME = re.compile(r"^feed:(?://)?(https?://)", re.IGNORECASE)
ADDRESS = re.compile(r"\s*(?:feed:(?://)?)?https?://", re.IGNORECASE)
PLAIN_URL = re.compile(r"https?://[a-z0-9.-]+/[!\"$-~]*")
"""Addresses that need no second look: nearly all. Looking at 100,000 costs a second otherwise."""

UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
SHOWN_TITLE = 80
"""Characters of a title in a warning: enough to tell the outline, and the warning stays one line."""

LONGEST_URL = 2000
"""Bytes of an address that a database can index on its own; the longest in the 118 real lists looked at has 161."""

FEED_TYPES = ("rss", "rss1", "rss2", "atom", "feed", "rdf", "json")
LIST_TYPES = ("link", "include", "source")
NOTHING_ELSE = re.compile(r"\s*>?\s*\Z")
ADDRESSED = re.compile(r"[^<>]*\sxmlUrl\s*=[^<>]*>?", re.IGNORECASE)
LONGEST_CATEGORY = 6000
"""Characters of a category; outlines nested deeper add nothing to it. The longest in 118 real lists has 19; without
an end each feed of a list whose outlines are never closed would carry the titles of all before it."""

SCRAPED = (
    "its address is that of a page which another program takes apart by rules of its own (FreshRSS); "
    "look for a feed of that site"
)
NO_BODY = "the list has no <body>: put all of its outlines between <body> and </body>"
OTHER_LIST = "it is another list of feeds; import that list itself"
FOAF_NAMESPACE = "http://xmlns.com/foaf/0.1/"


def read_opml(content: bytes, least_interval: int = 0, least_days: int = 0) -> FeedList:
    """The feeds that an OPML file lists, in its order, each URL once; a warning for each outline left out.

    A URL has its scheme and host in lower case, and feed: schemes replaced; two are the same if they then are,
    but for the path "/", the fragment and the scheme's own port. The category is the titles of the outlines around
    the feed, else the first of its `category` attribute. Attributes of our own namespace set things for a feed, or
    for all within an outline; intervals are at least `least_interval` seconds, days to keep entries for at least
    `least_days`. Neither warnings nor errors show a URL: it may hold credentials.

    Raises OpmlError for anything that is no list of feeds, and for a list that stops before its end: half a
    list must never take the place of a whole one.
    """
    text = decode(content)
    tags = Tags(text)
    root = tags.next()
    while root is not None and root.closing:
        root = tags.next()
    name = root.name.rpartition(":")[2] if root else ""
    if root and name == "opml":
        return _Outlines(tags, root, {"interval": least_interval, "keep_days": least_days}).read()
    if name == "rdf" and FOAF_NAMESPACE in text:
        return _read_foaf(text)
    if name in ("rss", "rdf", "feed"):
        raise OpmlError(
            "This is a feed, not a list of feeds: name its address in the list instead of its content."
        )
    if name == "html" or re.match(r"\s*<!doctype\s+html", text, re.IGNORECASE):
        raise OpmlError("This is a web page, not an OPML list of feeds: export the list again as OPML.")
    raise OpmlError("This is no OPML list of feeds: it has to begin with <opml> (after <?xml …?>).")


def write_opml(feeds: FeedList) -> bytes:
    """The list as OPML 2.0 in UTF-8, one outline a line; categories become nested outlines.

    The feeds of a category stand together, in the order in which each category first appears. `read_opml` gives
    the same feeds back if their titles are free of control characters and folded, as `read_opml` leaves them.
    """
    is_needed = any(feed.settings != AS_ALL for feed in feeds.feeds)
    declared = f' xmlns:{PREFIX}="{NAMESPACE}"' if is_needed else ""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<opml version="2.0"{declared}>',
        "  <head>",
        f"    <title>{escape(_fold(feeds.title))}</title>",
        "  </head>",
        "  <body>",
    ]
    open_path: list[str] = []
    for path, feed in _by_category(feeds.feeds):
        shared = 0
        while shared < min(len(path), len(open_path)) and path[shared] == open_path[shared]:
            shared += 1
        lines += ["  " * (depth + 2) + "</outline>" for depth in range(len(open_path) - 1, shared - 1, -1)]
        lines += [
            "  " * (depth + 2) + f"<outline {_attributes(('text', path[depth]), ('title', path[depth]))}>"
            for depth in range(shared, len(path))
        ]
        title = _fold(feed.title)
        named = _attributes(
            ("text", title),
            ("title", title),
            ("type", "rss"),
            ("xmlUrl", feed.url),
            ("htmlUrl", feed.site_url),
            *written(feed.settings),
        )
        lines.append("  " * (len(path) + 2) + f"<outline {named}/>")
        open_path = path
    lines += ["  " * (depth + 2) + "</outline>" for depth in range(len(open_path) - 1, -1, -1)]
    return ("\n".join([*lines, "  </body>", "</opml>"]) + "\n").encode("utf-8", errors="replace")


# ---- outlines to feeds ---------------------------------------------------------------------------


class _Outlines:
    """Goes once through the tags of an OPML document and gathers its feeds."""

    def __init__(self, tags: Tags, root: Tag, least: Mapping[str, int]) -> None:
        self.tags = tags
        self.gathered = _Gathered(tags.text)
        # The category and the settings within each outline that is open.
        self.around: list[tuple[str, FeedSettings]] = []
        self.least = least
        self.root = root
        self.has_body = False
        self.prefixes = Prefixes()
        self.title: str | None = None
        self._frame(root)

    def read(self) -> FeedList:
        complete = False
        while tag := self.tags.next_feed() or self.tags.next():
            if isinstance(tag, FeedTag):
                complete = False
                self._feed(tag)
                continue
            name = tag.name.rpartition(":")[2]
            if tag.closing:
                if name == "outline" and self.around:
                    self.around.pop()
                elif name in ("opml", "body"):
                    self.around.clear()
                    # If only </opml> is missing and nothing else follows, all feeds are there.
                    complete = name == "opml" or NOTHING_ELSE.match(self.tags.text, tag.end) is not None
            elif name == "outline":
                complete = False
                self._outline(tag)
            elif name in ("opml", "body"):
                complete = False
                self.has_body |= name == "body"
                self._frame(tag)
            else:
                self._other(tag, name)
        if not complete:
            self.tags.refuse_torn()
        if not self.has_body:
            self.gathered.say(self.root.start, NO_BODY)
        return self.gathered.as_list(self.title or "")

    def _feed(self, tag: FeedTag) -> None:
        """What `_outline` does with such a tag."""
        category, settings = self.around[-1] if self.around else ("", AS_ALL)
        title = _fold(tag.text) or _fold(tag.title)
        feed = Feed(tag.xml_url.strip(), title, category, _fold(tag.html_url), settings)
        self.gathered.add(tag.start, feed)

    def _outline(self, tag: Tag) -> None:
        attributes, is_closed = self.tags.read_attributes(tag)
        title = _fold(attributes.get("text", "")) or _fold(attributes.get("title", ""))
        settings = self._settings(tag, attributes, title)
        kind = attributes.get("type", "").strip().lower()
        address, other = attributes.get("xmlurl", "").strip(), attributes.get("url", "").strip()
        is_list = kind == "source" or (kind in LIST_TYPES and not address)
        if not address and kind in FEED_TYPES:
            address = other
        is_leaf = is_closed or self.tags.closes_next()
        names_feed = kind in FEED_TYPES or "xmlurl" in attributes or _has_address(attributes)
        if is_list and (address or other):
            self.gathered.leave_out(tag.start, title, OTHER_LIST)
        elif address and "+" in kind:
            self.gathered.leave_out(tag.start, title, SCRAPED)
        elif address or (is_leaf and names_feed):
            category = self._category() or _first_category(attributes.get("category", ""))
            site = _fold(attributes.get("htmlurl", ""))
            self.gathered.add(tag.start, Feed(address, title, category, site, settings))
        if not is_closed:
            self.around.append((self._category() if address else self._category_within(title), settings))

    def _frame(self, tag: Tag) -> None:
        """Takes the prefixes that the list or its body declares; settings are nothing that these can have."""
        attributes, _ = self.tags.read_attributes(tag)
        self.tags.position = tag.end  # a sloppy tag may seem to reach as far as the first outline
        for reason in (*self.prefixes.declare(attributes), *self.prefixes.misplaced(attributes)):
            self.gathered.say(tag.start, reason)

    def _other(self, tag: Tag, name: str) -> None:
        """Takes the list's title; names what is no outline and has the address of a feed. What is within counts."""
        if name == "title" and self.title is None:
            self.title = _fold(self.tags.read_text())
        found = ADDRESSED.match(self.tags.text, tag.end)
        if found is None:
            return
        attributes, _ = Tags(found[0]).read_attributes(Tag(name, closing=False, start=0, end=0))
        title = _fold(attributes.get("text", "")) or _fold(attributes.get("title", ""))
        self.gathered.leave_out(
            tag.start, title, f"it is no outline; write <outline instead of <{tag.name[:SHOWN_TITLE]}"
        )

    def _settings(self, tag: Tag, attributes: dict[str, str], title: str) -> FeedSettings:
        around = self.around[-1][1] if self.around else AS_ALL
        if ":" not in "".join(attributes):
            return around
        misdeclared = self.prefixes.declare(attributes)
        settings, wrong = read_settings(attributes, self.prefixes, around, self.least)
        for reason in (*misdeclared, *wrong):
            self.gathered.warn(tag.start, title, reason)
        return settings

    def _category(self) -> str:
        return self.around[-1][0] if self.around else ""

    def _category_within(self, title: str) -> str:
        path = "/".join(filter(None, (self._category(), path_of(title))))
        return path if len(path) <= LONGEST_CATEGORY else self._category()


class _Gathered:
    """The feeds found so far, each URL once, and the warnings."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.feeds: list[Feed] = []
        self.warnings: list[str] = []
        self.first_at: dict[str, int] = {}

    @cached_property
    def breaks(self) -> list[int]:
        """Where lines end; most lists give no reason to ask."""
        return [found.start() for found in re.finditer("\n", self.text)]

    def as_list(self, title: str) -> FeedList:
        return FeedList(title, tuple(self.feeds), tuple(self.warnings))

    def add(self, position: int, feed: Feed) -> None:
        """Takes the feed with its address as written, or a warning."""
        url = usable_url(feed.url)
        key = same_address(url)
        if not feed.url:
            self.leave_out(position, feed.title, "it has no xmlUrl; add the address of the feed")
        elif not url:
            self.leave_out(position, feed.title, "its xmlUrl is no http or https address; correct it")
        elif len(url.encode()) > LONGEST_URL:
            self.leave_out(
                position, feed.title, f"its xmlUrl is longer than {LONGEST_URL:,} bytes; shorten it"
            )
        elif key in self.first_at:
            first = self._line_of(self.first_at[key])
            self.leave_out(position, feed.title, f"line {first} lists the same address; keep one")
        else:
            self.first_at[key] = position
            self.feeds.append(feed if url == feed.url else replace(feed, url=url))

    def leave_out(self, position: int, title: str, reason: str) -> None:
        self.say(position, f"{_shown(title)} is left out: {reason}")

    def warn(self, position: int, title: str, reason: str) -> None:
        self.say(position, f"{_shown(title)}: {reason}")

    def say(self, position: int, what: str) -> None:
        self.warnings.append(f"Line {self._line_of(position)}: {what}.")

    def _line_of(self, position: int) -> int:
        return bisect_left(self.breaks, position) + 1


def usable_url(raw: str) -> str:
    """The http(s) URL meant, its scheme and host in lower case; "" if there is none."""
    if PLAIN_URL.fullmatch(raw):
        return raw
    url = FEED_SCHEME.sub(r"\1", URL_BREAKS.sub("", raw).strip())
    url = re.sub(r"^feed://", "http://", url, flags=re.IGNORECASE)
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for what is no port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.netloc.isprintable():
        return ""
    user, at, host = parts.netloc.rpartition("@")
    rest = url[len(parts.scheme) + len("://") + len(parts.netloc) :]
    if " " in host or UNPRINTABLE.search(rest.replace(" ", "")):
        return ""
    return f"{parts.scheme}://{user}{at}{host.lower()}{rest}"


def same_address(url: str) -> str:
    """What two URLs have in common that ask for the same: the fragment and a scheme's own port don't count."""
    if PLAIN_URL.fullmatch(url) and not url.endswith("?"):
        return url
    parts = urlsplit(url)
    port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    netloc = parts.netloc.removesuffix(port) if port else parts.netloc
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{netloc}{parts.path or '/'}{query}"


def nearly_same_address(url: str) -> str:
    """What two URLs of most likely one feed have in common: http or https, www or not, a last slash or not."""
    parts = urlsplit(same_address(url))
    host = parts.netloc.rpartition("@")[2].removeprefix("www.")
    return f"{host}{parts.path.rstrip('/')}?{parts.query}"


def titled(feed: Feed) -> Feed:
    """The feed with a title to be listed under: its own, else its host."""
    title = _fold(feed.title) or urlsplit(feed.url).hostname or ""
    return replace(feed, title=title)


def _shown(title: str) -> str:
    """The title as warnings show it: without addresses, which may hold credentials."""
    words = ("…" if "://" in word or "@" in word.partition(":")[2] else word for word in title.split())
    safe = " ".join(words)[:SHOWN_TITLE]
    return f'"{safe}"' if safe else "an outline without a title"


def _has_address(attributes: dict[str, str]) -> bool:
    """Whether one of OPML's own attributes, or one misspelt, holds an address that can be one of a feed."""
    return "htmlurl" in attributes or any(
        ADDRESS.match(value) and ":" not in name and name not in ("text", "title", "xmlns")
        for name, value in attributes.items()
    )


def _fold(text: str) -> str:
    if text.isprintable() and "  " not in text:  # nearly all, in a third of the time
        return text.strip()
    return UNPRINTABLE.sub(" ", text).strip()


def path_of(text: str) -> str:
    """The category that a title of an outline makes: parts joined by "/"."""
    return "/".join(filter(None, map(_fold, text.split("/"))))


def _first_category(attribute: str) -> str:
    path = next(filter(None, map(path_of, attribute.split(","))), "") if attribute else ""
    return path if len(path) <= LONGEST_CATEGORY else ""


# ---- other lists, and writing --------------------------------------------------------------------


def _read_foaf(text: str) -> FeedList:
    if not re.search(r"</(?:[\w.-]+:)?rdf\s*>\s*\Z", text, re.IGNORECASE):
        place = place_of(text, len(text.rstrip()))
        raise OpmlError(f"The list of feeds stops before its end, at {place}: write it again as a whole.")
    import listparser  # noqa: PLC0415 (30 ms, with a client for HTTP, that lists in OPML do not need)

    try:
        found = listparser.parse(text.encode("utf-8", errors="replace"))
    except Exception as error:  # listparser lets pass whatever its methods trip over
        raise OpmlError("This FOAF list can't be read: export it again, better as OPML.") from error
    gathered = _Gathered(text)
    for feed in found.feeds:
        category = path_of("/".join(next(iter(feed.get("categories", ())), ())))
        gathered.add(_position(text, feed["url"]), Feed(feed["url"], _fold(feed["title"]), category, ""))
    for other in found.lists:
        gathered.leave_out(_position(text, other["url"]), _fold(other["title"]), OTHER_LIST)
    return gathered.as_list(_fold(found.meta.get("title", "")))


def _position(text: str, url: str) -> int:
    return max(text.find(escape(url)), 0)


def _by_category(feeds: tuple[Feed, ...]) -> list[tuple[list[str], Feed]]:
    """Each feed with its path; feeds of one category side by side, all else in the order of the list."""
    first: dict[tuple[str, ...], int] = {}
    keyed = []
    for number, feed in enumerate(feeds):
        path = [part for part in path_of(feed.category).split("/") if part]
        prefixes = [tuple(path[: depth + 1]) for depth in range(len(path))]
        order = [first.setdefault(prefix, number) for prefix in prefixes]
        keyed.append(([*order, number], path, feed))
    return [(path, feed) for _, path, feed in sorted(keyed, key=lambda item: item[0])]


def _attributes(*values: tuple[str, str]) -> str:
    return " ".join(f'{name}="{escape(value)}"' for name, value in values if value or name == "text")
