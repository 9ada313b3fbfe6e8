"""Entries in memory as columns, one row each: their terms, times, languages and outlets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregator.cluster.columns import SignedColumns
from aggregator.cluster.meaning import MEANING
from aggregator.cluster.numbering import Numbering
from aggregator.cluster.postings import DAY_SECONDS
from aggregator.cluster.signature import LEAD_SHIFT, MOST_IN_LEAD, MOST_IN_TITLE, MOST_TERMS
from aggregator.cluster.tokens import RARITY_STEPS
from aggregator.types import EntryId

Rows = NDArray[np.int64]
"""Row numbers."""

FIRST_ROOM = 1024
LARGE = 16 << 20
"""Bytes from which a column grows by a sixteenth at a time instead of doubling: its pages are moved, not copied."""


class Column:
    """An array that grows at its end; `view` is what it holds."""

    def __init__(self, dtype: type, width: int = 0, fill: float = 0) -> None:
        self._fill = fill
        self._room: NDArray[Any] = np.zeros((FIRST_ROOM, width) if width else FIRST_ROOM, dtype)
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
            step = len(self._room) // (16 if self._room.nbytes > LARGE else 1)
            self._enlarge(max(size, len(self._room) + step))
        if self._fill and size > self._size:
            self._room[self._size : size] = self._fill
        self._size = max(self._size, size)

    def reserve(self, size: int) -> None:
        """Has room for `size`, if that is far more than it has; memory is taken where something is put."""
        if size > 2 * len(self._room):
            self._move(size)

    def _enlarge(self, length: int) -> None:
        try:
            self._room.resize((length, *self._room.shape[1:]))
        except ValueError:
            # Somebody still looks at it: what they see stays as it is.
            self._move(length)

    def _move(self, length: int) -> None:
        room = np.zeros((length, *self._room.shape[1:]), self._room.dtype)
        room[: self._size] = self._room[: self._size]
        self._room = room


class Recent:
    """A vector for each of the rows that got one last, at most so many: the oldest are forgotten first."""

    def __init__(self, dtype: type, width: int, most: int) -> None:
        self._vectors: NDArray[Any] = np.zeros((most, width), dtype)
        self._row: Rows = np.full(most, -1, dtype=np.int64)
        self._place = Column(np.int32, fill=-1)
        self._next = 0

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of rows have their vector."""
        self._place.grow(int(rows.max(initial=-1)) + 1)
        found: NDArray[np.bool_] = self._place.view[rows] >= 0
        return found

    def get(self, rows: Rows) -> NDArray[Any]:
        """The vectors [rows, width] of rows, all of which are known."""
        return self._vectors.take(self._place.view.take(rows), axis=0)

    def put(self, rows: Rows, vectors: NDArray[Any]) -> None:
        """Gives each of rows, named once each, its vector; of more than fit the last ones are kept."""
        rows, vectors = rows[-len(self._row) :], vectors[-len(self._row) :]
        known = self.known(rows)
        self._vectors[self._place.view[rows[known]]] = vectors[known]
        fresh = rows[~known]
        places = (self._next + np.arange(len(fresh))) % len(self._row)
        self._next = (self._next + len(fresh)) % len(self._row)
        forgotten = self._row[places]
        self._place.view[forgotten[forgotten >= 0]] = -1
        self._row[places], self._place.view[fresh] = fresh, places
        self._vectors[places] = vectors[~known]


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
        self._row_of = Numbering()
        self._vocabulary = Numbering()
        self._word = Column(np.uint32)
        self._languages = Codes("")
        self._outlets = Codes("")
        self._number = Column(np.int64)
        self._at = Column(np.float64)
        self._day = Column(np.int32)
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

    @property
    def vocabulary(self) -> int:
        """How many different terms there are."""
        return len(self._vocabulary)

    def reserve(self, entries: int) -> None:
        """Has room for so many more entries, if they are more than those that are here."""
        rows, terms = len(self) + entries, len(self.term) + entries * MOST_TERMS
        for column in (self._number, self._at, self._day, self._lang, self._outlet, self._content):
            column.reserve(rows)
        self._starts.reserve(rows + 1)
        for column in (self._term, self._mark, self._rarity):
            column.reserve(terms)
        if self.semantic:
            self._meaning.reserve(rows)

    def append(self, entries: SignedColumns) -> Rows:
        """The rows of entries; one that was here before is found at its new row from now on."""
        first = len(self)
        rows = np.arange(first, first + len(entries.ids), dtype=np.int64)
        self._row_of.put(entries.ids.view(np.uint64), rows.astype(np.int32))
        words = np.frombuffer(entries.terms, "<u4")
        terms = self._vocabulary.number(words.astype(np.uint64))
        self._number.extend(entries.ids)
        self._at.extend(entries.times)
        self._day.extend((entries.times // DAY_SECONDS).astype(np.int32))
        self._lang.extend(np.array(self._languages.of(entries.langs), dtype=np.int32))
        self._outlet.extend(np.array(self._outlets.of(entries.source_keys), dtype=np.int32))
        self._content.extend(entries.content_keys.view(np.uint64))
        self._starts.extend(self._starts.view[-1] + np.cumsum(entries.term_counts))
        self._term.extend(terms)
        self._word.grow(len(self._vocabulary))
        self._word.view[terms] = words
        self._mark.extend(np.frombuffer(entries.term_marks, np.uint8))
        self._rarity.extend(np.frombuffer(entries.term_rarities, np.uint8))
        if self.semantic:
            self._meaning.grow(len(self))
            meanings = np.frombuffer(entries.meanings, np.int8).reshape(-1, MEANING)
            self._meaning.view[rows[entries.encoded]] = meanings
        return rows

    def find(self, entries: Sequence[EntryId] | NDArray[np.int64]) -> NDArray[np.int32]:
        """The row of each of these entries, -1 if it is not here."""
        return self._row_of.find(np.asarray(entries, dtype=np.uint64))

    def rows_of(self, entries: Iterable[EntryId]) -> Rows:
        """The row of each of these entries, all of which are here."""
        rows: Rows = self.find(list(entries)).astype(np.int64)
        assert not len(rows) or rows.min() >= 0, "an entry is not in the window"
        return rows

    @property
    def number(self) -> NDArray[np.int64]:
        """The entry's number."""
        return self._number.view

    @property
    def content(self) -> NDArray[np.uint64]:
        """A number made of the entry's words and outlet (see `signature.content_key`)."""
        return self._content.view

    @property
    def at(self) -> NDArray[np.float64]:
        """The entry's own time, seconds since 1970."""
        return self._at.view

    @property
    def day(self) -> NDArray[np.int32]:
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

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each row's terms begin in the term columns, and where the last one's end."""
        return self._starts.view

    def spread(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every term of every row: the position in `rows`, and the position in the term columns."""
        starts = self._starts.view
        lengths = starts[rows + 1] - starts[rows]
        before = np.cumsum(lengths) - lengths
        owner = np.repeat(np.arange(len(rows)), lengths)
        return owner, np.arange(len(owner)) + np.repeat(starts[rows] - before, lengths)


RARITIES = np.arange(256) / RARITY_STEPS
"""Rarity by its byte."""

_MARKS = np.arange(256)
FREQUENCY = (
    np.log1p(2.0 * (_MARKS & MOST_IN_TITLE) + ((_MARKS >> 2) & 1) + ((_MARKS >> LEAD_SHIFT) & MOST_IN_LEAD))
    .astype(np.float32)
    .astype(np.float64)
)
"""The weight of a term by its mark: damped counts, the title counting twice."""
