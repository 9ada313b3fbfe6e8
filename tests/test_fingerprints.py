"""Pairs that fingerprints leave out are none of which comparing word for word would say that they are copies."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from aggregator.cluster.copies import copy_reason
from aggregator.cluster.fingerprints import fingerprints, may_be_copies
from aggregator.cluster.prepared import Prepared, prepare
from aggregator.cluster.tokens import RARITY_MASK
from aggregator.types import EntryId
from tests.test_copies import OTHER, TEXT, TITLE
from tests.windows import NOON, signed

Texts = tuple[list[int], list[int], list[int]]


def _words(most: int) -> st.SearchStrategy[list[int]]:
    """Words of which many come back, as in lists and templates, or hardly one."""
    return st.one_of(
        *(st.lists(st.integers(1, highest), max_size=most) for highest in (3, 30, 2**32 - 1)),
        st.integers(0, most).map(lambda length: list(range(1, length + 1))),
    )


@st.composite
def _retold(draw: st.DrawFn) -> list[Texts]:
    """A title, a lead and a body, and the same cut, edited or under others."""
    first = (draw(_words(12)), draw(_words(60)), draw(_words(64)))
    told = [first]
    for _ in range(3):
        texts = []
        for words in draw(st.sampled_from(told)):
            kept = words[: draw(st.integers(0, len(words)))] if draw(st.booleans()) else list(words)
            for _ in range(draw(st.integers(0, 3))):
                if kept:
                    kept[draw(st.integers(0, len(kept) - 1))] = draw(st.integers(1, 40))
            texts.append(draw(st.sampled_from((kept, words, draw(_words(12))))))
        told.append((texts[0], texts[1], texts[2]))
    return told


def _prepared(number: int, texts: Texts, source: str) -> Prepared:
    title, lead, body = (np.array(words, "<u4").tobytes() for words in texts)
    marks = [bytes([RARITY_MASK]) * len(words) for words in texts]
    at = NOON + timedelta(hours=number)
    return Prepared(EntryId(number), at, source, truncated=False, title=title, title_marks=marks[0],
                    lead=lead, lead_marks=marks[1], body=body)  # fmt: skip


def _left_out(entries: list[Prepared]) -> list[tuple[Prepared, Prepared]]:
    found = fingerprints([(one.title, one.lead, one.body) for one in entries])
    pairs = list(combinations(range(len(entries)), 2))
    one, other = (np.array(ends, np.int64) for ends in zip(*pairs, strict=True))
    maybe = may_be_copies(found[one], found[other])
    assert np.array_equal(maybe, may_be_copies(found[other], found[one]))
    return [(entries[a], entries[b]) for (a, b), may in zip(pairs, maybe.tolist(), strict=True) if not may]


@settings(max_examples=200, deadline=None)
@given(_retold(), st.lists(st.sampled_from(("a", "b", "")), min_size=4, max_size=4))
def test_no_copy_is_left_out(told: list[Texts], sources: list[str]) -> None:
    entries = [
        _prepared(number, texts, source)
        for number, (texts, source) in enumerate(zip(told, sources, strict=True), 1)
    ]
    for one, other in combinations(entries, 2):
        event(copy_reason(one, other)[-20:])
    assert not [(one, other) for one, other in _left_out(entries) if copy_reason(one, other)]


def test_a_text_that_has_just_enough_of_the_other_is_not_left_out() -> None:
    """However its words fall on the bits: of 50 pairs of words 40 are left, when every tenth word is another."""
    random = np.random.default_rng(1)
    pairs = []
    for number in range(300):
        words = random.choice(2**32, 51, replace=False)
        edited = words.copy()
        edited[5::10] = random.choice(2**32, 5, replace=False)
        texts: list[Texts] = [([1], lead.tolist(), []) for lead in (words, edited)]
        one, other = (_prepared(2 * number + place, told, "") for place, told in enumerate(texts))
        assert copy_reason(one, other).startswith("80%")
        pairs += _left_out([one, other])
    assert not pairs


def test_other_stories_are_left_out() -> None:
    stories = [
        signed(TITLE, TEXT),
        signed("A strong spring for bees in the Orlen hills", OTHER),
        signed("Lamp", ""),
        signed("!", ""),
        signed("Lamp lit", " ".join(reversed(TEXT.split()))),
    ]
    assert len(_left_out([prepare(story) for story in stories])) == 10


def test_copies_are_not_left_out() -> None:
    copies = [
        signed(TITLE, TEXT),
        signed("Lamp lit in the north", TEXT.replace("Saturday", "the weekend"), "B"),
        signed("Lamp lit", TEXT[:160] + "…", "C"),
    ]
    assert not _left_out([prepare(copy) for copy in copies])


def test_nothing_has_no_fingerprints() -> None:
    none = fingerprints([])
    assert may_be_copies(none, none).tolist() == []
