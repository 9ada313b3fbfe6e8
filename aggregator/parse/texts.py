"""Small readings that all feed formats share: a text with or without markup, an address, a language."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from aggregator.parse.mend import clean
from aggregator.types import ParsedEntry

# Characters of an address: a base is part of every relative address below it, so that a long one multiplies.
LONGEST_ADDRESS = 8000

_TAG = re.compile(r"<[^<>]*>")
_HTTP = re.compile(r"https?://[^\s]", re.IGNORECASE)
# An address to which a base adds nothing, and in which urllib changes nothing.
_ABSOLUTE = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?/[A-Za-z0-9/._~%,:@!$'()*+=&-]*"
    r"(?:\?[A-Za-z0-9/._~%,:@!$'()*+=&?-]+)?(?:#[A-Za-z0-9/._~%,:@!$'()*+=&?-]+)?"
)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
# Elements without an end tag that are markup in a title: a text about them writes them without slash.
_EMPTY_ELEMENT = re.compile(r"<(?:br|hr|wbr|img)(?:\s[^<>]*)?/>|<img\s[^<>]*>", re.IGNORECASE)
_ELEMENT = re.compile(
    r"</(?:a|abbr|b|big|cite|code|del|em|font|i|ins|mark|q|s|small|span|strong|sub|sup|u)\s*>", re.IGNORECASE
)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")

# Brackets, and characters that others look like, may make a base that is none.
_HARMLESS_BASE = re.compile(r"[!-Z^-~]*")


@dataclass(frozen=True, slots=True)
class Text:
    """A text with markup or without, and the xml:base and xml:lang it stands under ("" = none)."""

    value: str
    is_html: bool
    base: str = ""
    lang: str = ""

    @property
    def reach(self) -> int:
        """How many characters a reader would see, roughly."""
        return len(_TAG.sub("", self.value)) if self.is_html else len(self.value)


NO_TEXT = Text("", is_html=False)


def plain(text: Text) -> str:
    """The text on one line, without markup."""
    bare = html.unescape(_TAG.sub("", text.value)) if text.is_html else text.value
    return " ".join(clean(bare).split())


def has_markup(title: str) -> bool:
    """Whether a title of unknown type is HTML: by an end tag, an empty element or a character reference.

    "AT&T" and "How to use <b>" are text; "<b>Now</b>", "Q&amp;A" and "One<br/>two" are HTML.
    """
    if _ELEMENT.search(title) or _EMPTY_ELEMENT.search(title):
        return True
    return any(html.unescape(reference) != reference for reference in _REFERENCE.findall(title))


def choose_content(parts: Sequence[Text]) -> Text:
    """The fullest part; HTML also if its text is the shorter one, because links and footnotes count in text."""
    if len(parts) == 1:
        return parts[0]
    longest = max((part.reach for part in parts), default=0)
    rich = [part for part in parts if part.is_html and part.reach * 2 >= longest]
    return max(rich or parts, key=lambda part: (part.reach, len(part.value)), default=NO_TEXT)


def assign_texts(content: Text, summary: Text) -> tuple[Text, Text]:
    """Content and summary as different texts, the fuller one first; (text, nothing) if they are the same.

    Feeds that give two descriptions put the long one in either place.
    """
    if summary.value.strip() == content.value.strip():
        return content, NO_TEXT
    if content.value and len(summary.value) > len(content.value) and summary.reach > content.reach:
        return summary, content
    return content, summary


def is_http(url: str) -> bool:
    """Whether the string is an absolute web address."""
    return _HTTP.match(url.strip()) is not None


def join(base: str, reference: str) -> str:
    """The reference made absolute, "" if it can't be a web address or is longer than any."""
    reference = "".join(line.strip() for line in reference.split("\n"))
    if not reference or len(reference) > LONGEST_ADDRESS:
        return ""
    if _ABSOLUTE.fullmatch(reference) and _HARMLESS_BASE.fullmatch(base):
        return reference
    try:
        absolute = urljoin(base, reference)
        return absolute if urlsplit(absolute).scheme in {"http", "https", ""} else ""
    except ValueError:
        return ""


def language(tag: str) -> str:
    """The language tag with hyphens, "" if it is none."""
    tag = tag.strip()
    return tag.replace("_", "-") if _LANGUAGE.fullmatch(tag) else ""


def is_empty(entry: ParsedEntry) -> bool:
    """Whether nothing in the item identifies it or could be read."""
    return not (entry.guid or entry.link or entry.title or entry.summary or entry.content)
