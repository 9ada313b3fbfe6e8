"""Which entries have a key, near a day: sorted runs of numbers, four to eight bytes a key and entry."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

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
    """Keys (numbers below 2^32) of rows, by day. Memory: at most eight bytes for each key of each row."""

    def __init__(self) -> None:
        self._days: dict[int, list[_Run]] = defaultdict(list)

    def add(self, days: NDArray[np.int32], keys: NDArray[np.uint32], rows: NDArray[np.int64]) -> None:
        """Makes `rows[i]`, of the day `days[i]`, findable by `keys[i]`."""
        for day in np.unique(days).tolist():
            chosen = np.flatnonzero(days == day)
            runs = self._days[day]
            keys_of_new, rows_of_new = keys[chosen], rows[chosen].astype(np.int32)
            # Each run is at least twice as long as the next: few runs to search, and a key is moved seldom.
            while runs and len(runs[-1].rows) < min(2 * len(rows_of_new), MOST_MERGED - len(rows_of_new)):
                last = runs.pop()
                keys_of_new = np.concatenate((last.all_keys(), keys_of_new))
                rows_of_new = np.concatenate((last.rows, rows_of_new))
            runs.append(_sorted_run(keys_of_new, rows_of_new))

    def find(
        self, days: NDArray[np.int32], keys: NDArray[np.uint32], reach: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Pairs (position in `keys`, row): the rows with that key within `reach` days of that key's day."""
        positions, rows = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        for day in sorted(
            {day + step for day in np.unique(days).tolist() for step in range(-reach, reach + 1)}
        ):
            runs = self._days.get(day)
            if not runs:
                continue
            near = np.flatnonzero(np.abs(days - day) <= reach)
            for run in runs:
                start, length = run.places(keys[near])
                length = np.minimum(length, MOST_POSTINGS)
                hit = np.flatnonzero(length)
                length = length[hit]
                within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
                positions.append(near[np.repeat(hit, length)])
                rows.append(run.rows[np.repeat(start[hit], length) + within])
        return np.concatenate(positions), np.concatenate(rows)


def _sorted_run(keys: NDArray[np.uint32], rows: NDArray[np.int32]) -> _Run:
    packed = (keys.astype(np.uint64) << np.uint64(32)) | rows.astype(np.uint64)
    packed.sort()
    keys, rows = (packed >> np.uint64(32)).astype(np.uint32), packed.astype(np.uint32).view(np.int32)
    starts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    if 2 * len(starts) > len(keys):
        return _Run(keys, None, rows)
    ends = np.concatenate(([0], starts, [len(keys)])).astype(np.int32)
    return _Run(keys[ends[:-1]], ends, rows)
