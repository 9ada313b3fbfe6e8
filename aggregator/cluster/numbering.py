"""Small numbers found by large ones, many at once: a hash table in numpy, 12 to 24 bytes a key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST_ROOM = 1024
FULL = 0.5
"""Share of the places that are taken before the table doubles: most keys are then found at the first or second."""

SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4)."""


class Numbering:
    """Values (0 to 2^31 - 1) of keys (0 to 2^64 - 1), by open addressing with linear probing."""

    def __init__(self) -> None:
        self._size = 0
        self._make_room(FIRST_ROOM)

    def __len__(self) -> int:
        return self._size

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The value of each key, -1 if it has none."""
        return self._values[self._places(keys)]

    def put(self, keys: NDArray[np.uint64], values: NDArray[np.int32]) -> None:
        """Gives each key, of which there is one each, its value; an earlier one is replaced."""
        if self._size + len(keys) > FULL * len(self._values):
            known = np.flatnonzero(self._values >= 0)
            old_keys, old_values = self._keys[known], self._values[known]
            room = len(self._values)
            while self._size + len(keys) > FULL * room:
                room *= 2
            self._make_room(room)
            self._fill(old_keys, old_values)
        fresh = int(np.count_nonzero(self.find(keys) < 0))
        self._fill(keys, values)
        self._size += fresh

    def number(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The value of each key; a new key gets the next one, from 0, in the order in which they come."""
        found = self.find(keys)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            fresh, first = np.unique(keys[missing], return_index=True)
            self.put(fresh[np.argsort(first)], np.arange(self._size, self._size + len(fresh), dtype=np.int32))
            found[missing] = self.find(keys[missing])
        return found

    def _make_room(self, room: int) -> None:
        self._keys: NDArray[np.uint64] = np.zeros(room, np.uint64)
        self._values: NDArray[np.int32] = np.full(room, -1, np.int32)
        self._shift = np.uint64(64 - (room.bit_length() - 1))

    def _places(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The place of each key, or the free one at which the search for it ends."""
        last = len(self._values) - 1
        places = ((keys * SPREAD) >> self._shift).astype(np.int64)
        open_ = np.flatnonzero((self._keys[places] != keys) & (self._values[places] >= 0))
        while len(open_):
            places[open_] = (places[open_] + 1) & last
            at = places[open_]
            open_ = open_[(self._keys[at] != keys[open_]) & (self._values[at] >= 0)]
        # A free place holds the key 0: what lies there is told by its value alone.
        return places

    def _fill(self, keys: NDArray[np.uint64], values: NDArray[np.int32]) -> None:
        while len(keys):
            places = self._places(keys)
            # Of several keys that end at one free place the last one gets it; the others search on.
            self._keys[places], self._values[places] = keys, values
            left = self._keys[places] != keys
            keys, values = keys[left], values[left]
