"""An entry unpacked for comparing word for word: all of its signature that tells copies, and nothing else of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from aggregator.cluster.tokens import NUMBER_MARK, RARITY_MASK, RARITY_STEPS
from aggregator.types import EntryId, Signed

COMMON = 1.5
"""Rarity below which a word weighs nothing: the first dozens of function words of a language."""

WEIGHT_OF = tuple(max(0.0, rarity / RARITY_STEPS - COMMON) for rarity in range(RARITY_MASK + 1))
"""The weight of a word by its mark's rarity. All are eighths, their products sixty-fourths: sums of either are
exact, whatever the order of the set that they are summed over."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry unpacked for comparing, some 9 kB; made once, compared often."""

    id: EntryId
    at: datetime
    source_key: str
    title: Mapping[int, float]
    words: Mapping[int, float]
    title_norm: float
    title_total: float
    title_numbers: frozenset[int]
    numbers: frozenset[int]
    title_sequence: bytes
    body: bytes
    lead_pairs: frozenset[int]
    lead_length: int
    last: int
    truncated: bool


def prepare(signed: Signed) -> Prepared:
    """The entry unpacked for `copies.copy_reason`."""
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
        source_key=signed.source_key,
        title=title_weights,
        words=words,
        title_norm=math.sqrt(sum(weight * weight for weight in title_weights.values())),
        title_total=sum(title_weights.values()),
        title_numbers=title_numbers,
        numbers=title_numbers | _digits(lead, signature.lead_marks),
        title_sequence=signature.title,
        body=signature.body,
        lead_pairs=frozenset(a << 32 | b for a, b in pairwise(lead)),
        lead_length=len(lead),
        last=lead[-1] if lead else 0,
        truncated=signature.truncated,
    )


def _weights(numbers: list[int], marks: bytes) -> dict[int, float]:
    return {number: WEIGHT_OF[mark & RARITY_MASK] for number, mark in zip(numbers, marks, strict=True)}


def _digits(numbers: list[int], marks: bytes) -> frozenset[int]:
    return frozenset(number for number, mark in zip(numbers, marks, strict=True) if mark & NUMBER_MARK)
