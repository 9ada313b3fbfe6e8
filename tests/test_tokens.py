"""Words as numbers: how texts of many scripts are split, and how rare their words are."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.cluster.tokens import MOST_RARE, RARITY_MASK, RARITY_STEPS, _token, tokenise, word_rarity

WORD_STARTS = [
    "".join(parts) for parts in product(("b", "gr", "st", "pl"), "aeiou", ("nd", "rt", "ss", "mp"))
]


def _names(*words: str) -> list[int]:
    return [xxhash.xxh32_intdigest(word.encode()) for word in words]


def _numbers(text: str, lang: str = "en") -> list[int]:
    return [token.number for token in tokenise(text, lang, 100)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The ferry's crew, re-elected!", ("the", "ferry", "s", "crew", "re", "elected")),
        ("l'Élysée", ("l", "élysée")),
        ("Ёлки и ПАЛКИ", ("ёлки", "и", "палки")),
        ("ＦＵＬＬ ｗｉｄｔｈ", ("full", "width")),
        ("東京都知事", ("東京", "京都", "都知", "知事")),
        ("水", ("水",)),
        ("السَّلامُ عليكـــم", ("السلام", "عليكم")),
        ("1,000 and 1.000 and 1.5 and 1,5", ("1000", "and", "1000", "and", "1.5", "and", "1.5")),
        ("1'000 and 12,34,567", ("1000", "and", "1234567")),
        ("F16 and covid19", ("f16", "and", "covid19")),
        ("the 21st, 10km, $4.2m at 10:30am", ("the", "21st", "10km", "4.2", "m", "at", "10:30", "am")),
        ("٢١ يوما", ("21", "يوما")),
        ("ไทย ๒๑", ("ไท", "ทย", "21")),
        ("AI技術 2026年11月", ("ai", "技術", "2026", "年", "11", "月")),
        ("one ❤️ two", ("one", "two")),
        ("हिन्दी", ("हिन्दी",)),
        ("", ()),
        ("— … !?", ()),
    ],
)
def test_texts_are_split_into_folded_words(text: str, words: tuple[str, ...]) -> None:
    assert _numbers(text) == _names(*words)


def test_no_more_words_are_read_than_asked_for() -> None:
    assert len(tokenise("word " * 500, "en", 60)) == 60
    assert len(tokenise("京" * 500, "ja", 60)) == 60


def test_common_words_are_common_and_names_are_rare() -> None:
    assert word_rarity("the", "en") < 2 < word_rarity("minister", "en") < 5
    assert word_rarity("veldmark", "en") == MOST_RARE
    assert word_rarity("der", "de") < word_rarity("der", "en")


def test_a_language_without_a_list_still_tells_short_words_from_long() -> None:
    assert word_rarity("na", "xx") < word_rarity("parlamentu", "xx") < MOST_RARE


@settings(deadline=None)  # the first word of a language loads its list
@given(st.text(max_size=300), st.sampled_from(("en", "fr", "ja", "ar", "", "xx")))
def test_any_text_can_be_split(text: str, lang: str) -> None:
    for token in tokenise(text, lang, 64):
        assert 0 <= token.number < 2**32
        assert 0 <= token.mark & RARITY_MASK <= MOST_RARE * RARITY_STEPS


def test_threads_do_not_disturb_one_another() -> None:
    """Feeds are signed in many threads at once; the stemming library keeps the word at hand in its stemmer."""
    words = [f"{start}{end}" for start in WORD_STARTS for end in ("ing", "ed", "ations", "ness", "ies", "ly")]
    texts = [" ".join(words[first::7]) + f" x{number}" for number, first in enumerate([*range(7)] * 3)]
    alone = [tokenise(text, "en", 1000) for text in texts]
    _token.cache_clear()
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda text: tokenise(text, "en", 1000), texts)) == alone
    finally:
        sys.setswitchinterval(old)


WESTERN = "aZé ßŒœŸ09'’.,:;-_\n€“”…²½ªºµ×÷ƒ€\u00a0\u00ad"


@given(st.text(alphabet=WESTERN, max_size=120), st.integers(1, 12), st.sampled_from(["en", "fr", "xx"]))
def test_western_texts_are_split_like_all_others(text: str, most: int, lang: str) -> None:
    found = tokenise(text, lang, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aggregator.cluster.tokens._is_western", lambda _text: False)
        assert tokenise(text, lang, most) == found
