"""The figures of agreement, on cases worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.cluster.metrics import Scores, agreement, bcubed, difference


def groups(text: str) -> dict[str, int]:
    """A grouping written like "abc de": each item is a letter."""
    return {item: number for number, members in enumerate(text.split()) for item in members}


def test_two_groupings_of_three_items() -> None:
    found = agreement(groups("ab c"), groups("a bc"))
    assert (found.pairwise.precision, found.pairwise.recall, found.pairwise.f1) == (0, 0, 0)
    assert found.bcubed.precision == pytest.approx(2 / 3)
    assert found.bcubed.recall == pytest.approx(2 / 3)
    assert found.ari == pytest.approx(-0.5)
    assert (found.groups, found.reference_groups) == (2, 2)


def test_two_groupings_of_five_items() -> None:
    found = agreement(groups("abc de"), groups("ab cde"))
    assert (found.pairwise.precision, found.pairwise.recall) == (0.5, 0.5)
    assert found.bcubed.precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert found.bcubed.recall == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5)
    assert found.ari == pytest.approx((2 - 1.6) / (4 - 1.6))


def test_everything_alone_claims_nothing() -> None:
    found = agreement(groups("a b c d"), groups("ab cd"))
    assert (found.pairwise.precision, found.pairwise.recall) == (1, 0)
    assert (found.bcubed.precision, found.bcubed.recall) == (1, 0.5)
    assert found.ari == 0


def test_everything_together_finds_all() -> None:
    found = agreement(groups("abcd"), groups("ab cd"))
    assert found.pairwise.precision == pytest.approx(1 / 3)
    assert found.pairwise.recall == 1
    assert (found.bcubed.precision, found.bcubed.recall) == (0.5, 1)


def test_figures_of_some_items_count_those_alone() -> None:
    some = bcubed(groups("abc de"), groups("ab cde"), "de")
    assert some.precision == 1
    assert some.recall == pytest.approx(2 / 3)
    assert bcubed(groups("a"), groups("a"), "") == Scores(1.0, 1.0)


def test_the_difference_is_of_the_pairs_in_either() -> None:
    assert difference(groups("abc d"), groups("abc d")) == 0
    assert difference(groups("abc d"), groups("ab cd")) == pytest.approx(1 - 1 / 4)
    assert difference(groups("a b"), groups("a b")) == 0


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 5), min_size=1))
def test_a_grouping_agrees_with_itself(grouping: dict[str, int]) -> None:
    found = agreement(grouping, grouping)
    assert (found.pairwise, found.bcubed, found.ari) == (Scores(1.0, 1.0), Scores(1.0, 1.0), 1.0)
