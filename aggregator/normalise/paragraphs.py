"""Texts to paragraphs, one a line: of sanitised markup, of plain text, of a title."""

from __future__ import annotations

import html
import re
from itertools import pairwise

from selectolax.lexbor import LexborHTMLParser

from aggregator.normalise.characters import BREAK, LONGEST_MARKUP, clean_text
from aggregator.teaser import fold_space, is_cut

BLOCK = re.compile(
    r"</?(?:address|article|aside|blockquote|br|caption|dd|details|div|dl|dt|figcaption|figure|footer|h[1-6]|header"
    r"|hr|li|main|ol|p|section|summary|table|tbody|td|tfoot|th|thead|tr|ul)\b[^>]*>"
)
PREFORMATTED = re.compile(r"(<pre\b[^>]*>)(.*?)(</pre>)", re.DOTALL)
TITLE_TAG = re.compile(
    r"</?(?:a|abbr|b|bdi|big|br|cite|code|del|div|em|font|h[1-6]|i|img|ins|mark|nobr|p"
    r"|q|s|small|span|strong|sub|sup|u|wbr)"
    r"(?:\s[^<>]*)?/?>|<!--[^<>]*-->",
    re.IGNORECASE,
)
"""Markup that titles have; any other tag in a title is what it is about ("How to use <script>")."""

SCRIPTED = re.compile(
    r"<(script|style)\b[^<>]{0,500}>[^\0]{0,2000}?</\1\s*>|</?[a-z][a-z0-9:-]{0,20}\s[^<>]{0,500}=[^<>]{0,500}>",
    re.IGNORECASE,
)
"""What no title is about: a whole script or stylesheet, and any tag with attributes."""

WIDE_TAG = re.compile(r"</?(?:br|div|h[1-6]|p)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"[.!?…。！？؟।:;\"'”’»)\]]\s*$")
LONGEST_WRAPPED = 100
"""Characters of the longest line that programs wrap texts to; longer lines are paragraphs."""

FEWEST_WRAPPED = 50
"""Characters of the longest line below which no program wraps."""

LOOSE_END = 20
"""Characters that a wrapped line lacks at most: the next word did not fit."""


def paragraphs(sanitised: str) -> list[str]:
    """The paragraphs of sanitised markup as plain text: each block, list item, cell and <br> is a line."""
    if "<pre" in sanitised:
        sanitised = PREFORMATTED.sub(
            lambda found: BREAK + found[1] + found[2].replace("\n", BREAK) + found[3] + BREAK, sanitised
        )
    if "<" not in sanitised:
        return _folded(html.unescape(sanitised.replace("\n", " ")))
    root = LexborHTMLParser(BLOCK.sub(BREAK, sanitised)).body
    return _folded(root.text(deep=True) if root is not None else "")


def _folded(text: str) -> list[str]:
    lines = (fold_space(line) for line in text.split(BREAK) if line and not line.isspace())
    return [line for line in lines if line]


def plain_paragraphs(text: str, *, is_declared: bool) -> list[str]:
    """The paragraphs of plain text; `is_declared`: its author called it plain, so that each line break counts.

    The lines of a hard-wrapped text are joined: an empty line, or a break after the end of a sentence, ends a
    paragraph. So they are in text that came as HTML without a tag, where a line break is but a space.
    """
    lines = [fold_space(line) for line in clean_text(text[:LONGEST_MARKUP]).splitlines()]
    if is_declared and not _is_wrapped(lines):
        return [line for line in lines if line]
    found: list[list[str]] = []
    is_open = False
    for line in lines:
        if not line:
            is_open = False
            continue
        if is_open:
            found[-1].append(line)
        else:
            found.append([line])
        is_open = SENTENCE_END.search(line) is None
    return [" ".join(parts) for parts in found]


def _is_wrapped(lines: list[str]) -> bool:
    """Whether a program broke the lines: all but the last of each paragraph are about as long as the longest."""
    longest = max(map(len, lines), default=0)
    broken = [line for line, following in pairwise(lines) if line and following]
    if len(broken) < 2 or not FEWEST_WRAPPED <= longest <= LONGEST_WRAPPED:
        return False
    # A list of headlines has lines of one length too, but each begins with a capital letter.
    continued = sum(following[:1].islower() for line, following in pairwise(lines) if line)
    if continued * 3 < len(broken) or any(is_cut(line) for line in broken):
        return False
    return all(longest - len(line) <= LOOSE_END for line in broken if not SENTENCE_END.search(line))


def from_plain(lines: list[str]) -> str:
    """Plain paragraphs as markup, escaped."""
    return "\n".join(f"<p>{html.escape(line, quote=False)}</p>" for line in lines)


def plain_title(title: str, *, is_html: bool) -> str:
    """A title as one plain line. One that was escaped once too often ("&amp;amp;") is unescaped again."""
    text = title[:20_000]
    if is_html:
        text = html.unescape(_untagged(text))
        if (
            "</" in text
        ):  # markup that was escaped once too often; a title about markup seldom names an end tag
            text = _untagged(text)
    if "&" in text:
        text = _untagged(html.unescape(text))
    if "<" in text:
        text = SCRIPTED.sub("", text)
    return fold_space(clean_text(text))


def _untagged(text: str) -> str:
    if "<" not in text:
        return text
    return TITLE_TAG.sub(lambda found: " " if WIDE_TAG.match(found[0]) else "", text)
