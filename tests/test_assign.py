"""Which entries end together, and which event ids they keep."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.cluster.assign import SAME_EVENT, Bonds, partition, reconcile
from aggregator.cluster.links import links_from
from aggregator.types import EntryId, EventId

Link = tuple[int, int, float, bool]


def _partition(
    links: list[Link], entries: range, kept: Iterable[set[int]] = (), bonds: Bonds | None = None
) -> set[frozenset[int]]:
    groups = partition(
        [EntryId(n) for n in entries],
        [frozenset(EntryId(n) for n in group) for group in kept],
        links_from(links),
        bonds or Bonds(),
    )
    return {frozenset(int(entry) for entry in group) for group in groups}


def _link(a: int, b: int, score: float, *, is_copy: bool = False) -> Link:
    return a, b, score, is_copy


def test_copies_are_together_even_when_their_score_is_low() -> None:
    assert _partition([_link(1, 2, 0.1, is_copy=True)], range(1, 4)) == {frozenset({1, 2}), frozenset({3})}


def test_two_entries_above_the_threshold_are_one_event() -> None:
    assert _partition([_link(1, 2, 0.9)], range(1, 3)) == {frozenset({1, 2})}


def test_two_entries_below_the_threshold_stay_apart() -> None:
    assert _partition([_link(1, 2, SAME_EVENT - 0.01)], range(1, 3)) == {frozenset({1}), frozenset({2})}


def test_a_bridge_between_two_stories_does_not_chain_them() -> None:
    links = [_link(1, 2, 0.95), _link(3, 4, 0.95), _link(2, 3, 0.85)]
    assert _partition(links, range(1, 5)) == {frozenset({1, 2}), frozenset({3, 4})}


def test_two_stories_are_joined_late_when_enough_bridges_are_found() -> None:
    stories = [_link(1, 2, 0.9), _link(3, 4, 0.9)]
    bridges = [_link(1, 3, 0.5), _link(2, 4, 0.5)]
    more = [_link(1, 4, 0.5), _link(2, 3, 0.5)]
    assert len(_partition([*stories, *bridges], range(1, 5))) == 2
    assert len(_partition([*stories, *bridges, *more], range(1, 5))) == 1


def test_the_mean_of_many_pairs_says_more_than_that_of_one() -> None:
    few = [_link(a, b, 0.4) for a, b in ((1, 11),)]
    many = [_link(a, b, 0.4) for a in range(1, 7) for b in range(11, 17)]
    whole = [{*range(1, 7)}, {*range(11, 17)}]
    assert len(_partition(few, range(1, 17), [{1}, {11}])) == 16
    assert {*range(1, 7), *range(11, 17)} in _partition(many, range(1, 17), whole)


def test_an_event_that_is_kept_stays_whole() -> None:
    assert frozenset({1, 2, 3}) in _partition([], range(1, 5), [{1, 2, 3}])


def test_what_people_joined_is_together_whatever_else_holds() -> None:
    bonds = Bonds(together=((EntryId(1), EntryId(2)),))
    assert _partition([], range(1, 3), bonds=bonds) == {frozenset({1, 2})}


def test_what_people_parted_is_apart_even_as_copies_or_by_way_of_others() -> None:
    bonds = Bonds(apart=((EntryId(1), EntryId(2)),))
    copies = [_link(1, 2, 1.0, is_copy=True), _link(2, 3, 1.0, is_copy=True), _link(1, 3, 1.0, is_copy=True)]
    found = _partition(copies, range(1, 4), bonds=bonds)
    assert not any({1, 2} <= group for group in found)
    assert len(found) == 2
    near = [_link(1, 2, 0.99), _link(2, 3, 0.99), _link(1, 3, 0.99)]
    assert not any({1, 2} <= group for group in _partition(near, range(1, 4), bonds=bonds))


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
