"""A windowed index of exact keys: which earlier entries share a key with these, near them in time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]

DAY_SECONDS = 86_400

MOST_POSTINGS = 400
"""Entries that one key may bring per day. A key that more share (a template sent out by the hundred) still
brings the lowest-numbered ones, so a copy of theirs still finds its group. No day of the development sets has
an event with more members than this."""

MOST_RUNS = 8
"""Sorted runs a day may hold before they are merged into one: few enough that a look-up stays a few binary
searches, many enough that adding stays cheap."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Entries with their keys, one key a row: the entry `numbers[i]`, published on `days[i]`, has `keys[i]`."""

    keys: Keys
    numbers: Numbers
    days: NDArray[np.int64]


Loader = Callable[[int], Keyed]
"""Gives what the store holds of one day (days since 1970-01-01 UTC), for a day that is not in memory."""


def day_of(at: datetime) -> int:
    """The day of a time, counted from 1970-01-01 in UTC."""
    return int(at.timestamp() // DAY_SECONDS)


class _Day:
    """The keys of one day as sorted runs; 16 bytes a key."""

    def __init__(self) -> None:
        self.runs: list[tuple[Keys, Numbers]] = []
        self.size = 0

    def add(self, keys: Keys, numbers: Numbers) -> None:
        if not len(keys):
            return
        self.runs.append(_sorted_run(keys, numbers))
        self.size += len(keys)
        if len(self.runs) > MOST_RUNS:
            all_keys = np.concatenate([run[0] for run in self.runs])
            all_numbers = np.concatenate([run[1] for run in self.runs])
            self.runs = [_sorted_run(all_keys, all_numbers)]

    def find(self, keys: Keys) -> list[tuple[NDArray[np.int64], Numbers]]:
        """For every run: positions in `keys`, and an entry number found for each."""
        found = []
        for run_keys, run_numbers in self.runs:
            start = np.searchsorted(run_keys, keys, side="left")
            length = np.minimum(np.searchsorted(run_keys, keys, side="right") - start, MOST_POSTINGS)
            hit = np.flatnonzero(length)
            if not len(hit):
                continue
            length = length[hit]
            within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
            found.append((np.repeat(hit, length), run_numbers[np.repeat(start[hit], length) + within]))
        return found


def _sorted_run(keys: Keys, numbers: Numbers) -> tuple[Keys, Numbers]:
    order = np.lexsort((numbers, keys))
    return keys[order], numbers[order]


class WindowIndex:
    """Candidates among all entries within `window` of one another, in the entries' own time.

    A day is loaded from the store when a look-up first needs it, and the days used longest ago are dropped when
    more than `most_keys` keys are in memory. So an archive of any time groups as it would have live, and a
    restarted program finds what it found before. Nothing is verified here: a shared key is only a reason to
    compare, and days are coarser than the window.
    """

    def __init__(self, window: timedelta, load: Loader, most_keys: int = 100_000_000) -> None:
        self._reach = int(-(-window.total_seconds() // DAY_SECONDS))
        self._load = load
        self._most_keys = most_keys
        self._days: OrderedDict[int, _Day] = OrderedDict()

    def add(self, keyed: Keyed) -> None:
        """Makes entries findable. Adding an entry twice does no harm."""
        for day in np.unique(keyed.days).tolist():
            chosen = keyed.days == day
            self._day(day).add(keyed.keys[chosen], keyed.numbers[chosen])

    def candidates(self, keyed: Keyed) -> NDArray[np.int64]:
        """Pairs (asking entry, entry found), each once, as an array [n, 2]; an entry never finds itself."""
        pairs = [np.empty((0, 2), dtype=np.int64)]
        for day in self._days_near(keyed.days):
            near = np.flatnonzero(np.abs(keyed.days - day) <= self._reach)
            for position, number in self._day(day).find(keyed.keys[near]):
                asking = keyed.numbers[near[position]]
                other = asking != number
                pairs.append(np.stack((asking[other], number[other]), axis=1))
        self._forget()
        return np.unique(np.concatenate(pairs), axis=0)

    def _days_near(self, days: NDArray[np.int64]) -> list[int]:
        reach = range(-self._reach, self._reach + 1)
        return sorted({day + step for day in np.unique(days).tolist() for step in reach})

    def _day(self, day: int) -> _Day:
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = _Day()
            stored = self._load(day)
            known.add(stored.keys, stored.numbers)
        self._days.move_to_end(day)
        return known

    def _forget(self) -> None:
        while len(self._days) > 1 and sum(day.size for day in self._days.values()) > self._most_keys:
            self._days.popitem(last=False)
