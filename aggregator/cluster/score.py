"""Two entries compared: are they copies, and how probably do they tell the same event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

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

LEAST_SAID = 8.0
"""Sum of rarities above COMMON that an entry needs to be told from others: "News in brief" has 5, a headline of
three content words about 9."""

NAME_RARITY = 5.0
"""Rarity from which a word is most often a name or a term."""

FEWEST_SHARED = 3
"""Different words that copies share at the least: below, nothing else needs to be looked at."""

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
    minhash: NDArray[np.uint32]
    title: Mapping[int, float]
    words: Mapping[int, float]
    title_norm: float
    words_norm: float
    title_total: float
    words_total: float
    title_numbers: frozenset[int]
    numbers: frozenset[int]
    title_sequence: tuple[int, ...]
    body: tuple[int, ...]
    lead_pairs: frozenset[int]
    lead_length: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two entries have in common. `reason` is a sentence for people; most `features` are in [0, 1]."""

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
        minhash=np.frombuffer(signature.minhash, dtype="<u4"),
        title=title_weights,
        words=words,
        title_norm=math.sqrt(sum(weight * weight for weight in title_weights.values())),
        words_norm=math.sqrt(sum(weight * weight for weight in words.values())),
        title_total=sum(title_weights.values()),
        words_total=sum(words.values()),
        title_numbers=title_numbers,
        numbers=title_numbers | _digits(lead, signature.lead_marks),
        title_sequence=tuple(title),
        body=tuple(np.frombuffer(signature.body, dtype="<u4").tolist()),
        lead_pairs=frozenset(a << 32 | b for a, b in pairwise(lead)),
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
    if len(a.words.keys() & b.words.keys()) < FEWEST_SHARED or _numbers_conflict(a, b):
        return ""
    shorter = min(a.lead_length, b.lead_length)
    shared = _containment(a.lead_pairs, b.lead_pairs)
    if shorter >= COPY_TOKENS and shared >= COPY_CONTAINMENT:
        return f"{shared:.0%} of the shorter text's beginning stands in the other"
    if shorter >= SHORT_TOKENS and shared >= SHORT_CONTAINMENT and _titles_alike(a, b):
        return f"alike titles, and {shared:.0%} of the shorter text stands in the other"
    if _is_start(a, b) and (min(len(a.body), len(b.body)) >= 2 * SHORT_TOKENS or _titles_alike(a, b)):
        return "one text is the start of the other"
    if _same_title(a, b) and (not shorter or shared >= 0.3):
        return "the same title" + (
            ", and no text that speaks against it" if not shorter else " and alike texts"
        )
    return ""


def _numbers_conflict(a: Prepared, b: Prepared) -> bool:
    """Two days of a series, two scores, two prices: a template filled in anew, or an update."""
    if a.title_numbers != b.title_numbers and a.title_numbers and b.title_numbers:
        return True
    both = a.numbers | b.numbers
    if len(a.numbers) < 2 or len(b.numbers) < 2 or not both:
        return False
    return len(a.numbers & b.numbers) < 0.5 * min(len(a.numbers), len(b.numbers))


def _is_start(a: Prepared, b: Prepared) -> bool:
    if a.body[:SHORT_TOKENS] != b.body[:SHORT_TOKENS]:
        return False
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


def _containment(a: frozenset[int], b: frozenset[int]) -> float:
    shorter = min(len(a), len(b))
    return len(a & b) / shorter if shorter else 0.0


def _titles_alike(a: Prepared, b: Prepared) -> bool:
    """Whether the titles' rarity-weighted cosine is at least a half."""
    # Summed in order of the words' numbers: a sum of floats in another order may differ in its last bit.
    shared = sum(a.title[word] * b.title[word] for word in sorted(a.title.keys() & b.title.keys()))
    return shared > 0 and shared >= 0.5 * a.title_norm * b.title_norm


# ---- the same event ------------------------------------------------------------------------------


def features(a: Prepared, b: Prepared) -> dict[str, float]:
    """What the probability is made of; symmetric in `a` and `b`."""
    title = words = one = other = rarest = 0.0
    names = 0
    for word in sorted(a.words.keys() & b.words.keys()):
        weight = a.words[word]
        words += weight * b.words[word]
        names += weight >= NAME_RARITY - COMMON
        in_a, in_b = a.title.get(word, 0.0), b.title.get(word, 0.0)
        one += in_a
        other += in_b
        if in_a and in_b:
            title += in_a * in_b
            rarest = max(rarest, in_a)
    one, other = one / (a.title_total or 1.0), other / (b.title_total or 1.0)
    words /= a.words_norm * b.words_norm or 1.0
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
    total = BIAS + sum(WEIGHTS[name] * value for name, value in measured.items())
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def judge(a: Prepared, b: Prepared) -> tuple[float, bool]:
    """The probability that both tell the same event, and whether they are copies: `compare` without its words."""
    if copy_reason(a, b):
        return 1.0, True
    if _never(a, b):
        return 0.0, False
    return probability_of(features(a, b)), False


def compare(a: Prepared, b: Prepared) -> Comparison:
    """The two compared: symmetric, and the same on every machine and day."""
    probability, is_copy = judge(a, b)
    measured = features(a, b)
    copied = copy_reason(a, b)
    reason = f"copies: {copied}" if copied else _never(a, b) or _reason(probability, measured)
    return Comparison(probability, is_copy, reason, measured)


def _never(a: Prepared, b: Prepared) -> str:
    """Why two entries that are no copies are never joined, whatever their words say, "" if they may be.

    Daily weather, closing prices, "Day 21", "The week in pictures": an outlet fills one template in anew.
    """
    if a.lang and b.lang and a.lang != b.lang:
        return f"different languages ({a.lang}, {b.lang}) are not compared"
    if min(a.words_total, b.words_total) < LEAST_SAID:
        return "too few telling words to say"
    if a.source_key == b.source_key and a.source_key != "":
        if a.title_numbers and b.title_numbers and a.title_numbers != b.title_numbers:
            return "titles of one outlet that differ in their numbers: items of a series"
        if a.title_sequence and a.title_sequence == b.title_sequence:
            return "one title over two texts of one outlet: items of a series"
    return ""


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
