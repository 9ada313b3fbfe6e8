"""Which entries have a key, near a day: sorted runs of numbers, eight bytes a key and entry."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

DAY_SECONDS = 86_400

MOST_POSTINGS = 1_000
"""Entries that one key may bring from one run of a day; the lowest rows are taken. A template sent out by the
hundred still finds its group."""


def day_of(at: datetime) -> int:
    """The day of a time, counted from 1970-01-01 in UTC."""
    return int(at.timestamp() // DAY_SECONDS)


class Postings:
    """Keys (numbers below 2^32) of rows, by day. Memory: eight bytes for each key of each row."""

    def __init__(self) -> None:
        self._days: dict[int, list[tuple[NDArray[np.uint32], NDArray[np.int32]]]] = defaultdict(list)

    def add(self, days: NDArray[np.int64], keys: NDArray[np.uint32], rows: NDArray[np.int64]) -> None:
        """Makes `rows[i]`, of the day `days[i]`, findable by `keys[i]`."""
        for day in np.unique(days).tolist():
            chosen = np.flatnonzero(days == day)
            runs = self._days[day]
            runs.append(_sorted_run(keys[chosen], rows[chosen].astype(np.int32)))
            # Each run is at least twice as long as the next: few runs to search, and a key is moved seldom.
            while len(runs) > 1 and len(runs[-2][0]) < 2 * len(runs[-1][0]):
                last = runs.pop()
                keys_of_both = np.concatenate((runs[-1][0], last[0]))
                runs[-1] = _sorted_run(keys_of_both, np.concatenate((runs[-1][1], last[1])))

    def find(
        self, days: NDArray[np.int64], keys: NDArray[np.uint32], reach: int
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
            for run_keys, run_rows in runs:
                start = np.searchsorted(run_keys, keys[near], side="left")
                length = np.minimum(
                    np.searchsorted(run_keys, keys[near], side="right") - start, MOST_POSTINGS
                )
                hit = np.flatnonzero(length)
                length = length[hit]
                within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
                positions.append(near[np.repeat(hit, length)])
                rows.append(run_rows[np.repeat(start[hit], length) + within])
        return np.concatenate(positions), np.concatenate(rows)


def _sorted_run(
    keys: NDArray[np.uint32], rows: NDArray[np.int32]
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    order = np.lexsort((rows, keys))
    return keys[order], rows[order]
