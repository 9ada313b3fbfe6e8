"""Teasers: where a text is cut, how it finds its full text, what is listed, and which entry stands for an event."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from aggregator.teaser import (
    LENGTH,
    Line,
    choose_canonical,
    coverage,
    is_live,
    split_related,
    start_key,
    starts_like,
    truncate,
)
from aggregator.types import EntryId, FeedId, Member

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STORY = (
    "Shipyard workers in Tessel voted on Thursday to end a nine-week stoppage after the owners agreed to keep the"
    " night shift and to pay for the training of forty apprentices a year."
)
OTHERS = (
    "Two hikers were found unhurt on the Kalder ridge after a night in the snow, rescuers said on Friday morning.",
    "The city library will lend out musical instruments from spring, starting with thirty violins and a tuba.",
    "A heron that nests on the town hall clock has laid three eggs, and the clock stands still till they hatch.",
)


def _graphemes(text: str) -> int:
    return len(regex.findall(r"\X", text))


# ---- cutting -------------------------------------------------------------------------------------


def test_a_long_text_is_cut_hard_after_59_characters() -> None:
    assert truncate(STORY) == "Shipyard workers in Tessel voted on Thursday to end a nine-…"
    assert len(truncate(STORY)) == LENGTH


def test_a_text_of_sixty_characters_stands_uncut() -> None:
    assert truncate("x" * 60) == "x" * 60
    assert truncate("x" * 61) == "x" * 59 + "…"


def test_no_white_space_is_left_before_the_ellipsis() -> None:
    assert truncate("a" * 58 + " " + "b" * 20) == "a" * 58 + "…"


def test_white_space_is_folded_before_the_cut() -> None:
    assert truncate("  one\n\n two\t\u00a0three\u200b  ") == "one two three"


@pytest.mark.parametrize("character", ["é", "👩‍👩‍👧‍👦", "🇫🇷", "각", "क्षि"])
def test_length_is_counted_in_characters_as_people_see_them(character: str) -> None:
    assert _graphemes(truncate(character * 100)) == LENGTH
    assert truncate(character * 60) == character * 60


def test_a_text_that_its_source_cut_keeps_its_ellipsis() -> None:
    assert truncate("The council met late and [...]") == "The council met late and…"
    assert truncate("The council met late and…") == "The council met late and…"


@pytest.mark.parametrize("mark", ["[...]", "[…]", "(…)", "...", "…"])
@pytest.mark.parametrize("length", range(50, 61))
def test_the_cut_never_falls_into_the_mark_of_an_earlier_cut(mark: str, length: int) -> None:
    start = STORY[:length].rstrip()
    teaser = truncate(f"{start} {mark}")
    assert teaser == f"{start[:59].rstrip()}…"
    assert starts_like(teaser, STORY)


SIGNS = st.sampled_from(
    (
        "a",
        " ",
        "\n",
        "é",
        "e\u0301",
        "👩‍👩‍👧‍👦",
        "🇫🇷",
        "각",
        "漢",
        "क्षि",
        "م",
        "\u0600",
        "\u200b",
        "…",
        ".",
        "...",
        "[",
        "]",
        "\u0323" * 50,
    )
)


@given(st.one_of(st.text(max_size=400), st.lists(SIGNS, max_size=150).map("".join)))
def test_a_teaser_is_never_longer_than_sixty_and_cutting_it_again_changes_nothing(text: str) -> None:
    teaser = truncate(text)
    assert _graphemes(teaser) <= LENGTH
    assert truncate(teaser) == teaser


def test_a_text_of_endless_characters_is_cut_too() -> None:
    teaser = truncate("a" + "\u0301" * 10_000)
    assert teaser.endswith("…")
    assert len(teaser) < 60 * 64


# ---- finding the full text -----------------------------------------------------------------------


@given(st.sampled_from((STORY, *OTHERS)), st.integers(45, 100))
def test_a_text_cut_anywhere_finds_its_full_one(text: str, length: int) -> None:
    for cut in (text[:length] + "…", text[:length].rstrip() + " [...]", text[:length] + "..."):
        assert start_key(cut) == start_key(text) != 0
        assert starts_like(cut, text)


@pytest.mark.parametrize(
    "text",
    [
        "Жители прибрежного города собрали двести тонн мусора за одни выходные, сообщила мэрия в понедельник.",
        "霧野の旧校舎を改装した図書館が土曜日に開館し、初日には町の人口のほぼ半分にあたる千二百人が訪れたと町役場が発表した。",
        "أعلنت بلدية الواحة أن السوق القديم سيفتح أبوابه من جديد بعد أعمال ترميم استمرت ثلاث سنوات كاملة.",
    ],
)
def test_texts_of_other_scripts_are_found_alike(text: str) -> None:
    assert start_key(truncate(text)) == start_key(text) != 0
    assert starts_like(truncate(text), text)


@given(
    st.lists(st.text(alphabet="abcdeéжщ漢字مش'“- ", min_size=1, max_size=12), min_size=30, max_size=60).map(
        " ".join
    ),
    st.integers(50, 100),
)
def test_a_text_cut_at_a_space_or_within_a_word_keeps_its_key(text: str, length: int) -> None:
    full = " ".join(text.split())
    hard, at_a_word = full[:length].rstrip(), full[:length].rpartition(" ")[0]
    for beginning in (hard, at_a_word):
        if len(full) > length and len(beginning) >= 45:
            assert start_key(f"{beginning}…") == start_key(full)
            assert starts_like(f"{beginning}…", full)


def test_quotes_case_and_width_do_not_matter() -> None:
    one = "“We’ll stay,” said the mayor of Tessel, and the crowd in the square cheered"
    other = '"WE\'LL STAY," said the mayor of Tessel, and the crowd in the square cheered for an hour.'
    assert start_key(one) == start_key(other)
    assert starts_like(one, other)


def test_a_short_beginning_finds_nothing() -> None:
    assert start_key("The president said…") == 0
    assert not starts_like("The president said…", "The president said that it would rain.")


def test_different_texts_have_different_keys() -> None:
    assert len({start_key(text) for text in (STORY, *OTHERS)}) == 4


@given(st.text(max_size=300))
def test_a_key_fits_the_database(text: str) -> None:
    assert -(2**63) <= start_key(text) < 2**63


# ---- the block of related items ------------------------------------------------------------------


def _split(*lines: str) -> tuple[list[str], list[tuple[str, str]]]:
    own, listed = split_related([Line(line, "") for line in lines])
    return [line.text for line in own], [(item.text, item.teaser) for item in listed]


def test_teasers_at_the_end_are_split_from_the_body() -> None:
    teasers = [truncate(text) for text in OTHERS]
    assert _split(STORY, *teasers) == ([STORY], [("", teaser) for teaser in teasers])


def test_an_item_in_full_and_its_teaser_are_one_item() -> None:
    assert _split(STORY, OTHERS[0], truncate(OTHERS[0])) == ([STORY], [(OTHERS[0], truncate(OTHERS[0]))])


def test_a_body_that_its_source_cut_keeps_its_last_line() -> None:
    cut = OTHERS[0][:70] + "…"
    assert _split(STORY, cut) == ([STORY, cut], [])


def test_a_body_cut_by_its_source_stays_above_a_block() -> None:
    teasers = [truncate(text) for text in OTHERS]
    cut = f"The owners said {STORY[:150]}…"
    assert _split(STORY, cut, *teasers) == ([STORY, cut], [("", teaser) for teaser in teasers])


@pytest.mark.parametrize(
    "lines",
    [
        (
            "I thought that you had gone…",
            "So did I, for a long while, until the letter came from Tessel and then…",
        ),
        ("Well…", "Perhaps…", "Or not…"),
        ("– And the shipyard will close after all, unless…", "– Unless…"),
    ],
)
def test_sentences_that_trail_off_are_no_teasers(lines: tuple[str, ...]) -> None:
    assert _split(STORY, *lines) == ([STORY, *lines], [])


def test_something_of_the_text_always_stays() -> None:
    teasers = [truncate(text) for text in OTHERS]
    assert _split(*teasers) == (teasers, [])
    assert _split() == ([], [])


def test_a_heading_and_bullets_go_with_their_block() -> None:
    teasers = [f"• {truncate(text)}" for text in OTHERS]
    own, listed = _split(STORY, "Related stories:", *teasers)
    assert own == [STORY]
    assert [teaser for _, teaser in listed] == [truncate(text) for text in OTHERS]


@pytest.mark.parametrize(
    "heading",
    [
        "Related",
        "RELATED ARTICLES:",
        "Read more",
        "À lire aussi :",
        "Lesen Sie auch:",
        "関連記事",
        "Читайте также:",
    ],
)
def test_under_a_heading_uncut_headlines_are_listed(heading: str) -> None:
    items = ("Herons nest on the town hall", "Library to lend violins")
    assert _split(STORY, heading, *items) == (
        [STORY],
        [("Herons nest on the town hall",) * 2, (items[1],) * 2],
    )


def test_a_heading_over_paragraphs_splits_nothing() -> None:
    assert _split(STORY, "Related", *OTHERS) == ([STORY, "Related", *OTHERS], [])


def test_a_heading_alone_splits_nothing() -> None:
    assert _split(STORY, "Related:") == ([STORY, "Related:"], [])
    teasers = [truncate(text) for text in OTHERS]
    assert _split("Related:", *teasers) == (["Related:", *teasers], [])


def test_an_item_that_is_short_enough_to_stand_uncut_is_listed_with_the_others() -> None:
    first, second, third = (truncate(text) for text in OTHERS)
    short = "Library to lend violins"
    assert [t for _, t in _split(STORY, first, short, second)[1]] == [first, short, second]
    assert [t for _, t in _split(STORY, first, second, third, short)[1]] == [first, second, third, short]


def test_a_short_text_stays_above_its_own_teaser() -> None:
    own, listed = _split(OTHERS[0], *(truncate(text) for text in OTHERS))
    assert own == [OTHERS[0]]
    assert [teaser for _, teaser in listed] == [truncate(text) for text in OTHERS[1:]]


def test_two_items_in_full_above_their_two_teasers_each_find_their_own() -> None:
    full, cut = list(OTHERS[:2]), [truncate(text) for text in OTHERS[:2]]
    assert _split(STORY, *full, *cut)[1] == list(zip(full, cut, strict=True))


def test_lines_that_are_links_and_cut_are_listed_with_their_addresses() -> None:
    block = [
        Line("Herons nest on…", "https://news.example/1"),
        Line("Library to lend…", "https://news.example/2"),
    ]
    own, listed = split_related([Line(STORY, ""), *block])
    assert [line.text for line in own] == [STORY]
    assert [item.url for item in listed] == [line.url for line in block]


@given(
    st.lists(
        st.sampled_from(
            (STORY, *OTHERS, "Related:", "Short…", "Short", *(truncate(text) for text in OTHERS))
        ),
        max_size=8,
    )
)
def test_no_line_is_lost_or_changed_by_splitting(lines: list[str]) -> None:
    own, listed = _split(*lines)
    assert own == lines[: len(own)]
    assert bool(own) == bool(lines)
    told = {*own, *(part for item in listed for part in item), "Related:"}
    assert all(line in told or any(starts_like(line, text) for text in own) for line in lines)


def test_an_item_listed_twice_is_one() -> None:
    teaser = truncate(OTHERS[0])
    assert _split(STORY, teaser, truncate(OTHERS[1]), teaser)[1] == [("", teaser), ("", truncate(OTHERS[1]))]


@given(
    st.lists(st.sampled_from(OTHERS), min_size=2, unique=True),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_what_is_split_off_can_be_printed_back(items: list[str], in_full: list[bool]) -> None:
    lines = [STORY]
    for text, full in zip(items, in_full, strict=False):
        lines += [text, truncate(text)] if full else [truncate(text)]
    own, listed = _split(*lines)
    printed = [line for full, teaser in listed for line in ([full, teaser] if full else [teaser])]
    assert own + printed == lines


# ---- the canonical entry -------------------------------------------------------------------------


def _member(number: int, **given: object) -> Member:
    values: dict[str, object] = {
        "id": EntryId(number),
        "feed_id": FeedId(number),
        "feed_url": f"https://news{number}.example/rss",
        "identity": f"g:{number}",
        "url": f"https://news{number}.example/a",
        "title": "Shipyard stoppage ends",
        "summary": "",
        "text": STORY * 5,
        "lang": "en",
        "source": f"News {number}",
        "published_at": NOON + timedelta(minutes=number),
        "first_seen_at": NOON,
        "date_guessed": False,
        "truncated": False,
    }
    return Member(**(values | given))  # type: ignore[arg-type]  # a table of defaults


def test_the_earliest_full_text_stands_for_the_event() -> None:
    assert choose_canonical([_member(2), _member(1), _member(3)]).id == 1


@pytest.mark.parametrize(
    "worse",
    [
        {"text": STORY[:150], "truncated": True},
        {"text": ""},
        {"truncated": True},
        {"title": "LIVE: shipyard vote, minute by minute"},
        {"url": "https://news1.example/live/shipyard"},
        {"date_guessed": True},
        {"weight": 0.5},
    ],
)
def test_a_clearly_better_entry_stands_although_it_came_later(worse: dict[str, object]) -> None:
    assert choose_canonical([_member(1, **worse), _member(2)]).id == 2


@pytest.mark.parametrize(
    "title",
    [
        "LIVE: shipyard vote",
        "Shipyard vote – live",
        "Shipyard vote: live updates",
        "Shipyard vote – as it happened",
        "EN DIRECT - Le vote du chantier",
        "Le direct : le vote du chantier",
        "Die Abstimmung im Live-Ticker",
        "Liveblog zur Abstimmung",
        "Newsticker zur Werft",
        "La votación, minuto a minuto",
        "DIRECTO | Vota el astillero",
        "Il voto del cantiere, la diretta",
        "Ao vivo: estaleiro vota",
        "Em direto: estaleiro vota",
    ],
)
def test_live_pages_are_known_by_their_titles(title: str) -> None:
    assert is_live(_member(1, title=title))


@pytest.mark.parametrize(
    "path",
    [
        "world/live/2026/nov/23/vote",
        "news/live/",
        "vote-live-updates",
        "liveblog/vote",
        "vote-liveticker-1",
        "en-direct/vote",
        "directo/vote.html",
        "vote-minuto-a-minuto",
    ],
)
def test_live_pages_are_known_by_their_addresses(path: str) -> None:
    assert is_live(_member(1, url=f"https://news.example/{path}"))


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Live music returns to Tessel", "live-music-returns-to-tessel"),
        ("Where to live in Tessel", "where-to-live-in-tessel"),
        ("Live-action heron film opens", "live-action-heron"),
        ("Long live the herons", "long-live-the-herons"),
        ("The lives of herons", "lives/herons"),
        ("Direct trains to Tessel", "direct-trains"),
    ],
)
def test_an_article_that_speaks_of_living_is_no_live_page(title: str, slug: str) -> None:
    assert not is_live(_member(1, title=title, url=f"https://live.news.example/{slug}"))


def test_a_longer_text_alone_does_not_displace_an_earlier_one() -> None:
    assert choose_canonical([_member(1), _member(2, text=STORY * 9)]).id == 1


@given(st.permutations(range(6)))
def test_the_choice_does_not_depend_on_order_or_numbers(order: list[int]) -> None:
    members = [_member(n, id=EntryId(100 - order[n]), published_at=NOON) for n in range(6)]
    shuffled = [members[n] for n in order]
    assert choose_canonical(shuffled).source == "News 0"


# ---- coverage ------------------------------------------------------------------------------------


def test_every_other_entry_has_a_teaser_and_new_outlets_come_first() -> None:
    first, again, other = _member(1), _member(2, source="News 1"), _member(3)
    shown = coverage(first, [again, other], [])
    assert [teaser.entry_id for teaser in shown] == [3, 2]
    assert {teaser.text for teaser in shown} == {truncate(STORY)}


def test_an_entry_without_text_is_shown_by_its_title() -> None:
    assert coverage(_member(1), [_member(2, text="")], [])[0].text == "Shipyard stoppage ends"


def test_an_earlier_version_is_shown_if_it_reads_otherwise() -> None:
    versions = [(EntryId(1), "Old title", OTHERS[0]), (EntryId(1), "Same", STORY)]
    assert [teaser.text for teaser in coverage(_member(1), [], versions)] == [truncate(OTHERS[0])]


def test_the_order_of_coverage_comes_from_content_alone() -> None:
    others = [_member(n, source=f"News {n % 3}") for n in range(2, 9)]
    shuffled = list(others)
    random.Random(1).shuffle(shuffled)
    assert coverage(_member(1), others, []) == coverage(_member(1), shuffled, [])
