"""Many entries by columns: a window takes in what the store holds without a Python object for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.types import Signed


@dataclass(frozen=True, slots=True)
class SignedColumns:
    """Signed entries, each field of `Signed` and its signature as a column; those of bytes one after another.

    `times`: seconds since 1970. `terms`: `term_counts` of each, with as many marks and rarities. `meanings`: of
    those that are `encoded`.
    """

    ids: NDArray[np.int64]
    source_keys: Sequence[str]
    langs: Sequence[str]
    times: NDArray[np.float64]
    content_keys: NDArray[np.int64]
    minhashes: bytes
    terms: bytes
    term_counts: NDArray[np.int64]
    term_marks: bytes
    term_rarities: bytes
    encoded: NDArray[np.bool_]
    meanings: bytes


def columns_of(entries: Sequence[Signed]) -> SignedColumns:
    """The entries by columns."""
    signatures = [entry.signature for entry in entries]
    return SignedColumns(
        ids=np.array([entry.id for entry in entries], np.int64),
        source_keys=[entry.source_key for entry in entries],
        langs=[entry.lang for entry in entries],
        times=np.array([entry.at.timestamp() for entry in entries], np.float64),
        content_keys=np.array([one.content_key for one in signatures], np.int64),
        minhashes=b"".join(one.minhash for one in signatures),
        terms=b"".join(one.terms for one in signatures),
        term_counts=np.array([len(one.term_marks) for one in signatures], np.int64),
        term_marks=b"".join(one.term_marks for one in signatures),
        term_rarities=b"".join(one.term_rarity for one in signatures),
        encoded=np.array([bool(one.meaning) for one in signatures], np.bool_),
        meanings=b"".join(one.meaning for one in signatures),
    )
