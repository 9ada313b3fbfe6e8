"""Many entries by columns: a window takes in what the store holds without a Python object for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from aggregator.types import Signed


@dataclass(frozen=True, slots=True)
class SignedColumns:
    """Signed entries, each field of `Signed` and its signature as a column; those of bytes one after another.

    `times`: seconds since 1970. `texts`: of each entry its title, lead and body, `text_lengths` bytes together.
    `terms`: `term_counts` of each, with as many marks and rarities. `meanings`: of those that are `encoded`.
    """

    ids: NDArray[np.int64]
    source_keys: Sequence[str]
    langs: Sequence[str]
    times: NDArray[np.float64]
    truncated: NDArray[np.bool_]
    minhashes: bytes
    texts: bytes
    text_lengths: NDArray[np.int64]
    terms: bytes
    term_counts: NDArray[np.int64]
    term_marks: bytes
    term_rarities: bytes
    encoded: NDArray[np.bool_]
    meanings: bytes


def columns_of(entries: Sequence[Signed]) -> SignedColumns:
    """The entries by columns."""
    signatures = [entry.signature for entry in entries]
    texts = [one.title + one.lead + one.body for one in signatures]
    return SignedColumns(
        ids=np.array([entry.id for entry in entries], np.int64),
        source_keys=[entry.source_key for entry in entries],
        langs=[entry.lang for entry in entries],
        times=np.array([entry.at.timestamp() for entry in entries], np.float64),
        truncated=np.array([one.truncated for one in signatures], np.bool_),
        minhashes=b"".join(one.minhash for one in signatures),
        texts=b"".join(texts),
        text_lengths=np.array([len(text) for text in texts], np.int64),
        terms=b"".join(one.terms for one in signatures),
        term_counts=np.array([len(one.term_marks) for one in signatures], np.int64),
        term_marks=b"".join(one.term_marks for one in signatures),
        term_rarities=b"".join(one.term_rarity for one in signatures),
        encoded=np.array([bool(one.meaning) for one in signatures], np.bool_),
        meanings=b"".join(one.meaning for one in signatures),
    )


def contents_of(entries: SignedColumns) -> NDArray[np.uint64]:
    """A number made of each entry's words and outlet: ties fall the same way in whatever order entries came.

    Not of its time: of an entry without a date that is when it was fetched.
    """
    count = len(entries.ids)
    told = list(zip(entries.source_keys, entries.langs, entries.truncated.tolist(), strict=True))
    # Outlets are few: what is told of each is written once.
    written = {one: f"{one[0]} {one[1]} {one[2]}".encode() for one in set(told)}
    parts = zip(
        _pieces(entries.minhashes, np.full(count, len(entries.minhashes) // max(1, count))),
        _pieces(entries.texts, entries.text_lengths),
        _pieces(entries.terms, 4 * entries.term_counts),
        map(written.__getitem__, told),
        strict=True,
    )
    return np.fromiter((xxhash.xxh3_64_intdigest(b"".join(part)) for part in parts), np.uint64, count)


def _pieces(whole: bytes, lengths: NDArray[np.int64]) -> list[bytes]:
    ends = np.cumsum(lengths)
    return [whole[start:end] for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
