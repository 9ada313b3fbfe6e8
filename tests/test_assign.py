"""Which entries end together, and which event ids they keep."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.cluster.assign import partition, reconcile
from aggregator.types import EntryId, EventId, Link

THRESHOLD = 0.8


def _partition(
    links: list[Link], entries: range, scores: Mapping[tuple[int, int], float] | None = None
) -> set[frozenset[int]]:
    known = dict(scores or {})
    groups = partition(
        (EntryId(n) for n in entries),
        links,
        THRESHOLD,
        lambda a, b: known.get((min(a, b), max(a, b)), 0.0),
        lambda entry: (entry,),
    )
    return {frozenset(int(entry) for entry in group) for group in groups}


def _link(a: int, b: int, score: float, *, is_copy: bool = False) -> Link:
    return Link(EntryId(a), EntryId(b), score, is_copy)


def test_copies_are_together_even_when_their_score_is_low() -> None:
    assert _partition([_link(1, 2, 0.1, is_copy=True)], range(1, 4)) == {frozenset({1, 2}), frozenset({3})}


def test_two_entries_above_the_threshold_are_one_event() -> None:
    assert _partition([_link(1, 2, 0.9)], range(1, 3)) == {frozenset({1, 2})}


def test_two_entries_below_the_threshold_stay_apart() -> None:
    assert _partition([_link(1, 2, 0.79)], range(1, 3)) == {frozenset({1}), frozenset({2})}


def test_a_bridge_between_two_stories_does_not_chain_them() -> None:
    links = [_link(1, 2, 0.95), _link(3, 4, 0.95), _link(2, 3, 0.85)]
    assert _partition(links, range(1, 5)) == {frozenset({1, 2}), frozenset({3, 4})}


def test_a_pair_that_never_met_as_candidates_still_counts_in_the_average() -> None:
    links = [_link(1, 2, 0.9), _link(2, 3, 0.9)]
    assert _partition(links, range(1, 4), {(1, 3): 0.8}) == {frozenset({1, 2, 3})}
    assert len(_partition(links, range(1, 4), {(1, 3): 0.1})) == 2


def test_a_much_reposted_story_does_not_outvote_its_rewrites() -> None:
    copies = [_link(a, b, 1.0, is_copy=True) for a, b in combinations(range(1, 30), 2)]
    links = [*copies, *(_link(n, 50, 0.9) for n in range(1, 30)), *(_link(n, 51, 0.9) for n in range(1, 30))]
    links.append(_link(50, 51, 0.9))
    assert frozenset({*range(1, 30), 50, 51}) in _partition(links, range(1, 52))


@st.composite
def _linked(draw: st.DrawFn) -> tuple[int, list[Link]]:
    size = draw(st.integers(1, 12))
    pairs = [pair for pair in combinations(range(size), 2) if draw(st.booleans())]
    return size, [_link(a, b, draw(st.floats(0, 1)), is_copy=draw(st.integers(0, 9)) == 0) for a, b in pairs]


@given(_linked(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_leaves_no_trace(linked: tuple[int, list[Link]], random: object) -> None:
    size, links = linked
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert _partition(links, range(size)) == _partition(shuffled, range(size))


@given(_linked())
def test_every_entry_is_in_exactly_one_group(linked: tuple[int, list[Link]]) -> None:
    size, links = linked
    groups = _partition(links, range(size))
    assert sorted(entry for group in groups for entry in group) == list(range(size))


def _groups(*groups: set[int]) -> list[frozenset[EntryId]]:
    return [frozenset(EntryId(entry) for entry in group) for group in groups]


def _current(**events: set[int]) -> dict[EntryId, EventId]:
    return {EntryId(entry): EventId(int(name[1:])) for name, entries in events.items() for entry in entries}


def test_a_group_of_new_entries_is_a_new_event() -> None:
    (only,) = reconcile(_groups({1, 2}), {}).assignments
    assert only.event_id is None
    assert only.split_from is None


def test_a_growing_event_keeps_its_id() -> None:
    (only,) = reconcile(_groups({1, 2, 3}), _current(e7={1, 2})).assignments
    assert only.event_id == 7


def test_joined_events_keep_the_id_of_the_larger_and_merge_the_other() -> None:
    reconciled = reconcile(_groups({1, 2, 3}), _current(e7={1}, e9={2, 3}))
    assert reconciled.assignments[0].event_id == 9
    assert reconciled.merged == {7: 0}


def test_joined_events_of_one_size_keep_the_older_id() -> None:
    assert reconcile(_groups({1, 2}), _current(e9={1}, e7={2})).assignments[0].event_id == 7


def test_a_torn_event_keeps_its_id_for_the_larger_part() -> None:
    small, large = reconcile(_groups({1}, {2, 3}), _current(e7={1, 2, 3})).assignments
    assert large.event_id == 7
    assert small.event_id is None
    assert small.split_from == 7


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=15),
    st.lists(st.integers(0, 4), min_size=15, max_size=15),
)
def test_no_event_id_is_ever_lost_or_given_twice(parts: list[int], events: list[int]) -> None:
    groups = _groups(*({n for n, p in enumerate(parts) if p == part} for part in sorted(set(parts))))
    current = {EntryId(n): EventId(events[n]) for n in range(len(parts)) if events[n]}
    reconciled = reconcile(groups, current)
    given_ids = [a.event_id for a in reconciled.assignments if a.event_id is not None]
    assert len(given_ids) == len(set(given_ids))
    assert set(given_ids) | set(reconciled.merged) == set(current.values())
    assert not set(given_ids) & set(reconciled.merged)
