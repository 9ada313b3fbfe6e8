"""The windowed index finds what shares a key nearby in time, and only that."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.cluster.index import MOST_POSTINGS, Keyed, WindowIndex

Rows = list[tuple[int, int, int]]


def _keyed(rows: Rows) -> Keyed:
    keys, numbers, days = zip(*rows, strict=True) if rows else ((), (), ())
    return Keyed(np.array(keys, np.uint64), np.array(numbers, np.int64), np.array(days, np.int64))


def _empty(_day: int) -> Keyed:
    return _keyed([])


def _found(index: WindowIndex, rows: Rows) -> set[tuple[int, int]]:
    return {(a, b) for a, b in index.candidates(_keyed(rows)).tolist()}


def test_entries_that_share_a_key_find_each_other() -> None:
    index = WindowIndex(timedelta(days=3), _empty)
    rows = [(11, 1, 100), (11, 2, 100), (12, 3, 100)]
    index.add(_keyed(rows))
    assert _found(index, rows) == {(1, 2), (2, 1)}


def test_entries_further_apart_than_the_window_do_not_meet() -> None:
    index = WindowIndex(timedelta(days=3), _empty)
    index.add(_keyed([(11, 1, 100), (11, 2, 103), (11, 3, 104)]))
    assert _found(index, [(11, 1, 100)]) == {(1, 2)}


def test_a_restarted_index_remembers_what_the_store_holds() -> None:
    kept = {100: _keyed([(11, 1, 100)])}
    index = WindowIndex(timedelta(days=3), lambda day: kept.get(day, _keyed([])))
    index.add(_keyed([(11, 2, 101)]))
    assert _found(index, [(11, 2, 101)]) == {(2, 1)}


def test_a_day_that_was_dropped_from_memory_is_loaded_again() -> None:
    stored: dict[int, Rows] = defaultdict(list)
    index = WindowIndex(timedelta(days=1), lambda day: _keyed(stored[day]), most_keys=5)
    for day in range(0, 100, 10):
        rows = [(day, day + n, day) for n in range(3)]
        index.add(_keyed(rows))
        stored[day] = rows
        assert len(_found(index, rows)) == 6
    assert len(_found(index, stored[0])) == 6


def test_a_template_sent_by_the_thousand_brings_a_bounded_number() -> None:
    index = WindowIndex(timedelta(days=1), _empty)
    index.add(_keyed([(11, number, 5) for number in range(5000)]))
    assert len(_found(index, [(11, 9999, 5)])) == MOST_POSTINGS


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(0, 8)), max_size=60),
    st.integers(1, 7),
)
def test_batches_of_any_size_find_the_same(rows: Rows, size: int) -> None:
    day_of = {number: day for _, number, day in rows}
    rows = [(key, number, day_of[number]) for key, number, _ in rows]
    index = WindowIndex(timedelta(days=2), _empty)
    for start in range(0, len(rows), size):
        index.add(_keyed(rows[start : start + size]))
    expected = {
        (a, b)
        for key, a, day in rows
        for other_key, b, other_day in rows
        if key == other_key and a != b and abs(day - other_day) <= 2
    }
    assert _found(index, rows) == expected
