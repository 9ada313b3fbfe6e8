"""Characters of strangers: which of them may stay in a text, and how a text is shortened."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice

from aggregator.teaser import GRAPHEME, fold_space

SUMMARY_LENGTH = 300
"""User-perceived characters of a summary."""

LONGEST_MARKUP = 1_000_000
"""Characters that are read of one field; the longest article in real feeds has a fifth of it."""

BREAK = "\ue000"
"""A private-use character that stands for a line break while white space is folded; no text may hold it."""

HARMFUL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ue000\ufffe\uffff]"
)
"""Control characters, halves of surrogate pairs, non-characters, BREAK, and bidirectional overrides, isolates and
embeddings (UAX #9), which can make a text read as what it is not."""

ASCII_HARMFUL = bytes(code for code in range(0x80) if HARMFUL.match(chr(code)))

MEANT = {"\x0b": " ", "\x0c": " "} | {
    chr(byte): bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0xA0)
    if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D}
}
"""What control characters were meant to be: vertical white space, and the quotes and dashes that Windows-1252 has
where Latin-1 has the C1 controls."""


def harmless(text: str) -> str:
    """The text without control characters, lone surrogates and bidirectional overrides."""
    if not _may_be_harmful(text):
        return text
    return HARMFUL.sub(lambda found: MEANT.get(found[0], ""), text)


def _may_be_harmful(text: str) -> bool:
    """Told without a regular expression, which takes five times as long: no harmful character is printable."""
    if text.isascii():
        encoded = text.encode()
        return len(encoded.translate(None, ASCII_HARMFUL)) < len(encoded)
    return not text.replace("\n", "").replace("\xa0", "").isprintable()


def clean_text(text: str) -> str:
    """The harmless text in form NFC."""
    if text.isascii():
        return harmless(text)
    return unicodedata.normalize("NFC", harmless(text))


def excerpt(text: str) -> str:
    """The beginning of a text on one line: at most SUMMARY_LENGTH characters, ended at a word with "…"."""
    line = fold_space(text[: SUMMARY_LENGTH * 8])
    short = cut_length(line, SUMMARY_LENGTH)
    if short == line:
        return line
    words, _, _ = short[:-1].rpartition(" ")
    # A text without spaces (Chinese, one long address) is cut where it is.
    kept = words if len(words) * 2 > len(short) else short[:-1]
    return kept.rstrip(" ,;:-–—") + "…"


def cut_length(text: str, most: int) -> str:
    """The text (of one line), or its first most - 1 user-perceived characters and "…"."""
    if len(text) <= most:
        return text
    if text.isascii():  # one character is one cluster: a line holds no CR LF
        return text[: most - 1] + "…"
    # A cluster of more than 16 code points is no word of any language: it may be cut.
    start = text[: most * 16]
    clusters = [found.group() for found in islice(GRAPHEME.finditer(start), most + 1)]
    return text if len(clusters) <= most and start == text else "".join(clusters[: most - 1]) + "…"
