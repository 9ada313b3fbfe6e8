"""Two entries compared word for word: copies, one the cut or edited text of the other."""

from __future__ import annotations

from datetime import timedelta

from aggregator.cluster.prepared import COMMON, TOKEN_BYTES, Prepared

FEWEST_SHARED = 3
"""Different words that copies share at the least."""

COPY_CONTAINMENT = 0.8
COPY_TOKENS = 24
SHORT_CONTAINMENT = 0.9
SHORT_TOKENS = 8
"""Share of the shorter text's pairs of words that a copy has, and words that the shorter text needs for it: one
word changed in ten spares .8 of the pairs. Short texts need more, and alike titles: eight words say little."""

ALIKE_TEXTS = 0.3
"""Shared pairs of words that two texts under one title need to be copies: two summaries that quote one another."""

STANDING_TOKENS = 40
"""Words from which a text is no standing note of an outlet any more."""

TITLE_TOKENS = 5
TITLE_RARITY = 18.0
"""A title alone makes a copy if it has so many words and their rarities add up to this: "Evening news in brief"
does not, "Veldmark lights its lamp again after eleven years" does."""

COLUMN_APART = timedelta(hours=12)
"""A headline without a text and the same headline over a text are one item of one outlet up to this time apart;
columns and daily series come back after a day."""

OTHER_NUMBERS = 2
"""Numbers on either side that the other text lacks, from which two outlets' texts are no copies. Within one
outlet one is enough: a template filled in anew keeps all its other words."""


def copy_reason(a: Prepared, b: Prepared) -> str:
    """Why the two are the same text (or one the cut start of the other), "" if they are not."""
    shared = _containment(a.lead_pairs, b.lead_pairs)
    reason = _text_copied(a, b, shared) or _title_copied(a, b, shared)
    if not reason or _titles_conflict(a, b) or len(a.words & b.words) < FEWEST_SHARED:
        return ""
    return reason


def _text_copied(a: Prepared, b: Prepared, shared: float) -> str:
    shorter = min(a.lead_length, b.lead_length)
    if shared >= COPY_CONTAINMENT and not _numbers_conflict(a, b) and not _standing_note(a, b):
        if shorter >= COPY_TOKENS:
            return f"{shared:.0%} of the shorter text's beginning stands in the other"
        if shorter >= SHORT_TOKENS and shared >= SHORT_CONTAINMENT and _titles_alike(a, b):
            return f"alike titles, and {shared:.0%} of the shorter text stands in the other"
    if _is_start(a, b):
        long_enough = min(len(a.body), len(b.body)) >= 2 * SHORT_TOKENS * TOKEN_BYTES and not _standing_note(
            a, b
        )
        if long_enough or _titles_alike(a, b):
            return "one text is the start of the other"
    return ""


def _title_copied(a: Prepared, b: Prepared, shared: float) -> str:
    if not _same_title(a, b) or _numbers_conflict(a, b):
        return ""
    if not a.lead_length or not b.lead_length:
        return "the same title, and no text that speaks against it"
    return "the same title and alike texts" if shared >= ALIKE_TEXTS else ""


def _titles_conflict(a: Prepared, b: Prepared) -> bool:
    """Two days of a series, two scores, two prices in the titles."""
    return bool(a.title_numbers and b.title_numbers) and a.title_numbers != b.title_numbers


def _numbers_conflict(a: Prepared, b: Prepared) -> bool:
    """Whether each has numbers that the other lacks: a template filled in anew, or an update."""
    if not a.numbers or not b.numbers:
        return False
    # The last word of a cut text may be half a number.
    of_a, of_b = len(a.numbers - b.numbers - {a.last}), len(b.numbers - a.numbers - {b.last})
    return min(of_a, of_b) >= (1 if _one_outlet(a, b) else OTHER_NUMBERS)


def _one_outlet(a: Prepared, b: Prepared) -> bool:
    return a.source_key == b.source_key and a.source_key != ""


def _standing_note(a: Prepared, b: Prepared) -> bool:
    """One outlet's words under headlines that share nothing telling: "Read the whole story in our app"."""
    return (
        _one_outlet(a, b)
        and min(a.lead_length, b.lead_length) < STANDING_TOKENS
        and bool(a.title_total and b.title_total)
        and not any(
            a.title_weights[word] and b.title_weights[word]
            for word in a.title_weights.keys() & b.title_weights.keys()
        )
    )


def _is_start(a: Prepared, b: Prepared) -> bool:
    # The last word of a cut text may be half a word.
    known = min(len(a.body), len(b.body)) - TOKEN_BYTES
    return known >= SHORT_TOKENS * TOKEN_BYTES and a.body[:known] == b.body[:known]


def _same_title(a: Prepared, b: Prepared) -> bool:
    if a.title != b.title or len(a.title) < TITLE_TOKENS * TOKEN_BYTES or _is_column(a, b):
        return False
    return min(a.title_total, b.title_total) >= TITLE_RARITY - COMMON * len(a.title_weights)


def _is_column(a: Prepared, b: Prepared) -> bool:
    """Whether one outlet's title stands over two texts: what is written under it every day is another every day."""
    if not _one_outlet(a, b) or not a.title or a.title != b.title:
        return False
    return bool(a.lead_length and b.lead_length) or (
        a.lead_length != b.lead_length and abs(a.at - b.at) >= COLUMN_APART
    )


def _containment(a: frozenset[int], b: frozenset[int]) -> float:
    shorter = min(len(a), len(b))
    return len(a & b) / shorter if shorter else 0.0


def _titles_alike(a: Prepared, b: Prepared) -> bool:
    """Whether the titles' rarity-weighted cosine is at least a half."""
    one, other = a.title_weights, b.title_weights
    shared = sum([one[word] * other[word] for word in one.keys() & other.keys()])
    return shared > 0 and shared >= 0.5 * a.title_norm * b.title_norm
