"""An entry unpacked for comparing word for word: all of its signature that tells copies, and nothing else of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from aggregator.cluster.tokens import NUMBER_MARK, RARITY_MASK, RARITY_STEPS
from aggregator.types import EntryId, Signed

TOKEN_BYTES = 4
"""Bytes of a token's number in a signature."""

COMMON = 1.5
"""Rarity below which a word weighs nothing: the first dozens of function words of a language."""

WEIGHT_OF = tuple(max(0.0, rarity / RARITY_STEPS - COMMON) for rarity in range(RARITY_MASK + 1))
"""The weight of a word by its mark's rarity. All are eighths, their products sixty-fourths: sums of either are
exact, whatever the order of the set that they are summed over."""


@dataclass(frozen=True)
class Prepared:
    """An entry unpacked for comparing, some 4 kB; what few comparisons ask for is made when one does.

    The fields are those of its signature (types.Signature).
    """

    id: EntryId
    at: datetime
    source_key: str
    truncated: bool
    title: bytes
    title_marks: bytes
    lead: bytes
    lead_marks: bytes
    body: bytes

    @cached_property
    def title_weights(self) -> Mapping[int, float]:
        """The title's words with their weights."""
        numbers = np.frombuffer(self.title, dtype="<u4").tolist()
        return {
            number: WEIGHT_OF[mark & RARITY_MASK]
            for number, mark in zip(numbers, self.title_marks, strict=True)
        }

    @cached_property
    def title_norm(self) -> float:
        """The length of the title as a vector of weights."""
        return math.sqrt(sum(weight * weight for weight in self.title_weights.values()))

    @cached_property
    def title_total(self) -> float:
        """The sum of the title's weights."""
        return sum(self.title_weights.values())

    @cached_property
    def title_numbers(self) -> frozenset[int]:
        """The title's words that are numbers."""
        return _digits(self.title, self.title_marks)

    @cached_property
    def numbers(self) -> frozenset[int]:
        """The words of title and lead that are numbers."""
        return self.title_numbers | _digits(self.lead, self.lead_marks)

    @cached_property
    def lead_pairs(self) -> frozenset[int]:
        """The lead's pairs of words that follow one another."""
        first = np.frombuffer(self.lead, dtype="<u4").astype(np.uint64)
        return frozenset((first[:-1] << np.uint64(32) | first[1:]).tolist())

    @property
    def lead_length(self) -> int:
        """The lead's words."""
        return len(self.lead) // TOKEN_BYTES

    @property
    def last(self) -> int:
        """The lead's last word, 0 without one."""
        return int.from_bytes(self.lead[-TOKEN_BYTES:], "little")

    @property
    def words(self) -> frozenset[int]:
        """All words of title and lead."""
        return frozenset(np.frombuffer(self.title + self.lead, dtype="<u4").tolist())


def prepare(signed: Signed) -> Prepared:
    """The entry unpacked for `copies.copy_reason`."""
    told = signed.signature
    return Prepared(
        signed.id,
        signed.at,
        signed.source_key,
        told.truncated,
        told.title,
        told.title_marks,
        told.lead,
        told.lead_marks,
        told.body,
    )


def _digits(words: bytes, marks: bytes) -> frozenset[int]:
    is_number = np.frombuffer(marks, dtype=np.uint8) & NUMBER_MARK > 0
    return frozenset(np.frombuffer(words, dtype="<u4")[is_number].tolist())
