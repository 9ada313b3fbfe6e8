"""Which entries have a key, near a day: sorted runs of numbers, four to eight bytes a key and entry."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAY_SECONDS = 86_400

MOST_POSTINGS = 1_000
"""Entries that one key may bring from one run of a day; the lowest rows are taken. A template sent out by the
hundred still finds its group."""

MOST_MERGED = 4_000_000
"""Postings up to which two runs become one: that takes four times their memory meanwhile, 128 MB of 4 million."""


def day_of(at: datetime) -> int:
    """The day of a time, counted from 1970-01-01 in UTC."""
    return int(at.timestamp() // DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows in the order of their keys, each key's in rising order.

    `starts`: the different keys' first places in `rows`, and its end; None if `keys` has one for each row,
    which takes less where hardly two have the same.
    """

    keys: NDArray[np.uint32]
    starts: NDArray[np.int32] | None
    rows: NDArray[np.int32]

    def keys_at(self, places: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The keys of the rows at these places."""
        if self.starts is None:
            return self.keys[places]
        return self.keys[np.searchsorted(self.starts, places, side="right") - 1]

    def all_keys(self) -> NDArray[np.uint32]:
        """One for each row."""
        return self.keys if self.starts is None else np.repeat(self.keys, np.diff(self.starts))

    def places(self, keys: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each of `keys` its first place in `rows`, and in how many it has."""
        first = np.searchsorted(self.keys, keys)
        if self.starts is None:
            return first, np.searchsorted(self.keys, keys, side="right") - first
        known = np.minimum(first, len(self.keys) - 1)
        start = self.starts[known].astype(np.int64)
        return start, np.where(self.keys[known] == keys, self.starts[known + 1] - start, 0)


class Postings:
    """Keys (numbers below 2^32) of rows, by day. Memory: at most eight bytes for each key of each row.

    What is added is sorted when it is looked for: much that comes in parts is sorted once.
    """

    def __init__(self) -> None:
        self._runs: dict[int, list[_Run]] = defaultdict(list)
        self._fresh: dict[int, list[tuple[NDArray[np.uint32], NDArray[np.int32]]]] = defaultdict(list)

    def add(self, day: int, keys: NDArray[np.uint32], rows: NDArray[np.int64]) -> None:
        """Makes `rows[i]`, of that day, findable by `keys[i]`."""
        fresh = self._fresh[day]
        fresh.append((keys, rows.astype(np.int32)))
        if sum(len(part) for part, _ in fresh) >= MOST_MERGED:
            self._sort(day)

    def _sort(self, day: int) -> None:
        parts, runs = self._fresh.pop(day), self._runs[day]
        # Each run is at least twice as long as the next: few runs to search, and a key is moved seldom.
        length = sum(len(keys) for keys, _ in parts)
        while runs and len(runs[-1].rows) < min(2 * length, MOST_MERGED - length):
            last = runs.pop()
            parts.insert(0, (last.all_keys(), last.rows))
            length += len(last.rows)
        keys, rows = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        runs.append(_sorted_run(keys, rows))

    def find(
        self, days: NDArray[np.int32], keys: NDArray[np.uint32], reach: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Pairs (position in `keys`, row): the rows with that key within `reach` days of that key's day."""
        positions, rows = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        for day in sorted(
            {day + step for day in np.unique(days).tolist() for step in range(-reach, reach + 1)}
        ):
            runs = self._runs_of(day)
            if not runs:
                continue
            near = np.flatnonzero(np.abs(days - day) <= reach)
            for run in runs:
                start, length = run.places(keys[near])
                length = np.minimum(length, MOST_POSTINGS)
                at = np.repeat(start - (np.cumsum(length) - length), length)
                at += np.arange(len(at))
                positions.append(np.repeat(near, length))
                rows.append(run.rows.take(at))
        return np.concatenate(positions), np.concatenate(rows)

    def keys_of(
        self, days: NDArray[np.int32], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
        """Pairs (position in `rows`, key): all keys by which these rows, of these days, are found."""
        place_of = np.full(int(rows.max(initial=-1)) + 2, -1, np.int32)  # the last one stands for all beyond
        place_of[rows] = np.arange(len(rows))
        positions, keys = [np.empty(0, np.int32)], [np.empty(0, np.uint32)]
        for run in (run for day in np.unique(days).tolist() for run in self._runs_of(day)):
            place = place_of.take(run.rows, mode="clip")
            there = np.flatnonzero(place >= 0)
            positions.append(place[there])
            keys.append(run.keys_at(there))
        return np.concatenate(positions), np.concatenate(keys)

    def _runs_of(self, day: int) -> list[_Run]:
        if day in self._fresh:
            self._sort(day)
        return self._runs.get(day, [])


def _sorted_run(keys: NDArray[np.uint32], rows: NDArray[np.int32]) -> _Run:
    """A run of rows that rise already."""
    order = order_of(keys & 0xFFFF, keys >> 16)
    keys, rows = keys[order], rows[order]
    starts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    if 2 * len(starts) > len(keys):
        return _Run(keys, None, rows)
    ends = np.concatenate(([0], starts, [len(keys)])).astype(np.int32)
    return _Run(keys[ends[:-1]], ends, rows)


def order_of(*digits: NDArray[Any]) -> NDArray[np.int64]:
    """The order of numbers told by their digits below 2^16, the lowest first; equal ones stay in theirs.

    Of sixteen bits at a time numpy sorts by radix: 23 ns each, where its sort of whole numbers takes 20 to 100,
    depending on the processor.
    """
    order = np.argsort(digits[0].astype(np.uint16), kind="stable")
    for digit in digits[1:]:
        if digit.any():
            order = order.take(np.argsort(digit.astype(np.uint16).take(order), kind="stable"))
    return order
