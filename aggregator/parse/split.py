"""A document taken apart: its items one by one, and the frame around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

import xxhash

# Elements of the frame that say nothing of any item and change with every new one, or with every answer.
_RESTLESS = re.compile(
    rb"<!--.*?-->|<items[\s>].*?</items\s*>"
    rb"|<((?:\w{1,20}:)?(?:lastBuildDate|pubDate|updated|modified|date|updateBase|generator))[\s>][^<]*</\1\s*>|\s+",
    re.DOTALL,
)
_DECLARATION = re.compile(rb"""\sxmlns(?::[\w.-]+)?\s*=\s*(?:"([^"]*)"|'([^']*)')""")
TAG = re.compile(rb"""<(?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""")
_XHTML = b"http://www.w3.org/1999/xhtml"

_ITEM_PATHS = frozenset({("rss", "channel", "item"), ("rdf:RDF", "item"), ("feed", "entry")})
_ITEM_NAMES = frozenset({"item", "entry"})
_DEEPEST = max(map(len, _ITEM_PATHS))


@dataclass(frozen=True, slots=True)
class Parts:
    """A document: hashes of the bytes of its items (xxh3, 64 bits), in order, and of all that is around them."""

    frame: int
    contents: tuple[int, ...]
    document: bytes
    spans: tuple[tuple[int, int], ...]

    def without(self, known: Mapping[int, object]) -> tuple[bytes, list[int]]:
        """The document without the items whose hashes are `known`, and the hashes of those that are left."""
        kept: list[bytes] = []
        left: list[int] = []
        position = 0
        for content, (start, end) in zip(self.contents, self.spans, strict=True):
            if content in known:
                kept.append(self.document[position:start])
                position = end
            else:
                left.append(content)
        kept.append(self.document[position:])
        return b"".join(kept), left

    def bare(self) -> tuple[bytes, bytes]:
        """The document without any item, and what of it stands behind the first."""
        if not self.spans:
            return self.document, b""
        pieces, position = [], 0
        for start, end in self.spans:
            pieces.append(self.document[position:start])
            position = end
        pieces.append(self.document[position:])
        return b"".join(pieces), b"".join(pieces[1:])


class _OtherwiseBuiltError(Exception):
    """Items stand elsewhere, or within one another."""


def split(text: str, base: str) -> Parts | None:
    """The parts of a well-formed document found at `base`; None if its items may depend on one another.

    That is so where items stand elsewhere than their format has them, and where one declares a namespace.
    """
    document = text.encode()
    try:
        spans = _spans(document)
    except (expat.ExpatError, _OtherwiseBuiltError):
        return None
    for start, end in spans:
        if document.find(b"xmlns", start, end) >= 0 and any(
            (double or single) != _XHTML for double, single in _DECLARATION.findall(document, start, end)
        ):
            return None
    frame, position = [base.encode()], 0
    for start, end in spans:
        frame.append(document[position:start])
        position = end
    frame.append(document[position:])
    around = _RESTLESS.sub(b" ", b" ".join(frame))
    return Parts(
        xxhash.xxh3_64_intdigest(b" ".join(around.split())),
        tuple(xxhash.xxh3_64_intdigest(document[start:end]) for start, end in spans),
        document,
        tuple(spans),
    )


def _spans(document: bytes) -> list[tuple[int, int]]:
    """Where each item starts and ends, in bytes."""
    parser = expat.ParserCreate("utf-8")
    path: list[str] = []
    spans: list[tuple[int, int]] = []
    begun = -1

    def start(name: str, _attributes: object) -> None:
        nonlocal begun
        path.append(name)
        if name.rpartition(":")[2].lower() in _ITEM_NAMES:
            if begun >= 0 or tuple(path[: _DEEPEST + 1]) not in _ITEM_PATHS:
                raise _OtherwiseBuiltError
            begun = parser.CurrentByteIndex

    def end(name: str) -> None:
        nonlocal begun
        path.pop()
        if begun >= 0 and name in _ITEM_NAMES:
            tag = TAG.match(document, begun)
            if tag is None or not tag.group().endswith(b"/>"):
                tag = TAG.match(document, parser.CurrentByteIndex)
            if tag is None:
                raise _OtherwiseBuiltError
            spans.append((begun, tag.end()))
            begun = -1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(document, True)
    return spans
