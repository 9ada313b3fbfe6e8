"""Two entries compared: what is a copy, what is the same event, and what only looks like it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.cluster.score import RELATED, SAME_EVENT, Comparison, Prepared, compare, judge, prepare
from aggregator.cluster.signature import sign
from aggregator.types import EntryId, FeedId, Signed
from tests.test_signature import entry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TITLE = "Veldmark lights its lamp again after eleven years"
TEXT = (
    "The harbour town of Veldmark opened its rebuilt lighthouse on Saturday, eleven years after a storm tore off"
    " the lantern room and left the coast dark. Mayor Ilse Brandt lit the lamp at dusk while two thousand people"
    " watched from the mole. The work cost 4.2 million crowns, a third of it given by fishing families along the"
    " coast. Engineers kept the old granite tower and hung a new steel stair inside it."
)
OTHER = (
    "Beekeepers in the Orlen hills report the strongest spring in a decade. Hives are twice as heavy as last year,"
    " and the cooperative in Port Sele has run out of jars. Rain in April and a warm May made the lime trees flower"
    " early, said its chairwoman Petra Lund, who expects prices to fall by a fifth."
)


def prepared(title: str, text: str = "", source: str = "", lang: str = "en", hours: float = 0) -> Prepared:
    (signature,) = sign([entry(title, text, source=source, lang=lang)])
    at = NOON + timedelta(hours=hours)
    return prepare(Signed(EntryId(1), FeedId(1), source.casefold(), lang, at, None, signature))


def _compare(one: Prepared, other: Prepared) -> Comparison:
    assert judge(one, other) == judge(other, one)
    return compare(one, other)


# ---- copies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (TITLE, TEXT),
        (f"{TITLE} - North Wire", TEXT),
        ("Lamp lit in the north", f"VELDMARK (NWA) - {TEXT}"),
        ("Lamp lit in the north", f"By Jane Orwell\n{TEXT}"),
        (TITLE, TEXT.replace("Saturday", "the weekend").replace("at dusk ", "")),
        (TITLE, ""),
        (TITLE, TEXT[:120] + "…"),
        ("Lamp lit in the north", TEXT[:160] + "…"),
        ("Veldmark lights its lamp after eleven years", TEXT[:70] + "…"),
    ],
)
def test_a_text_is_recognised_edited_lightly_cut_or_reposted(title: str, text: str) -> None:
    assert _compare(prepared(TITLE, TEXT, "A"), prepared(title, text, "North Wire")).is_copy


@settings(max_examples=50)
@given(st.integers(110, len(TEXT)))
def test_a_text_cut_anywhere_is_a_copy_of_its_full_one(length: int) -> None:
    assert _compare(
        prepared(TITLE, TEXT, "A"), prepared("Another headline", TEXT[:length] + "…", "B")
    ).is_copy


def test_a_summary_is_a_copy_of_the_same_summary_with_a_body() -> None:
    summary, body = TEXT[:150], OTHER
    one = sign([entry(TITLE, body, summary=summary)])[0]
    with_body = prepare(Signed(EntryId(1), FeedId(1), "a", "en", NOON, None, one))
    assert _compare(with_body, prepared(TITLE, summary, "B")).is_copy


WEATHER = (
    "The day starts with {} over the hills and ends with {} on the coast. Winds stay {}. Highs of {} degrees."
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Across the ice cap, Day 21", "The tent held."), ("Across the ice cap, Day 22", "The tent held.")),
        (("Halden Marine closes at 61.25", ""), ("Halden Marine closes at 63.10", "")),
        (("Rovers beat United 3-1 at home", ""), ("Rovers beat United 2-0 at home", "")),
        (("Weather for Port Sele", WEATHER.format("fog", "sun", "light", 17)),
         ("Weather for Port Sele", WEATHER.format("rain", "hail", "strong", 9))),
        (("The week in ten pictures", "Swans on the frozen lake, and a mayor's shovel."),
         ("The week in ten pictures", "A parade of tractors, and the first strawberries.")),
        (("Magnitude 5.8 earthquake shakes Kestrel Islands", ""),
         ("Magnitude 6.1 earthquake shakes Morvane province", "")),
        (("News in brief", ""), ("News in brief", "")),
        ((TITLE, TEXT), ("A strong spring for bees in the Orlen hills", OTHER)),
    ],
)  # fmt: skip
def test_what_one_outlet_fills_in_anew_is_no_copy(one: tuple[str, str], other: tuple[str, str]) -> None:
    found = _compare(prepared(*one, "Same Outlet"), prepared(*other, "Same Outlet", hours=24))
    assert not found.is_copy
    assert found.probability < SAME_EVENT


# ---- the same event ------------------------------------------------------------------------------


def test_another_outlets_telling_is_the_same_event_and_no_copy() -> None:
    other = (
        "After eleven years of darkness the Veldmark lighthouse shines again. Mayor Ilse Brandt threw the switch on"
        " Saturday evening in front of two thousand onlookers; the new lantern room, torn off by a storm, took"
        " 4.2 million crowns, much of it donated by the fishing families of the coast."
    )
    found = _compare(
        prepared(TITLE, TEXT, "A"), prepared("Veldmark lighthouse shines again", other, "B", hours=3)
    )
    assert not found.is_copy
    assert found.probability >= SAME_EVENT


def test_unrelated_stories_are_not_even_related() -> None:
    found = _compare(
        prepared(TITLE, TEXT, "A"), prepared("A strong spring for bees in the Orlen hills", OTHER, "B")
    )
    assert found.probability < RELATED


def test_entries_of_different_languages_are_not_joined() -> None:
    found = _compare(
        prepared("Veldmark Ilse Brandt", "", "A"), prepared("Veldmark Ilse Brandt !", "", "B", lang="de")
    )
    assert found.probability in (0.0, 1.0)
    french = "Veldmark rallume son phare après onze ans"
    assert _compare(prepared(TITLE, TEXT, "A"), prepared(french, french, "B", lang="fr")).probability == 0.0


def test_entries_without_words_have_nothing_in_common() -> None:
    found = _compare(prepared("", ""), prepared("", ""))
    assert (found.is_copy, found.probability < RELATED) == (False, True)


WORDS = st.lists(st.sampled_from((TITLE + " " + TEXT + " " + OTHER).split()), max_size=40).map(" ".join)


@settings(max_examples=150)
@given(WORDS, WORDS, WORDS, WORDS)
def test_a_comparison_is_symmetric_and_a_probability(
    title: str, text: str, title_2: str, text_2: str
) -> None:
    one, other = prepared(title, text, "A"), prepared(title_2, text_2, "B")
    found = _compare(one, other)
    assert found.features == compare(other, one).features
    assert 0.0 <= found.probability <= 1.0
    assert found.reason
