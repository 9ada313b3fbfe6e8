"""An entry unpacked for comparing word for word: all of its signature that tells copies, and nothing else of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.tokens import NUMBER_MARK, RARITY_MASK, RARITY_STEPS
from aggregator.types import EntryId, Signed

COMMON = 1.5
"""Rarity below which a word weighs nothing: the first dozens of function words of a language."""

WEIGHT_OF = tuple(max(0.0, rarity / RARITY_STEPS - COMMON) for rarity in range(RARITY_MASK + 1))
"""The weight of a word by its mark's rarity. All are eighths, their products sixty-fourths: sums of either are
exact, whatever the order of the set that they are summed over."""

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Prepared:
    """An entry unpacked for comparing, some 4 kB; what few comparisons ask for is made when one does."""

    id: EntryId
    at: datetime
    source_key: str
    title_numbers: frozenset[int]
    numbers: frozenset[int]
    title_sequence: bytes
    title_marks: bytes
    lead_sequence: bytes
    body: bytes
    lead_pairs: frozenset[int]
    lead_length: int
    last: int
    truncated: bool

    @cached_property
    def title(self) -> Mapping[int, float]:
        """The title's words with their weights."""
        numbers = np.frombuffer(self.title_sequence, dtype="<u4").tolist()
        return {
            number: WEIGHT_OF[mark & RARITY_MASK]
            for number, mark in zip(numbers, self.title_marks, strict=True)
        }

    @cached_property
    def title_norm(self) -> float:
        """The length of the title as a vector of weights."""
        return math.sqrt(sum(weight * weight for weight in self.title.values()))

    @cached_property
    def title_total(self) -> float:
        """The sum of the title's weights."""
        return sum(self.title.values())

    @property
    def words(self) -> frozenset[int]:
        """All words of title and lead."""
        return frozenset(np.frombuffer(self.title_sequence + self.lead_sequence, dtype="<u4").tolist())


def prepare(signed: Signed) -> Prepared:
    """The entry unpacked for `copies.copy_reason`."""
    signature = signed.signature
    title = np.frombuffer(signature.title, dtype="<u4")
    lead = np.frombuffer(signature.lead, dtype="<u4")
    title_numbers = _digits(title, signature.title_marks)
    first = lead.astype(np.uint64)
    return Prepared(
        id=signed.id,
        at=signed.at,
        source_key=signed.source_key,
        title_numbers=title_numbers,
        numbers=title_numbers | _digits(lead, signature.lead_marks),
        title_sequence=signature.title,
        title_marks=signature.title_marks,
        lead_sequence=signature.lead,
        body=signature.body,
        lead_pairs=frozenset((first[:-1] << np.uint64(32) | first[1:]).tolist()),
        lead_length=len(lead),
        last=int(lead[-1]) if len(lead) else 0,
        truncated=signature.truncated,
    )


def _digits(numbers: NDArray[np.uint32], marks: bytes) -> frozenset[int]:
    found = np.frombuffer(marks, dtype=np.uint8) & NUMBER_MARK
    return frozenset(numbers[found > 0].tolist()) if found.any() else _NONE
