"""The tags of an OPML text, however sloppy: bytes to text, text to tags with their attributes."""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5
from typing import NamedTuple, NoReturn

BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
UNMARKED_UTF_16 = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
WIDE_ENCODING = re.compile(rb"u(?:tf)?[_-]?(?:16|32)", re.IGNORECASE)
DECLARED = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]+)")

OPENER = re.compile(r"<(?:(!--)|(!\[CDATA\[)|(\?)|(!DOCTYPE)|(/?)([A-Za-z_][\w.:-]*))", re.IGNORECASE)
CLOSERS = ("-->", "]]>", "?>")
DOCTYPE = re.compile(r"[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
# Possessive quantifiers: a tag that breaks the rules is given up in one pass.
STRICT_TAG = re.compile(r"((?:\s++[^\s=<>\"'/]++\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'))*+)\s*+(/?)>")
STRICT_ATTRIBUTE = re.compile(r"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
# The outline of a feed as nearly all are written, with its address, and no attribute twice that is read: (?(2)(?!))
# fails if group 2 is there. Whatever may mean something else is left to OPENER and STRICT_TAG.
USUAL_FEED = re.compile(
    r"[^<]*+(<outline)(?:\s++(?:text(?(2)(?!))=\"([^\"<]*+)\"|title(?(3)(?!))=\"([^\"<]*+)\""
    r"|xmlUrl(?(4)(?!))=\"([^\"<]*+)\"|htmlUrl(?(5)(?!))=\"([^\"<]*+)\"|type=\"(?:rss|atom)\""
    r"|(?!(?i:text|title|type|xmlUrl|htmlUrl|url|category)=)[A-Za-z]++=\"[^\"<]*+\"))++"
    r"(?(4)|(?!))\s*+(?:/>|>\s*+</outline\s*+>)"
)
# A quotation mark ends a value only before the next attribute or the end of the tag.
SLOPPY_ATTRIBUTE = re.compile(
    r"(?<![\w.:-])([\w.:-]+)\s*=\s*"
    r"(?:([\"'])(.*?)\2(?=\s*[\w.:-]+\s*=\s*[\"']|\s*/?>\s*(?:<|\Z)|\s*\Z)|([^\s\"'<>]+))",
    re.DOTALL,
)
AFTER_OUTLINE = re.compile(r"</?(?:[\w.-]+:)?(?:outline|body|opml)\b|(?<=[>\s])<!--", re.IGNORECASE)
HIDDEN_OUTLINE = re.compile(r"<(?:[\w.-]+:)?outline\b", re.IGNORECASE)
CLOSING_TAG = re.compile(r"\s*</")
TITLE_TEXT = re.compile(r"\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))", re.DOTALL)
REFERENCE = re.compile(r"&(?:(#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};)|([A-Za-z][A-Za-z0-9]*;))")

SLOPPY_LIMIT = 20_000
"""Characters of a malformed outline that are searched for attributes, at a quadratic cost in the worst case; the
longest of the 30 found in 118 real lists has 1,265."""


class OpmlError(ValueError):
    """The file can't be a list of feeds; its text is a sentence that says why, where, and what to do."""


def decode(content: bytes) -> str:
    """The text of the file, by its byte order mark, its declaration, else as UTF-8 or Windows-1252.

    Raises OpmlError if it is empty or holds NUL characters, as a crash leaves them behind.
    """
    if not content.strip(b"\0 \t\r\n"):
        raise OpmlError("The list of feeds is empty: restore it, or write an OPML list into it.")
    text = _decode_by_mark(content)
    if "\0" in text:
        place = place_of(text, text.index("\0"))
        raise OpmlError(f"There is binary content at {place}: restore the list, or export it again as OPML.")
    return text


def _decode_by_mark(content: bytes) -> str:
    for mark, encoding in BOMS:
        if content.startswith(mark):
            return content.removeprefix(mark).decode(encoding, errors="replace")
    for start, encoding in UNMARKED_UTF_16:
        if content.startswith(start):
            return content.decode(encoding, errors="replace")
    declared = DECLARED.match(content)
    # A declaration that reads as ASCII is not in UTF-16 or UTF-32, whatever it says.
    if declared and not WIDE_ENCODING.match(declared[1]):
        try:
            return content.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeError):
            pass
    text = content.decode("utf-8", errors="replace")
    spoilt = text.count("\ufffd")
    # One torn character among many good ones is no reason to read them all as Windows-1252.
    if spoilt and 2 * spoilt > len(text) - len(text.encode("ascii", errors="ignore")):
        return content.decode("windows-1252", errors="replace")
    return text


def place_of(text: str, position: int) -> str:
    """The position as people count it: "line 3, column 14"."""
    column = position - text.rfind("\n", 0, position)
    return f"line {text.count(chr(10), 0, position) + 1}, column {column}"


class Tag(NamedTuple):
    """A tag's name in lower case; `start` is at its "<", `end` behind its name."""

    name: str
    closing: bool
    start: int
    end: int


class FeedTag(NamedTuple):
    """The outline of a feed; `start` is at its "<"."""

    start: int
    text: str
    title: str
    xml_url: str
    html_url: str


class Tags:
    """The tags of a text one after the other, comments and declarations passed over.

    `position` stands behind the tag's name; who reads the attributes moves it on.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def next_feed(self) -> FeedTag | None:
        """The next tag, if it is the outline of a feed written as nearly all are, with its end.

        Else None, and nothing is passed over. `next` and `read_attributes` would say the same in thrice the time.
        """
        found = USUAL_FEED.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        values = found.groups("")[1:]
        return FeedTag(found.start(1), *(map(_resolve, values) if "&" in found[0] else values))

    def next(self) -> Tag | None:
        """The next tag, None at the end of the text; raises OpmlError if that lies within a comment."""
        while opener := OPENER.search(self.text, self.position):
            if opener[6]:
                self.position = opener.end()
                return Tag(opener[6].lower(), opener[5] == "/", opener.start(), opener.end())
            self._pass_over(opener)
        return None

    def _pass_over(self, opener: re.Match[str]) -> None:
        if opener[4]:
            doctype = DOCTYPE.match(self.text, opener.end())
            end = doctype.end() if doctype else 0
        else:
            closer = CLOSERS[(opener.lastindex or 1) - 1]
            end = self.text.find(closer, opener.end()) + len(closer)
        if end < opener.end():
            self.refuse_torn()
        if opener[1]:
            self._refuse_unended(opener, end)
        self.position = end

    def _refuse_unended(self, opener: re.Match[str], end: int) -> None:
        """Raises OpmlError for a comment that goes on into the next one and hides outlines.

        XML forbids "--" within comments; where no other begins, it hides nothing that was not meant.
        """
        following = self.text.find("<!--", opener.end(), end)
        if following >= 0 and HIDDEN_OUTLINE.search(self.text, opener.end(), end):
            raise OpmlError(
                f"The comment at {place_of(self.text, opener.start())} has no end before the next one at "
                f"{place_of(self.text, following)}, and hides outlines: end it with -->."
            )

    def refuse_torn(self) -> NoReturn:
        """Raises OpmlError: the text ends although more had to come."""
        place = place_of(self.text, len(self.text.rstrip()))
        raise OpmlError(
            f"The list of feeds stops before its end, at {place}, where </opml> is missing: it was cut short "
            "while it was written or copied; write it again as a whole."
        )

    def read_attributes(self, tag: Tag) -> tuple[dict[str, str], bool]:
        """The attributes of this start tag, names in lower case, and whether the element ends with it."""
        if strict := STRICT_TAG.match(self.text, tag.end):
            self.position = strict.end()
            parts = STRICT_ATTRIBUTE.findall(strict[1])
            return _first_of_each([(name, double or single) for name, double, single in parts]), bool(
                strict[2]
            )
        following = AFTER_OUTLINE.search(self.text, tag.end)
        self.position = following.start() if following else len(self.text)
        part = self.text[tag.end : min(self.position, tag.end + SLOPPY_LIMIT)].rstrip()
        found = [(m[1], m[3] or m[4] or "") for m in SLOPPY_ATTRIBUTE.finditer(part)]
        if "xmlurl" in part.lower():
            found.append(("xmlurl", ""))  # a feed, even if its address can't be told
        return _first_of_each(found), part.endswith("/>") or ">" not in part

    def closes_next(self) -> bool:
        """Whether a closing tag comes next."""
        return CLOSING_TAG.match(self.text, self.position) is not None

    def read_text(self) -> str:
        """The text up to the next tag, from the end of the start tag just met."""
        end = self.text.find(">", self.position) + 1
        if end == 0 or self.text[end - 2] == "/":
            return ""
        found = TITLE_TEXT.match(self.text, end)
        return "" if found is None else found[1] or _resolve(found[2] or "")


def _first_of_each(found: list[tuple[str, str]]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for written, value in found:
        name = written.lower()
        if not attributes.get(name):
            attributes[name] = _resolve(value) if "&" in value else value
    return attributes


def _resolve(value: str) -> str:
    """The value with its character references resolved; an ampersand that begins none stands for itself."""
    return REFERENCE.sub(_referred, value)


def _referred(reference: re.Match[str]) -> str:
    return unescape(f"&{reference[1]}") if reference[1] else html5.get(reference[2], reference[0])
