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


@settings(max_examples=50, deadline=None)
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


def _forecast(title: str, degrees: int, source: str, hours: float) -> Prepared:
    text = (
        "Sunny in the morning over Port Sele with a light westerly wind, then clouds from the hills and a dry"
        f" evening on the coast. Highs of {degrees} degrees."
    )
    return prepared(title, text, source, hours=hours)


def test_a_forecast_with_one_other_number_is_no_copy_of_yesterdays() -> None:
    found = _compare(
        _forecast("Weather for Port Sele", 17, "A", 0), _forecast("Weather for Port Sele", 19, "A", 24)
    )
    assert (found.is_copy, found.probability) == (False, 0.0)


def test_another_outlets_copy_may_correct_one_number() -> None:
    corrected = prepared(TITLE, TEXT.replace("4.2", "4.3"), "B")
    assert _compare(prepared(TITLE, TEXT, "A"), corrected).is_copy


def test_a_template_with_other_figures_is_no_copy_even_of_another_outlet() -> None:
    text = (
        "Shares of Halden Marine closed {} percent higher on the Orlen exchange, at {} crowns, while the index of"
        " the 50 largest companies stood still and trading was thin ahead of the holiday."
    )
    one = prepared("Halden Marine gains", text.format("2.1", "61.25"), "A")
    other = prepared("Halden Marine up", text.format("1.4", "63.10"), "B", hours=24)
    assert not _compare(one, other).is_copy


NOTE = (
    "This story is for members only. Open our app to read it whole, or become a member for one crown a month."
)


def test_a_standing_note_under_unlike_headlines_is_no_copy() -> None:
    one, other = prepared(TITLE, NOTE, "A"), prepared("Strong spring for bees in Orlen", NOTE, "A", hours=2)
    found = _compare(one, other)
    assert not found.is_copy
    assert found.probability < SAME_EVENT


def test_an_outlets_headline_and_its_text_are_one_item_within_hours_only() -> None:
    headline = prepared(TITLE, "", "A")
    assert _compare(headline, prepared(TITLE, TEXT, "A", hours=2)).is_copy
    assert _compare(headline, prepared(TITLE, TEXT, "A", hours=25)).probability == 0.0
    assert _compare(headline, prepared(TITLE, TEXT, "B", hours=25)).is_copy


def test_a_rewritten_headline_with_another_toll_may_be_the_same_event() -> None:
    one = prepared("Quake kills 12 in Morvane", TEXT, "A")
    other = prepared("Fifteen days on, Veldmark counts 15 dead", TEXT.replace("dusk", "dawn"), "A", hours=9)
    assert _compare(one, other).probability > 0.0


VARIANTS = (("A", "en", TEXT), ("A", "en", OTHER), ("A", "de", TEXT), ("B", "en", TEXT), ("B", "", ""))


def _ranked(numbers: list[int]) -> list[int]:
    """The variants, given ids in the order of `numbers`, as their order key ranks them."""
    keys = {}
    for place, number in enumerate(numbers):
        source, lang, text = VARIANTS[number]
        (signature,) = sign([entry(TITLE, text, lang=lang)])
        signed = Signed(EntryId(place), FeedId(place), source, lang, NOON, None, signature)
        keys[prepare(signed).order] = number
    return [keys[key] for key in sorted(keys)]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(VARIANTS))))
def test_the_order_of_entries_does_not_depend_on_their_ids(numbers: list[int]) -> None:
    assert _ranked(numbers) == _ranked(list(range(len(VARIANTS))))


@pytest.mark.parametrize(
    ("title", "text", "reason"),
    [
        (TITLE, TEXT, "copies: 100% of the shorter text's beginning stands in the other"),
        ("Lamp lit", TEXT[:110] + "…", "copies: one text is the start of the other"),
        (TITLE, "", "copies: the same title, and no text that speaks against it"),
        ("Lamp", "", "too few telling words to say"),
    ],
)
def test_the_reason_is_a_sentence_for_people(title: str, text: str, reason: str) -> None:
    assert _compare(prepared(TITLE, TEXT, "A"), prepared(title, text, "B")).reason == reason


def test_the_reason_for_a_likely_event_names_its_figures() -> None:
    reason = _compare(prepared(TITLE, TEXT, "A"), prepared("Orlen bees and Veldmark", OTHER, "B")).reason
    assert reason.startswith("1% likely the same event: titles ")
    assert reason.endswith("alike, 1 rare word shared")


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


LANGS = st.sampled_from(("en", "de", ""))
WORDS = st.lists(st.sampled_from((TITLE + " " + TEXT + " " + OTHER).split()), max_size=40).map(" ".join)


@settings(max_examples=150, deadline=None)  # the first word of a language loads its list
@given(st.tuples(WORDS, WORDS), st.tuples(WORDS, WORDS, st.sampled_from(("A", "B", "")), LANGS))
def test_a_comparison_is_symmetric_and_a_probability(
    first: tuple[str, str], second: tuple[str, str, str, str]
) -> None:
    one, other = prepared(*first, "A"), prepared(*second)
    found = _compare(one, other)
    assert found.features == compare(other, one).features
    assert 0.0 <= found.probability <= 1.0
    assert found.reason
