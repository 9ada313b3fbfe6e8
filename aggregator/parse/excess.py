"""What no feed has so much of, and what costs feedparser the square of its length, is taken out before it reads."""

from __future__ import annotations

import re

# A tag of so many characters may hold a picture, but with so many attributes it is none of a feed.
LONG_TAG = 10_000
MOST_ATTRIBUTES = 500
# Characters of a word in an author's name: addresses end below 254 (RFC 5321 section 4.5.3.1).
LONGEST_WORD = 250
# Of an item's keywords feedparser compares each with all before it; nothing here reads them. 5,000 in one item
# take half a second.
MOST_KEYWORDS = 5000
LONGEST_KEYWORDS = 10_000

# Every element below a base carries it in full.
LONGEST_BASE = 8000

_LONG_BASE = re.compile(
    rf"(?<=\s)xml:base\s{{0,9}}=\s{{0,9}}(?:\"[^\"<]{{{LONGEST_BASE}}}[^\"<]*+\"|'[^'<]{{{LONGEST_BASE}}}[^'<]*+')"
)
_LONG_TAG = re.compile(
    rf"<[A-Za-z_][^\s<>/]*+(?=[^<]{{{LONG_TAG}}})((?:[^<>\"'/]++|/(?!>)|\"[^\"<]*+\"|'[^'<]*+')*+)"
)
_NAME = re.compile(
    r"<(?:[\w.-]{1,20}:)?(?:author|creator|contributor|managingeditor|publisher|webmaster|owner|name|email)"
    rf"[\s>](?=[^<]{{{LONGEST_WORD}}}|[^<]{{0,200}}<!\[)(?:[^<]++|<!\[CDATA\[)*+",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(rf"([\w.+-]{{{LONGEST_WORD}}})[\w.+-]++")
# Each byte that may be of a word as an "a": so a long word is found without looking for names first.
_WORDS = bytes(97 if byte > 127 or chr(byte).isalnum() or chr(byte) in "_.+-" else 32 for byte in range(256))
_WORD_TOO_LONG = b"a" * (LONGEST_WORD + 1)
_KEYWORDS = re.compile(
    r"<((?:[\w.-]{1,20}:)?(?:category|subject|keywords))[\s>]"
    r"(?:[^<]++|<!\[CDATA\[[^\]]*+\]\]>)*+(?:</\1\s*>)?",
    re.IGNORECASE,
)


def without_excess(text: str) -> str:
    """The document without the attributes of crowded tags, endless bases, ends of names and lists of keywords.

    Markup is not told from sections (CDATA, comments): no feed has such an excess in its texts either.
    """
    # Both need a longer stretch without a tag than feeds have, and looking for them takes 2 ms.
    if max(map(len, text.split("<"))) >= min(LONG_TAG, LONGEST_BASE):
        text = _LONG_TAG.sub(_calmed_tag, _LONG_BASE.sub("", text))
    if _WORD_TOO_LONG in text.encode().translate(_WORDS):
        text = _NAME.sub(lambda name: _LONG_WORD.sub(r"\1", name.group()), text)
    lengths = [found.end() - found.start() for found in _KEYWORDS.finditer(text)]
    if len(lengths) > MOST_KEYWORDS or max(lengths, default=0) > LONGEST_KEYWORDS:
        text = _KEYWORDS.sub("", text)
    return text


def _calmed_tag(tag: re.Match[str]) -> str:
    attributes = tag.group(1)
    if attributes.count("=") <= MOST_ATTRIBUTES:
        return tag.group()
    return tag.group()[: -len(attributes)]
