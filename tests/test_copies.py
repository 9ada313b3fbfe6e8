"""Two entries compared: what is a copy, what is the same event, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.cluster.assign import SAME_EVENT
from aggregator.cluster.signature import sign
from aggregator.types import EntryId, FeedId, Signed
from tests.test_signature import entry
from tests.windows import NOON, judged, signed

RELATED = 0.35

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
    assert judged(signed(TITLE, TEXT, "A"), signed(title, text, "North Wire")).is_copy


@settings(max_examples=50, deadline=None)
@given(st.integers(110, len(TEXT)))
def test_a_text_cut_anywhere_is_a_copy_of_its_full_one(length: int) -> None:
    assert judged(signed(TITLE, TEXT, "A"), signed("Another headline", TEXT[:length] + "…", "B")).is_copy


def test_a_summary_is_a_copy_of_the_same_summary_with_a_body() -> None:
    summary, body = TEXT[:150], OTHER
    (signature,) = sign([entry(TITLE, body, summary=summary)])
    with_body = Signed(EntryId(1), FeedId(1), "a", "en", NOON, None, signature)
    assert judged(with_body, signed(TITLE, summary, "B")).is_copy


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
    found = judged(signed(*one, "Same Outlet"), signed(*other, "Same Outlet", hours=24))
    assert not found.is_copy
    assert found.chance < SAME_EVENT


def _forecast(title: str, degrees: int, source: str, hours: float) -> Signed:
    text = (
        "Sunny in the morning over Port Sele with a light westerly wind, then clouds from the hills and a dry"
        f" evening on the coast. Highs of {degrees} degrees."
    )
    return signed(title, text, source, hours=hours)


def test_a_forecast_with_one_other_number_is_no_copy_of_yesterdays() -> None:
    found = judged(
        _forecast("Weather for Port Sele", 17, "A", 0), _forecast("Weather for Port Sele", 19, "A", 24)
    )
    assert (found.is_copy, found.chance) == (False, 0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Forecast for Besançon: Friday 10 January", "Forecast for Perpignan: Friday 10 January"),
        ("Weekend guide: what to see in Wendmoor", "Weekend guide: what to see in Port Sele"),
    ],
)
def test_an_outlets_titles_that_differ_in_a_name_alone_are_a_series(one: str, other: str) -> None:
    found = judged(signed(one, "", "Same Outlet"), signed(other, "", "Same Outlet"))
    assert (found.is_copy, found.chance) == (False, 0.0)
    assert "differ in their names alone" in found.reason
    assert "names" not in judged(signed(one, "", "Outlet"), signed(other, "", "Another Outlet")).reason


def test_another_outlets_copy_may_correct_one_number() -> None:
    corrected = signed(TITLE, TEXT.replace("4.2", "4.3"), "B")
    assert judged(signed(TITLE, TEXT, "A"), corrected).is_copy


def test_a_template_with_other_figures_is_no_copy_even_of_another_outlet() -> None:
    text = (
        "Shares of Halden Marine closed {} percent higher on the Orlen exchange, at {} crowns, while the index of"
        " the 50 largest companies stood still and trading was thin ahead of the holiday."
    )
    one = signed("Halden Marine gains", text.format("2.1", "61.25"), "A")
    other = signed("Halden Marine up", text.format("1.4", "63.10"), "B", hours=24)
    assert not judged(one, other).is_copy


NOTE = (
    "This story is for members only. Open our app to read it whole, or become a member for one crown a month."
)


def test_a_standing_note_under_unlike_headlines_is_no_copy() -> None:
    one, other = signed(TITLE, NOTE, "A"), signed("Strong spring for bees in Orlen", NOTE, "A", hours=2)
    found = judged(one, other)
    assert not found.is_copy
    assert found.chance < SAME_EVENT


def test_an_outlets_headline_and_its_text_are_one_item_within_hours_only() -> None:
    headline = signed(TITLE, "", "A")
    assert judged(headline, signed(TITLE, TEXT, "A", hours=2)).is_copy
    assert judged(headline, signed(TITLE, TEXT, "A", hours=25)).chance == 0.0
    assert judged(headline, signed(TITLE, TEXT, "B", hours=25)).is_copy


def test_a_rewritten_headline_with_another_toll_may_be_the_same_event() -> None:
    one = signed("Quake kills 12 in Morvane", TEXT, "A")
    other = signed("Fifteen days on, Veldmark counts 15 dead", TEXT.replace("dusk", "dawn"), "A", hours=9)
    assert judged(one, other).chance > 0.0


@pytest.mark.parametrize(
    ("title", "text", "reason"),
    [
        (TITLE, TEXT, "100% of the shorter text's beginning stands in the other"),
        ("Lamp lit", TEXT[:110] + "…", "one text is the start of the other"),
        (TITLE, "", "the same title, and no text that speaks against it"),
        ("Lamp", "", "too few telling words to say"),
    ],
)
def test_the_reason_is_a_sentence_for_people(title: str, text: str, reason: str) -> None:
    assert judged(signed(TITLE, TEXT, "A"), signed(title, text, "B")).reason == reason


# ---- the same event ------------------------------------------------------------------------------


def test_another_outlets_telling_is_the_same_event_and_no_copy() -> None:
    other = (
        "After eleven years of darkness the Veldmark lighthouse shines again. Mayor Ilse Brandt threw the switch on"
        " Saturday evening in front of two thousand onlookers; the new lantern room, torn off by a storm, took"
        " 4.2 million crowns, much of it donated by the fishing families of the coast."
    )
    found = judged(signed(TITLE, TEXT, "A"), signed("Veldmark lighthouse shines again", other, "B", hours=3))
    assert not found.is_copy
    assert found.chance >= SAME_EVENT


def test_unrelated_stories_are_not_even_related() -> None:
    found = judged(
        signed(TITLE, TEXT, "A"), signed("A strong spring for bees in the Orlen hills", OTHER, "B")
    )
    assert found.chance < RELATED


def test_entries_of_different_languages_are_not_joined() -> None:
    found = judged(
        signed("Veldmark Ilse Brandt", "", "A"), signed("Veldmark Ilse Brandt !", "", "B", lang="de")
    )
    assert found.chance in (0.0, 1.0)
    french = "Veldmark rallume son phare après onze ans"
    assert judged(signed(TITLE, TEXT, "A"), signed(french, french, "B", lang="fr")).chance == 0.0


def test_entries_without_words_have_nothing_in_common() -> None:
    found = judged(signed("", ""), signed("", ""))
    assert (found.is_copy, found.chance < RELATED) == (False, True)


REPEATED = "Veldmark Veldmark Veldmark Veldmark Veldmark Veldmark Veldmark Veldmark the Veldmark Veldmark"
LANGS = st.sampled_from(("en", "de", ""))
WORDS = st.lists(st.sampled_from((TITLE + " " + TEXT + " " + OTHER).split()), max_size=40).map(" ".join)


@settings(max_examples=150, deadline=None)  # the first word of a language loads its list
@given(st.tuples(WORDS, WORDS), st.tuples(WORDS, WORDS, st.sampled_from(("A", "B", "")), LANGS))
@example(("Veldmark The", f"lights {REPEATED}"), ("the", f"lights {REPEATED}", "A", "de"))
def test_a_comparison_is_symmetric_and_a_probability(
    first: tuple[str, str], second: tuple[str, str, str, str]
) -> None:
    assert 0.0 <= judged(signed(*first, "A"), signed(*second)).chance <= 1.0
