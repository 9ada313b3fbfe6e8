"""Entries in memory as columns, one row each: their terms, times, languages and outlets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from aggregator.cluster.meaning import MEANING
from aggregator.cluster.postings import day_of
from aggregator.cluster.signature import LEAD_SHIFT, MOST_IN_LEAD, MOST_IN_TITLE
from aggregator.cluster.tokens import RARITY_STEPS
from aggregator.types import EntryId, Signed

Rows = NDArray[np.int64]
"""Row numbers."""

FIRST_ROOM = 1024


class Column:
    """An array that grows at its end; `view` is what it holds."""

    def __init__(self, dtype: type, width: int = 0, fill: float = 0) -> None:
        self._fill = fill
        self._room: NDArray[Any] = np.full((FIRST_ROOM, width) if width else FIRST_ROOM, fill, dtype=dtype)
        self._size = 0

    @property
    def view(self) -> NDArray[Any]:
        """What it holds, to be read and written in place; not to be kept over an `extend`."""
        return self._room[: self._size]

    def extend(self, values: NDArray[Any]) -> None:
        """Puts values at the end."""
        self.grow(self._size + len(values))
        self._room[self._size - len(values) : self._size] = values

    def grow(self, size: int) -> None:
        """Makes it at least `size` long, filled with its fill value."""
        if size > len(self._room):
            room = np.full(
                (max(size, 2 * len(self._room)), *self._room.shape[1:]), self._fill, self._room.dtype
            )
            room[: self._size] = self._room[: self._size]
            self._room = room
        self._size = max(self._size, size)


class Codes:
    """Small numbers for values, given in the order in which they come."""

    def __init__(self, *first: object) -> None:
        self._codes: dict[object, int] = {value: number for number, value in enumerate(first)}

    def __len__(self) -> int:
        return len(self._codes)

    def of(self, values: Iterable[object]) -> list[int]:
        """The number of each value; a new value gets the next one."""
        codes = self._codes
        return [codes.setdefault(value, len(codes)) for value in values]


class Entries:
    """The entries in memory. A row's terms stand at `starts[row]` to `starts[row + 1]` of the term columns."""

    def __init__(self, *, semantic: bool = False) -> None:
        self.semantic = semantic
        self.row_of: dict[EntryId, int] = {}
        self.vocabulary = Codes()
        self._word = Column(np.uint32)
        self._languages = Codes("")
        self._outlets = Codes("")
        self._number = Column(np.int64)
        self._at = Column(np.float64)
        self._day = Column(np.int64)
        self._lang = Column(np.int32)
        self._outlet = Column(np.int32)
        self._content = Column(np.uint64)
        self._starts = Column(np.int64)
        self._starts.grow(1)
        self._term = Column(np.int32)
        self._mark = Column(np.uint8)
        self._rarity = Column(np.uint8)
        self._meaning = Column(np.int8, MEANING)

    def __len__(self) -> int:
        return len(self._number.view)

    def append(self, entries: Sequence[Signed]) -> Rows:
        """The rows of entries, none of which may be here yet."""
        first = len(self)
        rows = np.arange(first, first + len(entries), dtype=np.int64)
        self.row_of.update((entry.id, row) for row, entry in enumerate(entries, first))
        signatures = [entry.signature for entry in entries]
        lengths = np.array([len(signature.term_marks) for signature in signatures], dtype=np.int64)
        terms = np.frombuffer(b"".join(signature.terms for signature in signatures), dtype="<u4")
        self._number.extend(np.array([entry.id for entry in entries], dtype=np.int64))
        self._at.extend(np.array([entry.at.timestamp() for entry in entries]))
        self._day.extend(np.array([day_of(entry.at) for entry in entries], dtype=np.int64))
        self._lang.extend(np.array(self._languages.of(entry.lang for entry in entries), dtype=np.int32))
        self._outlet.extend(np.array(self._outlets.of(entry.source_key for entry in entries), dtype=np.int32))
        self._content.extend(np.array([_content(entry) for entry in entries], dtype=np.uint64))
        self._starts.extend(self._starts.view[-1] + np.cumsum(lengths))
        self._term.extend(np.array(self.vocabulary.of(terms.tolist()), dtype=np.int32))
        self._word.grow(len(self.vocabulary))
        self._word.view[self._term.view[len(self._term.view) - len(terms) :]] = terms
        self._mark.extend(np.frombuffer(b"".join(s.term_marks for s in signatures), dtype=np.uint8))
        self._rarity.extend(np.frombuffer(b"".join(s.term_rarity for s in signatures), dtype=np.uint8))
        if self.semantic:
            meanings = b"".join(s.meaning or bytes(MEANING) for s in signatures)
            self._meaning.extend(np.frombuffer(meanings, dtype=np.int8).reshape(-1, MEANING))
        return rows

    def rows_of(self, entries: Iterable[EntryId]) -> Rows:
        """The row of each of these entries."""
        return np.array([self.row_of[entry] for entry in entries], dtype=np.int64)

    @property
    def number(self) -> NDArray[np.int64]:
        """The entry's number."""
        return self._number.view

    @property
    def content(self) -> NDArray[np.uint64]:
        """A number made of the entry's words and outlet: ties fall the same way in whatever order entries came.

        Not of its time: of an entry without a date that is when it was fetched.
        """
        return self._content.view

    @property
    def at(self) -> NDArray[np.float64]:
        """The entry's own time, seconds since 1970."""
        return self._at.view

    @property
    def day(self) -> NDArray[np.int64]:
        """The day of its time, counted from 1970-01-01 in UTC."""
        return self._day.view

    @property
    def lang(self) -> NDArray[np.int32]:
        """Its language, 0 = unknown."""
        return self._lang.view

    @property
    def outlet(self) -> NDArray[np.int32]:
        """Its outlet, 0 = unknown."""
        return self._outlet.view

    @property
    def term(self) -> NDArray[np.int32]:
        """Terms as numbers of the vocabulary."""
        return self._term.view

    @property
    def word(self) -> NDArray[np.uint32]:
        """The number that a term of the vocabulary has in signatures."""
        return self._word.view

    @property
    def mark(self) -> NDArray[np.uint8]:
        """Where each term stands (cluster.signature)."""
        return self._mark.view

    @property
    def rarity(self) -> NDArray[np.uint8]:
        """How rare each term is in its language, in eighths, whatever the window holds."""
        return self._rarity.view

    @property
    def meaning(self) -> NDArray[np.int8]:
        """The meanings [rows, MEANING] (cluster.meaning), 0 throughout = not encoded; empty unless `semantic`."""
        found: NDArray[np.int8] = self._meaning.view
        return found

    def spread(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every term of every row: the position in `rows`, and the position in the term columns."""
        starts = self._starts.view
        lengths = starts[rows + 1] - starts[rows]
        before = np.cumsum(lengths) - lengths
        owner = np.repeat(np.arange(len(rows)), lengths)
        return owner, np.arange(len(owner)) + np.repeat(starts[rows] - before, lengths)


def _content(entry: Signed) -> int:
    signature = entry.signature
    digest = xxhash.xxh3_64()
    for part in (signature.minhash, signature.title, signature.lead, signature.body, signature.terms):
        digest.update(part)
    digest.update(f"{entry.source_key} {entry.lang} {signature.truncated}".encode())
    return digest.intdigest()


RARITIES = np.arange(256) / RARITY_STEPS
"""Rarity by its byte."""

_MARKS = np.arange(256)
FREQUENCY = np.log1p(
    2.0 * (_MARKS & MOST_IN_TITLE) + ((_MARKS >> 2) & 1) + ((_MARKS >> LEAD_SHIFT) & MOST_IN_LEAD)
).astype(np.float32)
"""The weight of a term by its mark: damped counts, the title counting twice."""
