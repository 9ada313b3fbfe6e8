"""A feed added to an OPML text, or taken out of it: all else stays byte for byte."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from html import escape
from typing import NamedTuple
from xml.parsers import expat

from aggregator.opml import FEED_TYPES, path_of, read_opml, same_address, usable_url, write_opml
from aggregator.opml.settings import NAMESPACE, PREFIX, written
from aggregator.opml.tags import BOMS, DECLARED, OpmlError, Tags, decode
from aggregator.types import Feed


class _Span(NamedTuple):
    """An outline in the text: `close` is where its closing tag begins, `end` behind it.

    `key` tells the address of a feed ("" = a category), `path` is the category that holds for what is within.
    """

    start: int
    close: int
    end: int
    key: str
    path: str


def add_feeds(content: bytes, feeds: Iterable[Feed]) -> bytes:
    """The list with each feed as the last one of its category, which is made where it is missing.

    Raises OpmlError if they can't be added so that the list reads as before with them.
    """
    added = list(feeds)
    text, encode = _editable(content)
    text = _with_room(text)
    by_category: dict[str, list[Feed]] = {}
    for feed in added:
        by_category.setdefault(feed.category, []).append(feed)
    for category, group in by_category.items():
        text = _with_feeds(text, category, group)
    return _checked(content, encode(text), added)


def _with_room(text: str) -> str:
    """The list with a closing tag of its body, if that is written as one empty tag."""
    tags = Tags(text)
    while tag := tags.next():
        if tag.name.rpartition(":")[2] == "body" and not tag.closing:
            _, is_closed = tags.read_attributes(tag)
            if not is_closed:
                break
            end = tags.position
            opening = text[: text.rindex("/", tag.start, end)].rstrip()
            name = text[tag.start + 1 : tag.start + 1 + len(tag.name)]
            return f"{opening}></{name}>{text[end:]}"
    return text


def _with_feeds(text: str, category: str, feeds: Iterable[Feed]) -> str:
    spans, body_end = _spans(text)
    missing, place = category.split("/") if category else [], body_end
    for depth in range(len(missing), 0, -1):
        within = "/".join(missing[:depth])
        known = [span for span in spans if not span.key and span.path == within and span.close < span.end]
        if known:
            missing, place = missing[depth:], known[0].close
            break
    return _inserted(text, place, missing, [_outline_of(feed) for feed in feeds])


def _outline_of(feed: Feed) -> str:
    title, site = escape(feed.title), f' htmlUrl="{escape(feed.site_url)}"' if feed.site_url else ""
    own = "".join(f' {name}="{escape(value)}"' for name, value in written(feed.settings))
    # Declared here and not at the list's head, which stays as it is.
    declared = f' xmlns:{PREFIX}="{NAMESPACE}"' if own else ""
    return f'<outline text="{title}" title="{title}" type="rss" xmlUrl="{escape(feed.url)}"{site}{declared}{own}/>'


def remove_feed(content: bytes, url: str) -> bytes:
    """The list without the feed of this address. Raises OpmlError if none has it, or other feeds are within it."""
    text, encode = _editable(content)
    key = same_address(usable_url(url))
    spans = _spans(text)[0]
    found = [span for span in spans if key and span.key == key]
    if not found:
        raise OpmlError("no feed of the list has this address: `feeds list` shows those it has.")
    for span in sorted(found, reverse=True):
        if any(other.key and span.start < other.start < span.end for other in spans):
            raise OpmlError("other feeds stand within its outline: take it out by hand.")
        start, end = _whole_lines(text, span.start, span.end)
        text = text[:start] + text[end:]
    return _checked(content, encode(text), removed=key)


def repaired(content: bytes) -> bytes:
    """The list as it reads, written anew where it is not well-formed; what OPML does not know is lost then."""
    return content if _fault(content) is None else write_opml(read_opml(content))


def _fault(content: bytes) -> str | None:
    """What an XML parser finds wrong with it."""
    try:
        expat.ParserCreate().Parse(content, True)
    except expat.ExpatError as error:
        return str(error)
    return None


class _Encoder(NamedTuple):
    mark: bytes
    encoding: str

    def __call__(self, text: str) -> bytes:
        return self.mark + text.encode(self.encoding, errors="xmlcharrefreplace")


def _editable(content: bytes) -> tuple[str, _Encoder]:
    fault = _fault(content)
    if fault is not None:
        raise OpmlError(
            f"the list is not well-formed ({fault}): correct it, or let --repair write it anew, without comments "
            "and attributes that OPML does not have."
        )
    text = decode(content)
    declared = DECLARED.match(content)
    encodings = [("", declared[1].decode())] if declared else []
    for mark, encoding in [*BOMS, *((b"", name) for _, name in encodings), (b"", "utf-8")]:
        try:
            encoder = _Encoder(mark, codecs.lookup(encoding).name)
            if content.startswith(mark) and mark + text.encode(encoding) == content:
                return text, encoder
        except (LookupError, UnicodeError):
            continue
    raise OpmlError("the list's encoding can't be kept: save it as UTF-8 first.")


def _spans(text: str) -> tuple[list[_Span], int]:
    """The outlines of a well-formed list, and where its body ends."""
    tags = Tags(text)
    spans: list[_Span] = []
    opened: list[tuple[int, str, str]] = []
    body_end = -1
    while tag := tags.next():
        name = tag.name.rpartition(":")[2]
        if name == "outline" and tag.closing and opened:
            start, key, path = opened.pop()
            spans.append(_Span(start, tag.start, text.index(">", tag.end) + 1, key, path))
        elif name == "outline" and not tag.closing:
            attributes, is_closed = tags.read_attributes(tag)
            kind = attributes.get("type", "").strip().lower()
            address = attributes.get("xmlurl", "") or (
                attributes.get("url", "") if kind in FEED_TYPES else ""
            )
            url = usable_url(address.strip())
            around = opened[-1][2] if opened else ""
            title = path_of(attributes.get("text", "")) or path_of(attributes.get("title", ""))
            path = around if address else "/".join(filter(None, (around, title)))
            if is_closed:
                spans.append(
                    _Span(tag.start, tags.position, tags.position, same_address(url) if url else "", path)
                )
            else:
                opened.append((tag.start, same_address(url) if url else "", path))
        elif name == "body" and tag.closing:
            body_end = tag.start
    if body_end < 0:
        raise OpmlError("the list has no </body> to put a feed before: correct it.")
    return spans, body_end


def _inserted(text: str, place: int, folders: list[str], feeds: list[str]) -> str:
    """The text with the outlines before the closing tag at `place`, within new outlines for `folders`."""
    line = text.rfind("\n", 0, place) + 1
    opening = [f'<outline text="{escape(name)}" title="{escape(name)}">' for name in folders]
    if line == 0 or text[line:place].strip():
        return text[:place] + "".join([*opening, *feeds]) + "</outline>" * len(folders) + text[place:]
    newline = "\r\n" if text[:line].endswith("\r\n") else "\n"
    indent = text[line:place]
    above = text[text.rfind("\n", 0, line - 1) + 1 : line]
    deeper = above[: len(above) - len(above.lstrip())].strip("\r\n")
    step = deeper[len(indent) :] if deeper.startswith(indent) else ""
    step = step or ("\t" if "\t" in indent else "  ")
    lines = [indent + step * (depth + 1) + tag for depth, tag in enumerate(opening)]
    lines += [indent + step * (len(folders) + 1) + feed for feed in feeds]
    lines += [indent + step * (depth + 1) + "</outline>" for depth in reversed(range(len(folders)))]
    return text[:line] + "".join(line + newline for line in lines) + text[line:]


def _whole_lines(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch with the line's indent and end, if nothing else stands on its lines."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    if last < 0 or text[first:start].strip() or text[end:last].strip():
        return start, end
    return first, last + 1


def _checked(before: bytes, after: bytes, added: Iterable[Feed] = (), removed: str = "") -> bytes:
    """The new content, if it reads as the old list with these feeds more, or one less."""
    old = [(feed.url, feed.title, feed.category) for feed in read_opml(before).feeds]
    new = [(feed.url, feed.title, feed.category) for feed in read_opml(after).feeds]
    wanted = [feed for feed in old if same_address(feed[0]) != removed]
    wanted += [(feed.url, feed.title, feed.category) for feed in added]
    if sorted(new) != sorted(wanted) or _fault(after) is not None:
        raise OpmlError("the list would read otherwise than it should afterwards: change it by hand.")
    return after
