"""Teasers: where a text is cut, how a cut text finds its full one, and which entry stands for an event."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import regex
import xxhash

from aggregator.types import EntryId, ListedItem, Member, Teaser, TeaserKind

LENGTH = 60
"""Characters of a teaser, its "…" included: what the sample record of this product's user has."""

KEY_LENGTH = 40
"""Characters by which a cut text finds its full one: shorter beginnings are shared by unrelated texts
("The president of the United States"), longer ones miss teasers that sites cut at 50."""

LONGEST_LISTED = 300
"""Characters of a line that can still be a listed item: longer ones are paragraphs that happen to end in "…"."""

ELLIPSIS = regex.compile(r"\s*(?:\[\s*(?:…|\.{3,})\s*\]|\(\s*(?:…|\.{3,})\s*\)|…|\.{3,})\s*$")
"""The ways in which sites mark a cut: …, ..., […], [...], (…)."""

INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad]")
GRAPHEME = regex.compile(r"\X")
QUOTES = str.maketrans("‘’‚‛`´“”„‟«»‹›–—−", "''''''\"\"\"\"\"\"''---")
BULLET = regex.compile(r"^[•·▪‣*–—>-]+\s+")
HEADING = regex.compile(
    r"^(?:related(?: (?:stories|articles|news|items))?|read (?:more|also|next)|see also"
    r"|more (?:on this|stories|news)|(?:à )?lire aussi|sur le même sujet|mehr zum thema|lesen sie auch|lea también"
    r"|más sobre|noticias relacionadas|leggi anche|leia (?:também|mais)|lees ook|läs också"
    r"|читайте также)\s*[:：]?$",
    regex.IGNORECASE,
)

FULL_TEXT = 600
PART_TEXT = 80
"""Characters from which a text counts as full, and as more than a headline. Coarse on purpose: two full texts
never displace each other by length, so the canonical entry stands still while copies come in."""

LIVE = re.compile(
    r"\blive\s?(?:blog|ticker|updates?|coverage|stream)\b|^live\b|\blive:|\ben direct\b|\ben vivo\b|\bin diretta\b"
    r"|\bao vivo\b|\bliveblog|\bnewsblog\b|[/-]live(?:[/-]|blog|ticker|$)|\bas it happened\b",
    re.IGNORECASE,
)


# ---- cutting and finding -------------------------------------------------------------------------


def fold_space(text: str) -> str:
    """The text on one line: every run of white space is one space, none at the ends, invisible signs gone."""
    return " ".join(INVISIBLE.sub("", text).split())


def truncate(text: str) -> str:
    """The text as a teaser: at most LENGTH user-perceived characters (grapheme clusters, UAX #29).

    A text that fits stands uncut; a longer one is cut hard after LENGTH - 1, without white space before the "…".
    """
    # A grapheme cluster can be long, but real ones are not: 32 code points each leave room for any of them.
    start = fold_space(text[: LENGTH * 64])[: LENGTH * 32]
    if start.isascii():  # one character is one cluster: white space is folded, so no CR LF is left
        clusters = list(start[: LENGTH + 1])
    else:
        clusters = [match.group() for match in islice(GRAPHEME.finditer(start), LENGTH + 1)]
    if len(clusters) > LENGTH:
        return "".join(clusters[: LENGTH - 1]).rstrip() + "…"
    return ELLIPSIS.sub("…", start) if is_cut(start) else start


def is_cut(text: str) -> bool:
    """Whether the text ends as sites end what they cut short."""
    return ELLIPSIS.search(text[-20:]) is not None


def _plain(text: str) -> str:
    """The text without what differs between a teaser and its full text: case, quotes, widths, ellipsis."""
    folded = fold_space(unicodedata.normalize("NFKC", text).translate(QUOTES)).casefold()
    return ELLIPSIS.sub("", BULLET.sub("", folded)).rstrip()


def start_key(text: str) -> int:
    """A number (signed, 64 bits) that a cut text shares with its full one; 0 if the text is too short to tell."""
    start = _plain(text[: KEY_LENGTH * 8])[:KEY_LENGTH].rstrip()
    # A cut at a space leaves one character less: the key takes whole words of what both surely have.
    if len(start) < KEY_LENGTH - 1:
        return 0
    number = xxhash.xxh3_64_intdigest(start[: KEY_LENGTH - 1].encode(errors="replace"))
    return number - (1 << 64) if number >= 1 << 63 else number


def starts_like(teaser: str, text: str) -> bool:
    """Whether `text` begins with all of the (perhaps cut) `teaser`, of which at least KEY_LENGTH - 1 count."""
    beginning = _plain(teaser)
    return len(beginning) >= KEY_LENGTH - 1 and _plain(text[: len(teaser) * 2 + 200]).startswith(beginning)


# ---- the block of related items at the end of a text ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One paragraph of a text, with the address it links to as a whole ("" = none)."""

    text: str
    url: str


def split_related(lines: Sequence[Line]) -> tuple[tuple[Line, ...], tuple[ListedItem, ...]]:
    """The text's own lines, and the related items that its source stuck to the end.

    The block is the run of final lines that are each cut short, or that another line of the run cuts short
    (the item in full, then its teaser). It takes two lines to make a block: one cut line at the end may be the
    text's own end. A heading such as "Related:" goes with its block. Something of the text always stays.
    """
    start = len(lines)
    while start > 0 and _may_be_listed(lines, start - 1, start):
        start -= 1
    block = lines[start:]
    if len(block) < 2 or start == 0:
        return tuple(lines), ()
    own = list(lines[:start])
    if len(own) > 1 and HEADING.match(fold_space(own[-1].text)):
        own.pop()
    return tuple(own), _listed(block)


def _may_be_listed(lines: Sequence[Line], position: int, after: int) -> bool:
    line = lines[position]
    if len(line.text) > LONGEST_LISTED:
        return False
    if is_cut(line.text):
        return True
    return any(
        is_cut(later.text) and starts_like(later.text, line.text) for later in lines[after : after + 2]
    )


def _listed(block: Sequence[Line]) -> tuple[ListedItem, ...]:
    items: list[ListedItem] = []
    seen: set[str] = set()
    for position, line in enumerate(block):
        text = BULLET.sub("", fold_space(line.text))
        if is_cut(line.text):
            teaser, full = _as_teaser(text), ""
            previous = items[-1] if items else None
            if previous and previous.text and starts_like(text, previous.text):
                continue
        else:
            full = text
            teaser = next(
                (
                    _as_teaser(later.text)
                    for later in block[position + 1 : position + 3]
                    if is_cut(later.text)
                ),
                truncate(text),
            )
        if teaser not in seen:
            seen.add(teaser)
            items.append(ListedItem(full, teaser, line.url, start_key(full or text)))
    return tuple(items)


def _as_teaser(text: str) -> str:
    return truncate(ELLIPSIS.sub("…", BULLET.sub("", fold_space(text))))


# ---- which entry stands for the event ------------------------------------------------------------


def choose_canonical(members: Sequence[Member]) -> Member:
    """The entry that stands for the event: a function of the set, not of the order in which its members came.

    In this order: no live page; a full text over part of one over a headline; a date that the feed gave over a
    guessed one; the earliest; the longest unbroken text; then outlet, feed and identity, so that there always is
    an answer. The classes are coarse, so that only a clearly better entry, or one published earlier in the same
    class, displaces the one that stands: the choice does not flap between equals.
    """
    return min(members, key=_rank)


def _rank(member: Member) -> tuple[object, ...]:
    return (
        is_live(member),
        -text_class(member),
        member.date_guessed,
        # Guessed dates are times of fetching, which differ from run to run.
        "" if member.date_guessed else member.published_at.isoformat(),
        -len(member.text),
        member.source,
        member.feed_url,
        member.identity,
    )


def is_live(member: Member) -> bool:
    """Whether the entry is a live page, whose text is of many events and changes by the minute."""
    return LIVE.search(member.title) is not None or LIVE.search(member.url) is not None


def text_class(member: Member) -> int:
    """2 for a full text, 1 for part of one, 0 for a headline."""
    if len(member.text) < PART_TEXT:
        return 0
    return 2 if len(member.text) >= FULL_TEXT and not member.truncated else 1


def coverage(
    canonical: Member, others: Sequence[Member], versions: Sequence[tuple[EntryId, str, str]]
) -> tuple[Teaser, ...]:
    """A teaser for each other entry of the event, then earlier versions (entry, title, text) that read otherwise.

    Outlets that are not yet shown come first, then fuller texts, then earlier ones. Versions are those of
    `canonical`.
    """
    shown = {canonical.source.casefold()}
    first: list[Member] = []
    again: list[Member] = []
    for member in sorted(others, key=_rank):
        outlet = member.source.casefold()
        (again if outlet in shown else first).append(member)
        shown.add(outlet)
    teasers = [_coverage_teaser(member) for member in (*first, *again)]
    texts = {teaser.text for teaser in teasers} | {truncate(canonical.text or canonical.title)}
    for entry, title, text in versions:
        old = truncate(text or title)
        if old not in texts:
            texts.add(old)
            teasers.append(
                Teaser(
                    kind=TeaserKind.COVERAGE,
                    text=old,
                    full_text="",
                    title=title,
                    url=canonical.url,
                    source=canonical.source,
                    published_at=canonical.published_at,
                    entry_id=entry,
                    related_event_id=None,
                )
            )
    return tuple(teasers)


def _coverage_teaser(member: Member) -> Teaser:
    return Teaser(
        kind=TeaserKind.COVERAGE,
        text=truncate(member.text or member.title),
        full_text="",
        title=member.title,
        url=member.url,
        source=member.source,
        published_at=member.published_at,
        entry_id=member.id,
        related_event_id=None,
    )
