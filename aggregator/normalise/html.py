"""Markup of strangers: to sanitised HTML, and to plain paragraphs."""

from __future__ import annotations

import html
import re
import unicodedata

import nh3
from selectolax.lexbor import LexborHTMLParser

from aggregator.teaser import fold_space

LONGEST_MARKUP = 1_000_000
"""Characters of markup that are read of one field; the longest article in real feeds has a fifth of it."""

TAGS = {
    *(
        "a",
        "abbr",
        "address",
        "article",
        "aside",
        "b",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "dd",
        "del",
    ),
    *(
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ),
    *(
        "header",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "main",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "section",
    ),
    *(
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
    ),
    *("tr", "u", "ul", "var"),
}
EMPTIED = {
    "script",
    "style",
    "iframe",
    "noscript",
    "template",
    "svg",
    "math",
    "object",
    "form",
    "button",
    "select",
}
"""Elements that go with all they hold; of every other unknown element only the tags go."""

ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "blockquote": {"cite"},
    "q": {"cite"},
    "time": {"datetime"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
SCHEMES = {"http", "https", "mailto"}

PIXEL = re.compile(r'<img\b(?=[^>]*\bwidth="[01](?:px)?")(?=[^>]*\bheight="[01](?:px)?")[^>]*>')
"""An image of at most one pixel, as nh3 writes it: a counter of readers."""

BLOCK = re.compile(
    r"</?(?:address|article|aside|blockquote|br|caption|dd|details|div|dl|dt|figcaption|figure|footer|h[1-6]|header"
    r"|hr|li|main|ol|p|section|summary|table|tbody|td|tfoot|th|thead|tr|ul)\b[^>]*>"
)
PREFORMATTED = re.compile(r"(<pre\b[^>]*>)(.*?)(</pre>)", re.DOTALL)
BREAK = "\ue000"
"""A private-use character that stands for a line break while white space is folded."""

MARKUP = re.compile(r"<[a-zA-Z!/?]|&(?:#\d|#[xX][0-9a-fA-F]|[a-zA-Z]+;)")
ANCHOR = re.compile(r"<a\b")
SENTENCE_END = re.compile(r"[.!?…。！？:;\"'”’»)\]]\s*$")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000]")
BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Bidirectional overrides, isolates and embeddings (UAX #9): they can make a text read as what it is not."""


def clean_text(text: str) -> str:
    """The text without control characters, lone surrogates and bidirectional overrides, in form NFC."""
    return unicodedata.normalize("NFC", BIDI.sub("", CONTROLS.sub("", text)))


def sanitise(markup: str, base: str) -> str:
    """The markup with only harmless elements and attributes; relative links made absolute against `base`.

    Links are http, https or mailto and tell their target nothing of the reader; tracking pixels are gone.
    """
    cleaned: str = nh3.clean(
        CONTROLS.sub("", markup[:LONGEST_MARKUP]),
        tags=TAGS,
        clean_content_tags=EMPTIED,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="nofollow noopener noreferrer",
        url_relative=("rewrite_with_base", base) if base else "deny",
    )
    # After cleaning: character references have become the characters they name.
    return clean_text(PIXEL.sub("", cleaned))


def has_markup(text: str) -> bool:
    """Whether the text holds a tag or a character reference."""
    return MARKUP.search(text) is not None


def paragraphs(sanitised: str) -> list[str]:
    """The paragraphs of sanitised markup as plain text: each block, list item, cell and <br> is a line."""
    if "<pre" in sanitised:
        sanitised = PREFORMATTED.sub(
            lambda found: found[1] + found[2].replace("\n", BREAK) + found[3] + BREAK, sanitised
        )
    if "<" not in sanitised:
        return _lines(html.unescape(sanitised.replace("\n", " ")))
    marked = BLOCK.sub(BREAK, sanitised)
    root = LexborHTMLParser(marked).body
    return _lines(root.text(deep=True) if root is not None else "")


def _lines(text: str) -> list[str]:
    lines = (fold_space(line) for line in clean_text_keeping_breaks(text).split(BREAK))
    return [line for line in lines if line]


def clean_text_keeping_breaks(text: str) -> str:
    """As clean_text, for text that holds BREAK."""
    return BREAK.join(clean_text(part) for part in text.split(BREAK))


def plain_paragraphs(text: str) -> list[str]:
    """The paragraphs of plain text: a line break after the end of a sentence, or an empty line, ends one.

    Other line breaks wrapped a line and become a space.
    """
    found: list[str] = []
    open_line = False
    for raw in clean_text(text).splitlines():
        line = fold_space(raw)
        if not line:
            open_line = False
        elif open_line:
            found[-1] = f"{found[-1]} {line}"
            open_line = SENTENCE_END.search(line) is None
        else:
            found.append(line)
            open_line = SENTENCE_END.search(line) is None
    return found


def from_plain(text: str) -> str:
    """Plain text as markup: escaped, a paragraph a line."""
    return "\n".join(f"<p>{html.escape(line, quote=False)}</p>" for line in text.split("\n") if line)


def links(sanitised: str) -> list[tuple[str, str]]:
    """(text, address) of every link, in order."""
    if not ANCHOR.search(sanitised):
        return []
    return [
        (fold_space(node.text(deep=True)), node.attributes.get("href") or "")
        for node in LexborHTMLParser(sanitised).css("a")
    ]


def plain_title(title: str, *, is_html: bool) -> str:
    """A title as one plain line. One that was escaped once too often ("&amp;amp;") is unescaped again."""
    text = title[:20_000]
    if is_html and has_markup(text):
        text = " ".join(paragraphs(sanitise(text, "")))
    if "&" in text:
        text = html.unescape(text)
    return fold_space(clean_text(text))
