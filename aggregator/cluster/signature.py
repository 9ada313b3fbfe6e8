"""Signatures: what the clusterer compares instead of texts, and the keys by which entries meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote, urlsplit

import numpy as np
import regex
import xxhash
from numpy.typing import NDArray

from aggregator.cluster.tokens import NUMBER_MARK, RARITY_MASK, Token, tokenise
from aggregator.types import Entry, Signature

SCHEME = 2
"""To be raised whenever a signature of the same entry would come out differently."""

PERMUTATIONS = 128
SEED = 1
BAND_ROWS = 4
BANDS = PERMUTATIONS // BAND_ROWS
"""32 bands of 4 rows: two entries of Jaccard similarity s share a band with probability 1 - (1 - s^4)^32
(Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4.2): .87 at .5, .99 at .6."""

SETS_AT_ONCE = 8
"""Entries whose MinHash values are computed at once: .8 MB of intermediate values stay in a core's cache."""

TITLE_TOKENS = 40
LEAD_TOKENS = 60
BODY_TOKENS = 64

MOST_TERMS = 64
ADDRESS_TOKENS = 24
MOST_IN_TITLE = 3
ADDRESS_MARK = 4
MOST_IN_LEAD = 7
LEAD_SHIFT = 3
"""A term's mark: bits 0 and 1 how often it stands in the title, bit 2 whether in the address, bits 3 to 5 how
often in the lead, bit 6 (NUMBER_MARK) whether it is a number."""

_TITLE_BITS = tuple(min(count, MOST_IN_TITLE) for count in range(TITLE_TOKENS + 1))
_LEAD_BITS = tuple(min(count, MOST_IN_LEAD) << LEAD_SHIFT for count in range(LEAD_TOKENS + 1))

ADDRESS_WORD = regex.compile(r"(?<![\p{L}\p{Nd}])\p{L}[\p{L}\p{M}]{1,23}(?![\p{L}\p{M}\p{Nd}])")
"""Words of an address: runs of letters; "a1b2c3" is a number of the outlet's."""

ADDRESS_NOISE = frozenset(
    [
        "id",
        "html",
        "htm",
        "shtml",
        "xhtml",
        "php",
        "asp",
        "aspx",
        "jsp",
        "cms",
        "www",
        "com",
        "org",
        "net",
        "index",
        "story",
        "stories",
        "news",
        "article",
        "articles",
        "artikel",
        "post",
        "posts",
        "item",
        "items",
        "archive",
        "archives",
        "blog",
        "blogs",
        "feed",
        "feeds",
        "rss",
        "amp",
        "node",
        "page",
        "detail",
        "content",
        "utm",
        "source",
    ]
)
"""What addresses are made of whatever the text is about."""

AGENCY = regex.compile(
    r"^(?:\p{Lu}[\p{L}\p{Nd}.,'’ /-]{1,60}[([]\s*\p{L}[\p{L}\p{Nd}./ -]{1,20}\s*[)\]]\s*[-–—:]+\s*"
    r"|[([]\s*\p{L}[\p{L}\p{Nd}./-]{1,20}\s*[)\]]\s*[-–—:]*\s*)"
)
"""PLACE (Agency) - or (Agency) alone. Without a dash "Boeing (BA) shares" would lose the name it is about."""

DATELINE = regex.compile(
    r"^\p{Lu}[\p{Lu}.'’ -]{2,40}(?:,\s(?:\p{L}+\.?\s\p{Nd}{1,2}|\p{Nd}{1,2}\.?\s\p{L}+\.?))?\s*[-–—]{1,2}\s+"
)
BYLINE = regex.compile(
    r"^(?:[Bb]y|BY|[Vv]on|[Pp]ar|[Pp]or|[Dd]i|[Dd]a)\s+\p{Lu}[\p{L}.'’-]+(?:\s+\p{Lu}[\p{L}.'’-]+){1,3}"
    r"(?:\s*[,|]\s*[^\n]{1,40})?(?:\n|$)"
)
"""What agencies and outlets put before a text that others take over without it."""

TITLE_HEAD = regex.compile(
    r"^(?:(?:UPDATE|WRAPUP|CORRECTED|REFILE|BREAKING|EXCLUSIVE|URGENT|FLASH|LIVE)(?: NEWS)?(?:\s?\p{Nd}{1,2})?"
    r"\s*[-–—|:]|\((?:LEAD|URGENT|\p{Nd}\p{L}{2} LD)\))\s*",
    regex.IGNORECASE,
)
"""What agencies put before a title to say that it is the second version; its number is none of the news."""

TITLE_TAIL = regex.compile(r"^(.*\S)\s+[-–—|:·•»]\s+(\S.{1,59})$")
TAIL_WORD = regex.compile(r"[\p{L}\p{M}\p{Nd}]+")
MOST_MORE = 2
"""Words that a title's tail may have beyond the outlet's name: "BBC News Online" for "BBC"."""


def sign(entries: Sequence[Entry]) -> list[Signature]:
    """A signature for each entry, in their order; an entry without words gets one that meets nothing."""
    tokens = [_read(entry) for entry in entries]
    hashes = minhashes([_shingles(title, lead) for title, lead, _ in tokens])
    terms = [
        _terms(title, _address(entry), lead) for entry, (title, lead, _) in zip(entries, tokens, strict=True)
    ]
    return [
        _signature(entry, minhash.astype("<u4").tobytes(), read, kept)
        for entry, minhash, read, kept in zip(entries, hashes, tokens, terms, strict=True)
    ]


def _signature(
    entry: Entry,
    minhash: bytes,
    tokens: tuple[list[Token], list[Token], list[Token]],
    terms: Sequence[tuple[int, int, int]],
) -> Signature:
    title_tokens, lead_tokens, _ = tokens
    title, lead, body = map(_numbers, tokens)
    kept = np.array([term for term, _, _ in terms], dtype="<u4").tobytes()
    words = (minhash, title, lead, body, kept)
    return Signature(
        scheme=SCHEME,
        minhash=minhash,
        title=title,
        title_marks=_marks(title_tokens),
        lead=lead,
        lead_marks=_marks(lead_tokens),
        body=body,
        terms=kept,
        term_marks=bytes(mark for _, mark, _ in terms),
        term_rarity=bytes(rarity for _, _, rarity in terms),
        truncated=entry.truncated,
        content_key=content_key(entry.source, entry.lang, words, truncated=entry.truncated),
    )


def content_key(source: str, lang: str, words: Iterable[bytes], *, truncated: bool) -> int:
    """A number made of an entry's words and outlet: ties fall the same way in whatever order entries came.

    Not of its time: of an entry without a date that is when it was fetched. `words`: minhash, title, lead, body and
    terms of its signature. 64 bits, signed, as databases keep it; by its unsigned value entries are ordered.
    """
    told = b"".join((*words, f"{source.casefold()} {lang} {truncated}".encode()))
    return int.from_bytes(xxhash.xxh3_64_digest(told), "big", signed=True)


def _address(entry: Entry) -> list[Token]:
    """The words of the address, often a longer headline: "/world/2026/bridge-to-reopen-after-flood.html"."""
    parts = urlsplit(entry.canonical_url or entry.url)
    words = ADDRESS_WORD.findall(unquote(f"{parts.path} {parts.query}"))
    telling = [word for word in words if word.casefold() not in ADDRESS_NOISE]
    return tokenise(" ".join(dict.fromkeys(telling)), entry.lang, ADDRESS_TOKENS)


def _terms(
    title: Sequence[Token], address: Sequence[Token], lead: Sequence[Token]
) -> list[tuple[int, int, int]]:
    """Each different term with its mark and its rarity in eighths, in rising order; the least telling left out."""
    in_title = Counter(token.term for token in title)
    in_address = {token.term for token in address}
    in_lead = Counter(token.term for token in lead)
    tokens = {token.term: token for token in (*lead, *address, *title)}
    found = [
        (
            term,
            _TITLE_BITS[in_title.get(term, 0)]
            | (ADDRESS_MARK if term in in_address else 0)
            | _LEAD_BITS[in_lead.get(term, 0)]
            | token.mark & NUMBER_MARK,
            token.mark & RARITY_MASK,
        )
        for term, token in tokens.items()
    ]
    if len(found) > MOST_TERMS:
        # What stands in the title stays; of the others the rarest.
        found = sorted(found, key=lambda one: (one[1] & MOST_IN_TITLE == 0, -one[2], one[0]))[:MOST_TERMS]
    return sorted(found)


def _read(entry: Entry) -> tuple[list[Token], list[Token], list[Token]]:
    """The tokens of title, lead and body. The lead: the summary, unless the text begins with it, then the text."""
    headline = TITLE_HEAD.sub("", entry.title, count=1) or entry.title
    title = tokenise(_without_tail(headline, entry.source), entry.lang, TITLE_TOKENS)
    body = tokenise(_without_dateline(entry.text), entry.lang, BODY_TOKENS)
    summary = tokenise(_without_dateline(entry.summary), entry.lang, LEAD_TOKENS)
    start = [token.number for token in summary[: max(1, len(summary) - 1)]]
    if start and start != [token.number for token in body[: len(start)]]:
        return title, (summary + body)[:LEAD_TOKENS], body
    return title, body[:LEAD_TOKENS], body


def _without_tail(title: str, source: str) -> str:
    """The title without the outlet's name at its end (" - Reuters")."""
    match = TITLE_TAIL.match(title)
    if match is None:
        return title
    tail, outlet = (set(TAIL_WORD.findall(name.casefold())) for name in (match[2], source))
    if not tail or not outlet:
        return title
    is_outlet = tail <= outlet or (outlet <= tail and len(tail) <= len(outlet) + MOST_MORE)
    return match[1] if is_outlet else title


def _without_dateline(text: str) -> str:
    start = BYLINE.sub("", text[:400], count=1).lstrip()
    return DATELINE.sub("", AGENCY.sub("", start, count=1), count=1) + text[400:]


def _shingles(title: Sequence[Token], lead: Sequence[Token]) -> NDArray[np.uint32]:
    """The word 1-grams and 2-grams of title + lead, each once, as numbers."""
    words = np.array([token.number for token in (*title, *lead)], dtype=np.uint32)
    pairs = words[:-1] * np.uint32(0x9E3779B1) + np.roll(words, -1)[:-1] if len(words) > 1 else words[:0]
    return np.unique(np.concatenate((words, pairs)))


def minhashes(sets: Sequence[NDArray[np.uint32]]) -> Iterator[NDArray[np.uint32]]:
    """The PERMUTATIONS MinHash values of each set of numbers; of the empty set the largest number throughout.

    Bit for bit what datasketch's scheme "affine32" makes of them: each number is mixed, then mapped by a * n
    + b modulo 2^32 for each permutation, of which the least is kept. Many sets at once take a fifth of the
    time.
    """
    numbers = np.random.RandomState(SEED)
    a = numbers.randint(0, 1 << 31, PERMUTATIONS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = numbers.randint(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)
    for start in range(0, len(sets), SETS_AT_ONCE):
        part = sets[start : start + SETS_AT_ONCE]
        found = np.full((len(part), PERMUTATIONS), 0xFFFFFFFF, dtype=np.uint32)
        filled = [place for place, numbers_of in enumerate(part) if len(numbers_of)]
        if filled:
            mixed = _mix32(np.concatenate([part[place] for place in filled]))
            starts = np.cumsum([0, *(len(part[place]) for place in filled)])[:-1]
            values = mixed[:, None] * a
            values += b
            found[filled] = np.minimum.reduceat(values, starts, axis=0)
        yield from found


def _mix32(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The finaliser of MurmurHash3 (32 bits)."""
    numbers = (numbers ^ (numbers >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    numbers = (numbers ^ (numbers >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return numbers ^ (numbers >> np.uint32(16))


def shared_words(one: Signature, other: Signature) -> float:
    """The part of both texts' word 1- and 2-grams that they share, as estimated by MinHash (Jaccard similarity)."""
    from datasketch import MinHash  # noqa: PLC0415 (its scipy takes a second and 69 MB: only to explain)

    first, second = (
        MinHash(seed=SEED, hashvalues=np.frombuffer(signature.minhash, "<u4"), scheme="affine32")
        for signature in (one, other)
    )
    return float(first.jaccard(second))


def _numbers(tokens: Sequence[Token]) -> bytes:
    return np.array([token.number for token in tokens], dtype="<u4").tobytes()


def _marks(tokens: Sequence[Token]) -> bytes:
    return bytes([token.mark for token in tokens])


# ---- keys ----------------------------------------------------------------------------------------


def band_keys(minhash: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The keys [n, bands] of MinHash values [n, bands * BAND_ROWS]; the same values in two bands give two keys.

    Entries without words have one MinHash and would all meet: the caller leaves them out.
    """
    rows = minhash.reshape(len(minhash), -1, BAND_ROWS).astype(np.uint64)
    keys = np.broadcast_to(np.arange(rows.shape[1], dtype=np.uint64), rows.shape[:2])
    for row in range(BAND_ROWS):
        keys = _mix(keys * np.uint64(0x9E3779B97F4A7C15) + rows[:, :, row])
    return keys


def _mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3 (64 bits): every bit of a key depends on every bit of what it is made of."""
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return keys ^ (keys >> np.uint64(33))
