"""Teasers: where a text is cut, how a cut text finds its full one, and which entry stands for an event."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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

MOST_LISTED = 50
"""Lines of a text, counted from its end, among which its block of related items is looked for."""

LONGEST_HEADING = 60

SHORTEST_CUT = 25
"""Characters of a line that a site may have cut short: dialogue and verse that trail off are mostly shorter."""

ELLIPSIS = regex.compile(r"\s*(?:\[\s*(?:…|\.{3,})\s*\]|\(\s*(?:…|\.{3,})\s*\)|…|\.{3,})\s*$")
"""The ways in which sites mark a cut: …, ..., […], [...], (…)."""

INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad]")
GRAPHEME = regex.compile(r"\X")
QUOTES = str.maketrans("‘’‚‛`´“”„‟«»‹›–—−", "''''''\"\"\"\"\"\"''---")
SENTENCE = regex.compile(r"[.!?。！？۔।]['\")\]]?$(?<!\.\.)")
BULLET = regex.compile(r"^[•·▪‣*–—>-]+\s+")
HEADING = regex.compile(
    r"^(?:(?:more )?related(?: (?:stories|articles|news|items|posts|links|content|coverage|reading|topics))?"
    r"|(?:read|see) (?:more|also|next)|also read|(?:you )?(?:may|might) also like"
    r"|recommended (?:for you|stories|reading)|more (?:on this(?: story)?|stories|news|from .{1,40})"
    r"|(?:à )?(?:lire|voir) aussi|sur le même sujet"
    r"|mehr zum thema|lesen sie (?:auch|mehr)|auch interessant|lea también|más sobre|te puede interesar"
    r"|(?:noticias|notas) relacionadas|relacionad[ao]s?|leggi anche|vedi anche|(?:leia|veja) (?:também|mais)"
    r"|lees ook|läs (?:också|mer)|les også|zobacz (?:też|także)|czytaj (?:też|także)|ilgili haberler"
    r"|читайте (?:также|еще|ещё)|по теме|اقرأ أيضا?ً?|यह भी पढ़ें"
    r"|関連(?:記事|ニュース)|相关(?:阅读|新闻|报道)|延伸阅读|관련\s?기사)"
    r"\s*[:：|]?$",
    regex.IGNORECASE,
)

FULL_TEXT = 600
PART_TEXT = 80
"""Characters from which a text counts as full, and as more than a headline. Coarse on purpose: two full texts
never displace each other by length, so the canonical entry stands still while copies come in."""

LIVE_TITLE = re.compile(
    r"\blive[\s-]?(?:blog|ticker|updates?|coverage|stream)|\bnews[\s-]?(?:blog|ticker)\b|\bas it happened\b"
    r"|\bminut[eo][ -](?:by|par|für|a|per)[ -]minut[eo]\b"
    r"|\b(?:en (?:direct|directo|vivo)|in diretta|ao vivo|em direc?to)\b"
    r"|\blive:|^(?:live|(?:le )?direct|directo|(?:la )?diretta)(?:\s*[:|•–—]|\s-\s)"
    r"|(?:[,:|–—]|\s-)\s*(?:live|(?:le )?direct|(?:la )?diretta)$",
    re.IGNORECASE,
)
LIVE_URL = re.compile(
    r"[/-](?:live-?(?:blog|ticker|updates?)|newsblog|en-direct|en-directo|en-vivo|in-diretta|ao-vivo"
    r"|minut[eo]-(?:by|par|a|per)-minut[eo])(?![a-z])"
    r"|/(?:live|directo|diretta)(?:[/?#]|$)",
    re.IGNORECASE,
)
"""How live pages are called in English, French, German, Spanish, Italian and Portuguese. The bare word "live"
counts only where it is set apart: "Where to live in Leeds" and "Live music returns" are articles."""

LIVE_SIGNS = ("live", "news", "happened", "minut", "dire", "vivo")
"""One of these is in whatever LIVE_TITLE finds: looking for them takes a tenth of its time."""


# ---- cutting and finding -------------------------------------------------------------------------


def fold_space(text: str) -> str:
    """The text on one line: every run of white space is one space, none at the ends, invisible signs gone."""
    return " ".join((text if text.isascii() else INVISIBLE.sub("", text)).split())


def truncate(text: str) -> str:
    """The text as a teaser: at most LENGTH user-perceived characters (grapheme clusters, UAX #29).

    A text that fits stands uncut; a longer one is cut hard after LENGTH - 1, without white space before the "…".
    """
    # Of most texts their beginning tells, without a look at all of it.
    start = fold_space(text[: 2 * LENGTH])
    if start.isascii() and any(map(str.isalnum, start[LENGTH:])):
        return start[: LENGTH - 1].rstrip() + "…"
    # A grapheme cluster can be long, but real ones are not: 32 code points each leave room for any of them.
    whole = fold_space(text[: LENGTH * 64])
    start = whole[: LENGTH * 32]
    # First, so that the cut never falls into a "[...]" that its source put there.
    if len(whole) == len(start) and is_cut(start):
        start = whole = ELLIPSIS.sub("…", start)
    if start.isascii():  # one character is one cluster: white space is folded, so no CR LF is left
        clusters = list(start[: LENGTH + 1])
    else:
        clusters = [match.group() for match in islice(GRAPHEME.finditer(start), LENGTH + 1)]
    if len(clusters) > LENGTH or len(whole) > len(start):
        return "".join(clusters[: LENGTH - 1]).rstrip() + "…"
    return start


def is_cut(text: str) -> bool:
    """Whether the text ends as sites end what they cut short."""
    end = text[-20:]
    return ("…" in end or "..." in end) and ELLIPSIS.search(end) is not None


def is_heading(text: str) -> bool:
    """Whether the line stands over a list of related items ("Related:", "Read more")."""
    return len(text) <= LONGEST_HEADING and HEADING.match(fold_space(text)) is not None


def _plain(text: str) -> str:
    """The text without what differs between a teaser and its full text: case, quotes, widths, ellipsis."""
    folded = fold_space(unicodedata.normalize("NFKC", text).translate(QUOTES)).casefold()
    bare = _without_bullet(folded)
    return (ELLIPSIS.sub("", bare) if is_cut(bare) else bare).rstrip()


def _without_bullet(text: str) -> str:
    bullet = BULLET.match(text)
    return text[bullet.end() :] if bullet else text


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

    The block is what follows a heading such as "Related:" there, or else the longest run of final lines that
    look cut by one rule (see _convinces). Something of the text always stays.
    """
    start = _headed(lines) or _unheaded(lines)
    own, block = list(lines[:start]), lines[start:]
    if own and block and is_heading(own[-1].text):
        own.pop()
    elif not own and block and not (is_cut(block[0].text) or block[0].url):
        own, block = [block[0]], block[1:]
    if not own or not block:
        return tuple(lines), ()
    return tuple(own), _listed([line for line in block if not starts_like(line.text, own[0].text)])


def _headed(lines: Sequence[Line]) -> int:
    """Where the block under a heading begins; 0 if there is none, or if not all under it are short items."""
    for position in range(len(lines) - 1, max(0, len(lines) - MOST_LISTED - 1), -1):
        text = fold_space(lines[position].text)
        if is_heading(text):
            return position + 1 if position + 1 < len(lines) else 0
        if len(text) > LONGEST_LISTED or (SENTENCE.search(text) and not lines[position].url):
            return 0
    return 0


def _unheaded(lines: Sequence[Line]) -> int:
    """Where the run of final lines that look like listed items begins, len(lines) if there is none."""
    start = len(lines)
    lowest = max(0, start - MOST_LISTED)
    if start >= 3 and _trails(lines):
        start -= 1
    while start > lowest and _may_be_listed(lines, start - 1, start):
        start -= 1
    while len(lines) - start >= 2:
        if _convinces(lines[start:]):
            return start
        start += 1
    return len(lines)


def _may_be_listed(lines: Sequence[Line], position: int, after: int) -> bool:
    line = lines[position]
    if len(line.text) > LONGEST_LISTED:
        return False
    if line.url or is_cut(line.text) or _full_of(line, lines[after : after + 2]) is not None:
        return True
    # An item that was short enough to stand uncut, between two that were not.
    between = position > 0 and after < len(lines) and is_cut(lines[position - 1].text)
    return between and len(line.text) <= LENGTH


def _trails(lines: Sequence[Line]) -> bool:
    """Whether the last line is an uncut short item under teasers that were all cut hard at LENGTH."""
    *_, first, second, last = lines
    hard = all(LENGTH - 1 <= len(line.text) <= LENGTH and is_cut(line.text) for line in (first, second))
    return hard and len(last.text) <= LENGTH and not is_cut(last.text)


def _full_of(line: Line, later: Sequence[Line]) -> Line | None:
    """The one of `later` that is this line cut short."""
    if is_cut(line.text):
        return None
    return next((one for one in later if is_cut(one.text) and starts_like(one.text, line.text)), None)


def _convinces(block: Sequence[Line]) -> bool:
    """Whether these lines were cut by a program, not by an author whose sentences trail off.

    They begin with an item in full and its teaser, or are links, or were cut to about one length: for two lines
    that must be close, for more it may be cut at words.
    """
    cut = [line for line in block if is_cut(line.text)]
    if not cut:
        return False
    if _full_of(block[0], block[1:3]) is not None or all(line.url for line in block):
        return True
    lengths = [len(line.text) for line in cut]
    if len(cut) < 2 or not (is_cut(block[0].text) or block[0].url):
        return False
    alike = max(lengths) - min(lengths) <= 6 if len(cut) == 2 else max(lengths) <= 1.5 * min(lengths)
    return alike and min(lengths) >= SHORTEST_CUT


def _listed(block: Sequence[Line]) -> tuple[ListedItem, ...]:
    """Each item of the block once; an item in full and its teaser are one."""
    items: dict[str, ListedItem] = {}
    for position, line in enumerate(block):
        text = _without_bullet(fold_space(line.text))
        short = _full_of(line, block[position + 1 : position + 3])
        teaser = truncate(_without_bullet(fold_space(short.text)) if short else text)
        full = "" if is_cut(line.text) else text
        known = items.get(teaser)
        items[teaser] = ListedItem(
            text=known.text if known and known.text else full,
            teaser=teaser,
            url=known.url if known and known.url else line.url,
            start_key=known.start_key if known else start_key(text),
        )
    return tuple(items.values())


# ---- which entry stands for the event ------------------------------------------------------------


def choose_canonical(members: Sequence[Member]) -> Member:
    """The entry that stands for the event: a function of the set, not of the order in which its members came.

    In this order: no live page; a full text over part of one over a headline; the heavier feed; a date that the
    feed gave over a guessed one; the earliest; the longest unbroken text; then outlet, feed and identity, so that
    there always is an answer. The classes are coarse, so that only a clearly better entry, or one published earlier
    in the same class, displaces the one that stands: the choice does not flap between equals.
    """
    return members[0] if len(members) == 1 else min(members, key=_rank)


def _rank(member: Member) -> tuple[object, ...]:
    return (
        is_live(member),
        -text_class(member),
        -member.weight,
        member.date_guessed,
        # Guessed dates are times of fetching, which differ from run to run.
        None if member.date_guessed else member.published_at,
        -len(member.text),
        member.source,
        member.feed_url,
        member.identity,
    )


def is_live(member: Member) -> bool:
    """Whether the entry is a live page, whose text is of many events and changes by the minute."""
    return _is_live(member.title, member.url)


@lru_cache(maxsize=4096)
def _is_live(title: str, url: str) -> bool:
    return _has_live_title(title) or LIVE_URL.search(url) is not None


def _has_live_title(title: str) -> bool:
    # In other alphabets one letter can be the small one of several.
    if title.isascii() and not any(map(title.lower().__contains__, LIVE_SIGNS)):
        return False
    return LIVE_TITLE.search(title) is not None


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
