"""Two entries compared: are they copies, and how probably do they tell the same event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from aggregator.cluster.signature import NUMBER_MARK, RARITY_MASK
from aggregator.cluster.tokens import RARITY_STEPS
from aggregator.cluster.weights import BIAS, WEIGHTS
from aggregator.types import EntryId, Signed

SAME_EVENT = 0.9
"""Probability from which two entries may be joined. Chosen on the first halves of the sets the weights were fitted
on, as the lowest step of .05 at which .93 of the pairs there are true; those sets have no times, so that eight
years of look-alikes compete in one window, and with times more are true. docs/benchmarks.md has the other halves.
To be chosen again when the weights change: a false merge hides a story, a missed one only repeats it."""

RELATED = 0.35
"""Probability from which an event is worth showing beside another."""

COMMON = 1.5
"""Rarity below which a word weighs nothing: the first dozens of function words of a language."""

NAME_RARITY = 5.0
"""Rarity from which a word is most often a name or a term."""

COPY_CONTAINMENT = 0.8
COPY_TOKENS = 24
SHORT_CONTAINMENT = 0.9
SHORT_TOKENS = 8
TITLE_TOKENS = 5
TITLE_RARITY = 18.0
"""A title alone makes a copy if it has so many words and their rarities add up to this: "Evening news in brief"
does not, "Veldmark lights its lamp again after eleven years" does."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry unpacked for comparing, some 4 kB; made once, compared often."""

    id: EntryId
    at: datetime
    lang: str
    source_key: str
    order: tuple[object, ...]
    title: Mapping[int, float]
    words: Mapping[int, float]
    title_norm: float
    words_norm: float
    title_total: float
    title_numbers: frozenset[int]
    numbers: frozenset[int]
    title_sequence: tuple[int, ...]
    body: tuple[int, ...]
    lead_pairs: frozenset[tuple[int, int]]
    all_pairs: frozenset[tuple[int, int]]
    lead_length: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two entries have in common. `reason` is a sentence for people; `features` are named and in [0, 1]-ish."""

    probability: float
    is_copy: bool
    reason: str
    features: Mapping[str, float]


def prepare(signed: Signed) -> Prepared:
    """The entry unpacked for `compare`."""
    signature = signed.signature
    title = np.frombuffer(signature.title, dtype="<u4").tolist()
    lead = np.frombuffer(signature.lead, dtype="<u4").tolist()
    title_weights = _weights(title, signature.title_marks)
    words = _weights(lead, signature.lead_marks)
    for number, weight in title_weights.items():
        words[number] = max(weight, words.get(number, 0.0))
    title_numbers = _digits(title, signature.title_marks)
    return Prepared(
        id=signed.id,
        at=signed.at,
        lang=signed.lang,
        source_key=signed.source_key,
        order=(signed.at, signature.minhash, signature.title, signature.lead, signed.source_key, signed.id),
        title=title_weights,
        words=words,
        title_norm=math.sqrt(sum(weight * weight for weight in title_weights.values())),
        words_norm=math.sqrt(sum(weight * weight for weight in words.values())),
        title_total=sum(title_weights.values()),
        title_numbers=title_numbers,
        numbers=title_numbers | _digits(lead, signature.lead_marks),
        title_sequence=tuple(title),
        body=tuple(np.frombuffer(signature.body, dtype="<u4").tolist()),
        lead_pairs=frozenset(pairwise(lead)),
        all_pairs=frozenset(pairwise((*title, *lead))),
        lead_length=len(lead),
        truncated=signature.truncated,
    )


def _weights(numbers: list[int], marks: bytes) -> dict[int, float]:
    return {
        number: max(0.0, (mark & RARITY_MASK) / RARITY_STEPS - COMMON)
        for number, mark in zip(numbers, marks, strict=True)
    }


def _digits(numbers: list[int], marks: bytes) -> frozenset[int]:
    return frozenset(number for number, mark in zip(numbers, marks, strict=True) if mark & NUMBER_MARK)


# ---- copies --------------------------------------------------------------------------------------


def copy_reason(a: Prepared, b: Prepared) -> str:
    """Why the two are the same text (or one the cut start of the other), "" if they are not."""
    if _numbers_conflict(a, b):
        return ""
    shorter = min(a.lead_length, b.lead_length)
    title = _cosine(a.title, b.title, a.title_norm, b.title_norm)
    shared = _containment(a.lead_pairs, b.lead_pairs)
    if shorter >= COPY_TOKENS and shared >= COPY_CONTAINMENT:
        return f"{shared:.0%} of the shorter text's beginning stands in the other"
    if shorter >= SHORT_TOKENS and shared >= SHORT_CONTAINMENT and title >= 0.5:
        return f"alike titles, and {shared:.0%} of the shorter text stands in the other"
    if _is_start(a, b) and (title >= 0.5 or min(len(a.body), len(b.body)) >= 2 * SHORT_TOKENS):
        return "one text is the start of the other"
    if _same_title(a, b) and (not shorter or shared >= 0.3):
        return "the same title" + (
            ", and no text that speaks against it" if not shorter else " and alike texts"
        )
    return ""


def _numbers_conflict(a: Prepared, b: Prepared) -> bool:
    """ "Day 21" and "Day 22", two scores, two prices: a template that was filled in anew, or an update."""
    if a.title_numbers != b.title_numbers and a.title_numbers and b.title_numbers:
        return True
    both = a.numbers | b.numbers
    if len(a.numbers) < 2 or len(b.numbers) < 2 or not both:
        return False
    return len(a.numbers & b.numbers) < 0.5 * min(len(a.numbers), len(b.numbers))


def _is_start(a: Prepared, b: Prepared) -> bool:
    shorter, longer = sorted((a.body, b.body), key=len)
    # The last word of a cut text may be half a word.
    known = shorter[:-1]
    return len(known) >= SHORT_TOKENS and longer[: len(known)] == known


def _same_title(a: Prepared, b: Prepared) -> bool:
    if a.title_sequence != b.title_sequence or len(a.title_sequence) < TITLE_TOKENS:
        return False
    # A column that an outlet writes under one title every day is another text every day.
    columns = a.source_key == b.source_key and a.source_key != "" and bool(a.lead_length or b.lead_length)
    return not columns and a.title_total >= TITLE_RARITY - COMMON * len(a.title)


def _containment(a: frozenset[tuple[int, int]], b: frozenset[tuple[int, int]]) -> float:
    shorter = min(len(a), len(b))
    return len(a & b) / shorter if shorter else 0.0


def _cosine(a: Mapping[int, float], b: Mapping[int, float], a_norm: float, b_norm: float) -> float:
    if not a_norm or not b_norm:
        return 0.0
    # Summed in order of the words' numbers: a float sum in another order may differ in its last bit.
    return sum(a[word] * b[word] for word in sorted(a.keys() & b.keys())) / (a_norm * b_norm)


# ---- the same event ------------------------------------------------------------------------------


def features(a: Prepared, b: Prepared) -> dict[str, float]:
    """What the probability is made of; symmetric in `a` and `b`."""
    one, other = (
        _shared_weight(a.title, b.words, a.title_total),
        _shared_weight(b.title, a.words, b.title_total),
    )
    both = sorted(a.words.keys() & b.words.keys())
    names = sum(1 for word in both if a.words[word] >= NAME_RARITY - COMMON)
    rarest_title = max((a.title[word] for word in a.title.keys() & b.title.keys()), default=0.0)
    numbers = len(a.numbers & b.numbers)
    length = math.log1p(min(a.lead_length, b.lead_length)) / math.log1p(60)
    title = _cosine(a.title, b.title, a.title_norm, b.title_norm)
    words = _cosine(a.words, b.words, a.words_norm, b.words_norm)
    return {
        "title": title,
        "words": words,
        "words with text": words * length,
        "title in the other's text, better": max(one, other),
        "title in the other's text, worse": min(one, other),
        "shared names": min(math.log1p(names), 3.0) / 3.0,
        "rarest shared title word": rarest_title / 5.5,
        "shared numbers": min(numbers, 3) / 3.0,
        "titles' numbers differ": float(
            bool(a.title_numbers and b.title_numbers and not a.title_numbers & b.title_numbers)
        ),
    }


def _is_series(a: Prepared, b: Prepared) -> bool:
    """Daily weather, closing prices, "Day 21": an outlet fills one template in anew, with other numbers."""
    same_outlet = a.source_key == b.source_key and a.source_key != ""
    return same_outlet and bool(a.title_numbers and b.title_numbers) and a.title_numbers != b.title_numbers


def _shared_weight(title: Mapping[int, float], words: Mapping[int, float], total: float) -> float:
    return sum(title[word] for word in sorted(title.keys() & words.keys())) / total if total else 0.0


def probability_of(measured: Mapping[str, float]) -> float:
    """The logistic of the weighted features."""
    total = BIAS + sum(WEIGHTS[name] * value for name, value in measured.items())
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def compare(a: Prepared, b: Prepared) -> Comparison:
    """The two compared: symmetric, and the same on every machine and day."""
    copied = copy_reason(a, b)
    measured = features(a, b)
    if copied:
        return Comparison(1.0, True, f"copies: {copied}", measured)
    if a.lang and b.lang and a.lang != b.lang:
        return Comparison(0.0, False, f"different languages ({a.lang}, {b.lang}) are not compared", measured)
    if _is_series(a, b):
        return Comparison(
            0.0, False, "titles of one outlet that differ in their numbers: items of a series", measured
        )
    probability = probability_of(measured)
    return Comparison(probability, False, _reason(probability, measured), measured)


def _reason(probability: float, measured: Mapping[str, float]) -> str:
    parts = [
        f"titles {measured['title']:.0%} alike",
        f"texts {measured['words']:.0%} alike",
    ]
    if measured["shared names"]:
        parts.append(f"{round(math.expm1(measured['shared names'] * 3.0))} rare words shared")
    if measured["titles' numbers differ"]:
        parts.append("different numbers in the titles")
    return f"{probability:.0%} likely the same event: " + ", ".join(parts)
