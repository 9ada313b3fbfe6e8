"""The window: who is near to whom, in whatever order entries came; and when it is time to look again."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.cluster.features import FEATURES
from aggregator.cluster.judge import Met, judge, place, survey, weigh, weigh_surveyed
from aggregator.cluster.linkage import Edges, agglomerate, evidence
from aggregator.cluster.network import shipped
from aggregator.cluster.postings import Postings
from aggregator.cluster.ranking import best
from aggregator.cluster.rows import Column
from aggregator.cluster.window import Window
from aggregator.types import EntryId, Signed
from tests.windows import numbered, signed

NAMES = ("Adebayo", "Brandt", "Castellano", "Dvorak", "Eriksen", "Fontaine", "Grabowski", "Hadley")
TOPICS = (
    "harbour dredging",
    "school milk",
    "airport noise",
    "grain storage",
    "lottery tickets",
    "bus shelters",
)
FORMS = (
    "{2}: Minister {0} resigns over {1}",
    "{0} steps down in {1} affair ({2})",
    "Why {0} went: {2} and the {1}",
)
DAY = 86_400


def _word(name: str, topic: str) -> str:
    """A word that only this event has."""
    return f"{name[:4].lower()}{topic.split(maxsplit=1)[0]}"


def _news() -> list[Signed]:
    """Events told three times each, over three days; many share a name or a topic."""
    pairs = [(name, topic) for name, topic in product(NAMES, TOPICS) if (len(name) + len(topic)) % 3]
    return numbered(
        [
            signed(
                form.format(name, topic, _word(name, topic).title()),
                f"The {_word(name, topic)} papers: {name} and {topic}.",
                f"Paper {n}",
                hours=7 * (n % 9),
            )
            for name, topic in pairs
            for n, form in enumerate(FORMS)
        ]
    )


def _judged_in_order(news: list[Signed], order: list[int], batch: int) -> dict[tuple[int, int], float]:
    """The probability of each pair that meets, after the entries came in this order and were surveyed."""
    window, network = Window(3), shipped()
    for start in range(0, len(order), batch):
        place(window, network, window.put([news[place_of] for place_of in order[start : start + batch]]))
    rows = np.arange(len(news))
    for _ in survey(window, rows):
        continue
    pairs = weigh(window, network, rows)
    number = window.entries.number
    ends = np.sort(np.stack((number[pairs.a], number[pairs.b]), axis=1), axis=1).tolist()
    return {(a, b): chance for (a, b), chance in zip(ends, pairs.chance.tolist(), strict=True)}


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from([1, 7, 50, 1000]))
def test_a_survey_sees_the_same_in_whatever_order_entries_came(seed: int, batch: int) -> None:
    """What is near to each entry, and how probable each pair is, depends on the set alone."""
    news = _news()
    expected = _judged_in_order(news, list(range(len(news))), 10_000)
    order = Random(seed).sample(range(len(news)), len(news))
    found = _judged_in_order(news, order, batch)
    assert found.keys() == expected.keys()
    assert max(abs(found[pair] - expected[pair]) for pair in found) < 1e-4
    assert min(found.values()) < 0.1
    assert max(found.values()) > 0.3


def test_the_nearest_are_the_same_found_part_by_part_and_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A survey remembers what is near at its end, many rows at a time; who settles alone does so at once."""
    monkeypatch.setattr("aggregator.cluster.window.REMEMBERED", 7)
    settled, surveyed = Window(3), Window(3)
    for window in (settled, surveyed):
        rows = window.put(_news())
    for start in range(0, len(rows), 30):
        settled.settle(rows[start : start + 30])
    for _ in survey(surveyed, rows):
        continue
    assert surveyed.closeness(rows).tolist() == settled.closeness(rows).tolist()
    assert surveyed.closeness(rows)[:, -1].any()
    ends = np.repeat(rows, 10), np.tile(rows[:10], len(rows))
    assert surveyed.near_in_common(*ends).tolist() == settled.near_in_common(*ends).tolist()


def test_where_nothing_is_near_a_survey_finds_nothing() -> None:
    window = Window(3)
    rows = window.put(_news()[:1])
    assert [len(met.a) for met in _outcome(survey(window, rows))] == [0]
    assert not window.closeness(rows).any()


def _outcome(steps: Generator[None, None, list[Met]]) -> list[Met]:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: list[Met] = done.value
            return found


@pytest.mark.parametrize("room", [0, 1, 300, 100_000])
def test_a_pair_measured_once_is_the_same_from_both_sides(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Whether what was measured is kept until the pair is met again, or found no room; bit for bit."""
    monkeypatch.setattr("aggregator.cluster.judge.AT_ONCE", 20)
    monkeypatch.setattr("aggregator.cluster.measured.MOST_MEASURED", room)
    window, network = Window(3), shipped()
    rows = window.put(_news())
    met = _outcome(survey(window, rows))
    assert sum(int((one.number < 0).sum()) for one in met) > 1000
    surveyed, anew = weigh_surveyed(window, network, rows, met), weigh(window, network, rows)
    for name in ("a", "b", "features", "chance", "veto"):
        assert np.array_equal(getattr(surveyed, name), getattr(anew, name)), name


@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(1, 4), st.sampled_from([1, 3, 2**20]))
def test_the_best_of_each_are_those_of_a_plain_sort(seed: int, count: int, owners: int, values: int) -> None:
    """Of equal values by content, of equal contents by row; however many of them are left out unsorted."""
    random = np.random.default_rng(seed)
    owner, row = random.integers(0, owners, count), random.permutation(200_000)[:count]
    value = random.integers(0, values, count) / values
    content = random.integers(0, 3, count).astype(np.uint64) << np.uint64(61)
    key = value * (1 + content / 2.0**64 * 1e-7)
    order = sorted(range(count), key=lambda place: (owner[place], -key[place], row[place]))
    expected = [
        place for one in range(owners) for place in [place for place in order if owner[place] == one][:5]
    ]
    assert best(owner, value, row, content, 5).tolist() == expected


def test_sketches_and_echoes_that_were_forgotten_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window with room for a few of them sees the same as one with room for all."""
    news = _news()
    order = list(range(len(news)))
    expected = _judged_in_order(news, order, 10_000)
    monkeypatch.setattr("aggregator.cluster.window.MOST_SKETCHES", 10)
    assert _judged_in_order(news, order, 10_000) == pytest.approx(expected, abs=1e-6)


def test_postings_in_many_runs_are_found_like_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    days = random.integers(100, 103, 500).astype(np.int32)
    keys = random.integers(0, 60, 500).astype(np.uint32)
    found = []
    asked = np.arange(60, dtype=np.uint32)
    for most, often in ((4_000_000, 500), (4_000_000, 20), (50, 500), (50, 20), (1, 500)):
        monkeypatch.setattr("aggregator.cluster.postings.MOST_MERGED", most)
        postings = Postings()
        for start in range(0, 500, 20):
            new = np.arange(start, start + 20)
            for day in range(100, 103):
                of_day = new[days[new] == day]
                postings.add(day, keys[of_day], of_day)
            if (start + 20) % often == 0:
                position, rows = postings.find(np.full(60, 101, np.int32), asked, 1)
                assert len(rows) == start + 20
        found.append(sorted(zip(position.tolist(), rows.tolist(), strict=True)))
    assert all(one == found[0] for one in found)


def test_a_column_grows_while_somebody_looks_at_it_and_while_nobody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aggregator.cluster.rows.LARGE", 1000)
    column = Column(np.int32, 3, -1)
    for number in range(2000):
        column.reserve(number * 7)
        looking = column.view[:1] if number % 2 else None
        column.extend(np.full((5, 3), number, np.int32))
        assert looking is None or looking.base is not None
    assert column.view.tolist() == np.repeat(np.arange(2000), 5)[:, None].repeat(3, axis=1).tolist()
    column.grow(10_001)
    assert column.view[-1].tolist() == [-1, -1, -1]


def test_some_pairs_of_many_are_measured_as_if_they_were_alone() -> None:
    """Leaving out pairs that are too unlike changes nothing for the others."""
    window, network = Window(3), shipped()
    rows = window.put(_news())
    place(window, network, rows)
    a, others = window.meet(rows[:20])
    shared = window.share(rows[:20], a, others)
    kept = np.random.default_rng(0).random(len(a)) < 0.3
    some = shared.only(kept)
    assert some.cosine() == pytest.approx(shared.cosine()[kept])
    one_by_one = [judge(window, network, rows[[one]], np.array([two])).features[0]
                  for one, two in zip(a[kept][:10], others[kept][:10], strict=True)]  # fmt: skip
    together = judge(window, network, rows[a[kept][:10]], others[kept][:10])
    order = np.argsort(a[kept][:10], kind="stable")
    assert together.features == pytest.approx(np.array(one_by_one)[order], abs=1e-5)
    assert together.features.shape == (10, len(FEATURES))


def test_an_edited_entry_is_found_as_it_is_and_no_more_as_it_was() -> None:
    """Its old row is dead: it meets nothing, counts for nothing and stands in no list of the nearest."""
    window, network = Window(3), shipped()
    news = _news()
    rows = window.put(news)
    place(window, network, rows)
    before = int(window.surroundings(rows[:1])[0])
    other = replace(signed("Rain floods cellars in the old town of Valmarin"), id=news[0].id)
    (row,) = window.put([other])
    place(window, network, np.array([row]))
    assert int(window.surroundings(rows[:1])[0]) == before
    assert rows[0] not in window.rows_on(range(100_000))
    pairs = weigh(window, network, rows[1:])
    assert rows[0] not in pairs.b
    assert row not in pairs.b  # it shares no word with the others


def test_when_it_is_time_to_weigh_entries_anew() -> None:
    """A little growth is let pass, unless there are few entries, or it is time for most of the others."""
    window = Window(3)
    news = [
        replace(signed(f"Headline {n} of its kind", hours=0 if n < 300 else 24 * 30), id=EntryId(n))
        for n in range(1, 401)
    ]
    rows = window.put(news[:390])
    window.remember_among(rows, window.surroundings(rows))
    assert not len(window.outgrown(1.03, 0))
    window.put(news[390:])  # 10 on top of the 91 of another month
    assert window.outgrown(1.2, 0).tolist() == []
    assert window.outgrown(1.2, 150).tolist() == rows[299:].tolist()
    assert window.outgrown(1.05, 0).tolist() == rows[299:].tolist()
    # The first hundred of the others were decided on among fewer, too: more than half of all that changed.
    window.remember_among(rows[:100], np.full(100, 298))
    assert window.outgrown(1.05, 0).tolist() == rows[299:].tolist()
    window.remember_among(rows[:100], np.full(100, 200))
    assert window.outgrown(1.05, 0).tolist() == [*rows[:100].tolist(), *rows[299:].tolist()]


def test_half_of_the_changed_rows_outgrown_takes_the_rest_along() -> None:
    """Then the result is a function of what is there by now, and not of who came with whom."""
    window = Window(3)
    rows = window.put([replace(signed(f"Headline {n} of its kind"), id=EntryId(n)) for n in range(1, 101)])
    window.remember_among(rows, np.array([90] * 60 + [99] * 30 + [100] * 10))
    assert window.outgrown(1.05, 0).tolist() == rows[:90].tolist()
    window.remember_among(rows, np.array([90] * 40 + [99] * 50 + [100] * 10))
    assert window.outgrown(1.05, 0).tolist() == rows[:40].tolist()


def test_those_that_came_last_are_looked_at_again_with_the_others() -> None:
    """Nothing came after them, but what is near to them was found while they were still coming."""
    window = Window(3)
    rows = window.put([replace(signed(f"Headline {n} of its kind"), id=EntryId(n)) for n in range(1, 101)])
    window.remember_among(rows, np.array([-50] * 50 + [-100] * 50))
    assert window.outgrown(1.05, 0).tolist() == rows.tolist()
    window.remember_among(rows, np.array([100] * 50 + [-100] * 50))
    assert window.outgrown(1.05, 0).tolist() == []
    assert window.outgrown(1.05, 101).tolist() == rows[50:].tolist()


def _slowly(weight: list[int], score: dict[tuple[int, int], float], least: float) -> set[frozenset[int]]:
    """The same groups by the textbook: again and again the two with the most evidence are joined."""
    groups = [frozenset({node}) for node in range(len(weight))]
    while True:
        best: tuple[float, int, int] | None = None
        for one, other in product(range(len(groups)), repeat=2):
            if one >= other:
                continue
            total = sum(
                score.get((min(a, b), max(a, b)), 0.0) for a, b in product(groups[one], groups[other])
            )
            pairs = sum(weight[a] * weight[b] for a, b in product(groups[one], groups[other]))
            proof = float(evidence(np.array([total]), np.array([float(pairs)]))[0])
            if proof >= least and total and (best is None or proof > best[0]):
                best = (proof, one, other)
        if best is None:
            return set(groups)
        joined = groups[best[1]] | groups[best[2]]
        groups = [group for place_of, group in enumerate(groups) if place_of not in best[1:]] + [joined]


@given(st.integers(0, 10**6))
def test_two_far_clusters_are_grouped_as_by_the_textbook(seed: int) -> None:
    """Where links are clear the fast merging of many pairs at a time ends as one merge at a time does."""
    numbers = np.random.default_rng(seed)
    kind = [0, 0, 0, 0, 1, 1, 1, 2]
    weight = [1] * len(kind)
    score = {
        (a, b): float(numbers.uniform(0.8, 0.95) if kind[a] == kind[b] else numbers.uniform(0.0, 0.1))
        for a, b in product(range(len(kind)), repeat=2)
        if a < b
    }
    edges = Edges(
        np.array([a for a, _ in score]), np.array([b for _, b in score]), np.array(list(score.values()))
    )
    none = np.empty(0, np.int64)
    least = float(np.log(0.6 / 0.4))
    group = agglomerate(np.array(weight, float), edges, least, (none, none))
    found = {frozenset(np.flatnonzero(group == name).tolist()) for name in np.unique(group)}
    assert (
        found
        == _slowly(weight, score, least)
        == {frozenset({0, 1, 2, 3}), frozenset({4, 5, 6}), frozenset({7})}
    )
