"""Documents read in two ways: items by feedparser, and items by parse.strict."""

from __future__ import annotations

from aggregator.parse.feed import XML, _assemble, _read, _read_strictly
from aggregator.parse.mend import decode, mend
from aggregator.parse.split import split
from aggregator.types import ParsedFeed

BASE = "https://paper.example/feed"


def both(body: bytes, content_type: str = "") -> tuple[ParsedFeed, ParsedFeed] | None:
    """The document as feedparser reads it, and as read strictly; None if that leaves it to feedparser."""
    document = mend(decode(body, content_type))
    parts = None if document.is_cut else split(document.text, BASE)
    strict = None if parts is None else _read_strictly(parts.document, parts)
    if strict is None:
        return None
    whole = _read(document.text.encode(), XML)
    return _assemble(whole, document, BASE), _assemble(strict, document, BASE)
