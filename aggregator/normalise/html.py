"""Markup of strangers: to sanitised HTML, and the links in it."""

from __future__ import annotations

import html
import re
from contextlib import suppress
from functools import lru_cache
from typing import Literal

import nh3
from selectolax.lexbor import LexborHTMLParser

from aggregator.normalise.characters import LONGEST_MARKUP, clean_text, harmless
from aggregator.normalise.url import absolute_url
from aggregator.teaser import fold_space

DEEPEST = 100
MOST_TAGS = 20_000
"""Open elements at once, and tags, of markup that is parsed: more costs a parser time and room that grow with
their product (100,000 nested <div>: 96 s). Real articles have a tenth of either."""

FEW_TAGS = 1000
"""Tags up to which markup can't be costly and is not measured."""


def _words(names: str) -> set[str]:
    return set(names.split())


TAGS = _words(
    "a abbr address article aside b blockquote br caption cite code dd del details div dl dt em"
    " figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q s samp"
    " section small span strong sub summary sup table tbody td tfoot th thead time tr u ul var"
)
EMPTIED = _words("script style iframe noscript template svg math object form button select textarea title")
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

LONGEST_BASE = 500
"""Characters of the address against which relative links are made absolute: each of them grows by it."""

PIXEL = re.compile(r'<img\b(?=[^>]*\bwidth="[01](?:px)?")(?=[^>]*\bheight="[01](?:px)?")[^>]*>')
"""An image of at most one pixel, as nh3 writes it: a counter of readers."""

MOST_ATTRIBUTES = 500
CROWDED = re.compile(
    r"<[a-zA-Z][^\s/>]*+"
    r"""(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+)"""
    rf"{{{MOST_ATTRIBUTES}}}"
)
"""A tag with more attributes than any page has: the parser compares each with all before it (100,000: 3 s)."""

SMALL = 20_000
"""Characters of markup up to which no tag can hold enough attributes to matter: it is not searched for one."""

TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
UNNESTED = _words("p li dd dt td th tr option br hr img wbr input meta link area base col embed source track")
"""Elements that hold nothing, or that the next of their kind ends: they don't nest by themselves."""

MARKUP = re.compile(r"<[a-zA-Z!/?]|&(?:#\d|#[xX][0-9a-fA-F]|[a-zA-Z]+;)")
ESCAPED = re.compile(
    r"&lt;(?:/(?:p|a|div|strong|em|b|i|ul|ol|li|h[1-6]|span|blockquote)|br\s*/?|img\s.{1,500}?)&gt;"
)
"""A tag that was escaped once too often: end tags and empty elements, which texts about markup seldom name."""


def has_markup(text: str) -> bool:
    """Whether the text holds a tag or a character reference."""
    return MARKUP.search(text) is not None


def sanitise(markup: str, base: str) -> str:
    """The markup with only harmless elements and attributes; relative links made absolute against `base`.

    Links are http, https or mailto and tell their target nothing of the reader; tracking pixels are gone.
    Markup that no article has (see DEEPEST) comes back as text.
    """
    given = harmless(markup[:LONGEST_MARKUP])
    if "<" not in given and ESCAPED.search(given):
        given = html.unescape(given)
    if (len(given) > SMALL and CROWDED.search(given)) or (given.count("<") > FEW_TAGS and is_costly(given)):
        given = _without_tags(given)
    # After cleaning: character references have become the characters they name.
    return clean_text(PIXEL.sub("", _cleaner(base).clean(given)))


@lru_cache(maxsize=64)
def _cleaner(base: str) -> nh3.Cleaner:
    """Building one takes a third of the time that cleaning an article takes; a feed has one base, or few."""
    absolute = absolute_url(base, "")
    if 0 < len(absolute) <= LONGEST_BASE:
        # The rules of the URL standard are stricter on hosts and ports than those that made it absolute.
        with suppress(ValueError):
            return _cleaner_of_relative(("rewrite_with_base", absolute))
    return _cleaner_of_relative("deny")


def _cleaner_of_relative(links: Literal["deny"] | tuple[Literal["rewrite_with_base"], str]) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=TAGS,
        clean_content_tags=EMPTIED,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="nofollow noopener noreferrer",
        url_relative=links,
    )


def is_costly(markup: str) -> bool:
    """Whether a parser would take long for it: see DEEPEST."""
    depth = 0
    for count, found in enumerate(TAG.finditer(markup), start=1):
        if found[2].lower() not in UNNESTED:
            depth = max(0, depth - 1) if found[1] else depth + 1
        if depth > DEEPEST or count > MOST_TAGS:
            return True
    return False


def _without_tags(markup: str) -> str:
    """The text between the tags, without what EMPTIED elements hold."""
    kept: list[str] = []
    start = 0
    within = ""
    for found in TAG.finditer(markup):
        if not within:
            kept.append(markup[start : found.start()])
        start = found.end()
        name = found[2].lower()
        if not within and not found[1] and name in EMPTIED:
            within = name
        elif found[1] and name == within:
            within = ""
    if not within:
        kept.append(markup[start:])
    return " ".join(kept).replace("<", "&lt;")


def links(sanitised: str) -> list[tuple[str, str]]:
    """(text, address) of every link that has both, in order."""
    if "<a " not in sanitised:
        return []
    found = (
        (fold_space(node.text(deep=True)), node.attributes.get("href") or "")
        for node in LexborHTMLParser(sanitised).css("a")
    )
    return [(text, url) for text, url in found if text and url]
