"""Two entries compared: are they copies, and how probably do they tell the same event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from operator import mul

from aggregator.cluster.prepared import COMMON, Prepared, prepare
from aggregator.cluster.weights import BIAS, WEIGHTS

__all__ = [
    "RELATED",
    "SAME_EVENT",
    "Comparison",
    "Prepared",
    "compare",
    "copy_reason",
    "features",
    "judge",
    "prepare",
    "probability_of",
]

SAME_EVENT = 0.9
"""Probability from which two entries may be joined. Chosen on the first halves of the sets the weights were fitted
on, as the lowest step of .05 at which .93 of the pairs there are true; those sets have no times, so that eight
years of look-alikes compete in one window, and with times more are true. docs/benchmarks.md has the other halves.
To be chosen again when the weights change: a false merge hides a story, a missed one only repeats it."""

RELATED = 0.35
"""Probability from which an event is worth showing beside another."""

TOKEN_BYTES = 4
"""Bytes of a token's number in a signature."""

LEAST_SAID = 8.0
"""Sum of rarities above COMMON that an entry needs to be told from others: "News in brief" has 5, a headline of
three content words about 9."""

NAME_WEIGHT = 5.0 - COMMON
"""Weight from which a word is most often a name or a term: those of rarity 5."""

FEWEST_SHARED = 3
"""Different words that copies share at the least: below, nothing else needs to be looked at."""

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
"""Numbers on either side that the other text lacks, from which two outlets' texts are no copies. Within one outlet
one is enough: a template filled in anew keeps all its other words."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two entries have in common. `reason` is a sentence for people; most `features` are in [0, 1]."""

    probability: float
    is_copy: bool
    reason: str
    features: Mapping[str, float]


# ---- copies --------------------------------------------------------------------------------------


def copy_reason(a: Prepared, b: Prepared) -> str:
    """Why the two are the same text (or one the cut start of the other), "" if they are not."""
    return _copy_reason(a, b, a.words.keys() & b.words.keys())


def _copy_reason(a: Prepared, b: Prepared, words: AbstractSet[int]) -> str:
    if len(words) < FEWEST_SHARED or _titles_conflict(a, b):
        return ""
    shared = _containment(a.lead_pairs, b.lead_pairs)
    return _text_copied(a, b, shared) or _title_copied(a, b, shared)


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
        and not any(a.title[word] for word in a.title.keys() & b.title.keys())
    )


def _is_start(a: Prepared, b: Prepared) -> bool:
    # The last word of a cut text may be half a word.
    known = min(len(a.body), len(b.body)) - TOKEN_BYTES
    return known >= SHORT_TOKENS * TOKEN_BYTES and a.body[:known] == b.body[:known]


def _same_title(a: Prepared, b: Prepared) -> bool:
    if (
        a.title_sequence != b.title_sequence
        or len(a.title_sequence) < TITLE_TOKENS * TOKEN_BYTES
        or _is_column(a, b)
    ):
        return False
    return min(a.title_total, b.title_total) >= TITLE_RARITY - COMMON * len(a.title)


def _is_column(a: Prepared, b: Prepared) -> bool:
    """Whether one outlet's title stands over two texts: what is written under it every day is another every day."""
    if not _one_outlet(a, b) or not a.title_sequence or a.title_sequence != b.title_sequence:
        return False
    return bool(a.lead_length and b.lead_length) or (
        a.lead_length != b.lead_length and abs(a.at - b.at) >= COLUMN_APART
    )


def _containment(a: frozenset[int], b: frozenset[int]) -> float:
    shorter = min(len(a), len(b))
    return len(a & b) / shorter if shorter else 0.0


def _titles_alike(a: Prepared, b: Prepared) -> bool:
    """Whether the titles' rarity-weighted cosine is at least a half."""
    shared = sum([a.title[word] * b.title[word] for word in a.title.keys() & b.title.keys()])
    return shared > 0 and shared >= 0.5 * a.title_norm * b.title_norm


# ---- the same event ------------------------------------------------------------------------------


def features(a: Prepared, b: Prepared) -> dict[str, float]:
    """What the probability is made of; symmetric in `a` and `b`."""
    return _features(a, b, a.words.keys() & b.words.keys())


def _features(a: Prepared, b: Prepared, shared: AbstractSet[int]) -> dict[str, float]:
    title = words = one = other = rarest = 0.0
    names = 0
    words_a, words_b, title_a, title_b = a.words, b.words, a.title, b.title
    for word in shared:
        weight, weight_b = words_a[word], words_b[word]
        words += weight * weight_b
        # A word has one rarity in a language: the two differ where one entry's language is unknown.
        names += weight >= NAME_WEIGHT and weight_b >= NAME_WEIGHT
        if word in title_a:
            in_a = title_a[word]
            one += in_a
            if word in title_b:
                in_b = title_b[word]
                title += in_a * in_b
                rarest = max(rarest, min(in_a, in_b))
        if word in title_b:
            other += title_b[word]
    words /= a.words_norm * b.words_norm or 1.0
    one, other = one / (a.title_total or 1.0), other / (b.title_total or 1.0)
    length = math.log1p(min(a.lead_length, b.lead_length)) / math.log1p(60)
    differ = bool(a.title_numbers and b.title_numbers) and not a.title_numbers & b.title_numbers
    return {
        "title": title / (a.title_norm * b.title_norm or 1.0),
        "words": words,
        "words with text": words * length,
        "title in the other's text, better": max(one, other),
        "title in the other's text, worse": min(one, other),
        "shared names": min(math.log1p(names), 3.0) / 3.0,
        "rarest shared title word": rarest / 5.5,
        "shared numbers": min(len(a.numbers & b.numbers), 3) / 3.0,
        "titles' numbers differ": float(differ),
    }


def probability_of(measured: Mapping[str, float]) -> float:
    """The logistic of the weighted features."""
    total = BIAS + math.fsum(map(mul, map(WEIGHTS.__getitem__, measured), measured.values()))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def judge(a: Prepared, b: Prepared) -> tuple[float, bool]:
    """The probability that both tell the same event, and whether they are copies: `compare` without its words."""
    shared = a.words.keys() & b.words.keys()
    if _copy_reason(a, b, shared):
        return 1.0, True
    if _never(a, b):
        return 0.0, False
    return probability_of(_features(a, b, shared)), False


def compare(a: Prepared, b: Prepared) -> Comparison:
    """The two compared: symmetric, and the same on every machine and day."""
    probability, is_copy = judge(a, b)
    measured = features(a, b)
    reason = f"copies: {copy_reason(a, b)}" if is_copy else _never(a, b) or _reason(probability, measured)
    return Comparison(probability, is_copy, reason, measured)


def _never(a: Prepared, b: Prepared) -> str:
    """Why two entries that are no copies are never joined, whatever their words say, "" if they may be.

    Daily weather, closing prices, "Day 21", "The week in pictures": an outlet fills one template in anew.
    """
    if a.lang and b.lang and a.lang != b.lang:
        return f"different languages ({a.lang}, {b.lang}) are not compared"
    if min(a.words_total, b.words_total) < LEAST_SAID:
        return "too few telling words to say"
    if _one_outlet(a, b) and _titles_conflict(a, b) and _titles_alike(a, b):
        return "titles of one outlet that differ in their numbers: items of a series"
    if _is_column(a, b):
        return "one title over two texts of one outlet: items of a series"
    return ""


def _reason(probability: float, measured: Mapping[str, float]) -> str:
    parts = [
        f"titles {measured['title']:.0%} alike",
        f"texts {measured['words']:.0%} alike",
    ]
    if names := round(math.expm1(measured["shared names"] * 3.0)):
        parts.append("1 rare word shared" if names == 1 else f"{names} rare words shared")
    if measured["titles' numbers differ"]:
        parts.append("different numbers in the titles")
    return f"{probability:.0%} likely the same event: " + ", ".join(parts)
