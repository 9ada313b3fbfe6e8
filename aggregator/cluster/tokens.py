"""Words as numbers: how a text is split, and how rare each word is in its language, the same on every day."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import local
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import regex
import xxhash
from numpy.typing import NDArray

if TYPE_CHECKING:
    from Stemmer import Stemmer

DENSE = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]--\p{Nd}]"
WORD = regex.compile(
    rf"(?V1)(?P<dense>{DENSE}++)"
    r"|(?P<number>\p{Nd}++(?:['’]\p{Nd}{3}(?!\p{Nd}))++|\p{Nd}++(?:[.,:]\p{Nd}++)++"
    rf"|\p{{Nd}}++(?!\p{{M}}*[\p{{L}}--{DENSE}]))"
    rf"|(?P<word>[[\p{{L}}\p{{Nd}}]--{DENSE}][[\p{{L}}\p{{M}}\p{{Nd}}]--{DENSE}]*+)"
)
"""Scripts that write no spaces come in runs ("dense"), which become pairs of characters; apostrophes and
hyphens part words, so "l'Élysée" and "Élysée" share one. Digits with a letter behind them are a word ("21st",
"10km"), but "4.2m" is 4.2 and a unit, and "2026年" a year. A mark alone, as behind an emoji, is no word."""

LETTER = "A-Za-zÀ-ÖØ-öø-ÿŠŒŽšœžŸƒ"
WESTERN_WORD = re.compile(
    rf"([0-9]++(?:['’][0-9]{{3}}(?![0-9]))++|[0-9]++(?:[.,:][0-9]++)++|[0-9]++(?![{LETTER}]))"
    rf"|([{LETTER}0-9]++)"
)
"""As WORD, for texts of the characters of Windows-1252 alone: four in five words of ordinary feeds, in a third of
the time."""

USUAL_WORD = 9
"""Characters in which a text of so many words has them, most often, spaces included."""

THOUSANDS = regex.compile(r"^\p{Nd}{1,3}(?:(?:[.,'’]\p{Nd}{3})+|(?:,\p{Nd}{2})+,\p{Nd}{3})$")
"""1,000 and 1.000 and 1'000; 12,34,567 as in India."""

POINTING = regex.compile(r"[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]")
"""Hebrew points, Arabic vowel marks and the tatweel: written or left out at will."""

RARITY_STEPS = 8
NUMBER_MARK = 64
RARITY_MASK = 63
MOST_RARE = 7.0
"""Rarity is -log10 of a word's share of all words, kept in eighths. The lists reach to 6.0 (one in a million);
a word that is not in its language's list, most often a name, counts as 7.0."""

DENSE_RARITY = 4.5
"""Rarity of a pair of characters in scripts without spaces: the median of Chinese and Japanese word pairs that
such a pair is about as telling as (the lists hold words, not pairs)."""

LANGUAGES = {"no": "nb", "nn": "nb", "tl": "fil", "sr": "sh", "hr": "sh", "bs": "sh", "in": "id", "iw": "he"}
"""Language tags under which wordfreq keeps another tag's list."""


STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}  # fmt: skip """The Snowball algorithm of each language."""


class Token(NamedTuple):
    """A word of a text: its number (xxh32 of its folded form), its mark, and its term.

    The mark is its rarity in eighths, and NUMBER_MARK if it is digits. The term is the number of the word's
    stem in its language: "bans" and "banned" are two words of one term.
    """

    number: int
    mark: int
    term: int


def tokenise(text: str, lang: str, most: int) -> list[Token]:
    """The first `most` words of a text in `lang` (a primary language tag, "" if unknown)."""
    # Nine in ten words are shorter than 24 characters: slicing first keeps a megabyte from being folded.
    text = text[: most * 24]
    if _is_western(text):
        return _western(text, lang, most)
    found: list[Token] = []
    for match in WORD.finditer(unicodedata.normalize("NFKC", text)):
        raw = match.group()
        if match.lastgroup == "dense":
            pairs = [raw[i : i + 2] for i in range(len(raw) - 1)] or [raw]
            numbers = [_number(pair) for pair in pairs]
            found.extend(Token(number, _mark(DENSE_RARITY), number) for number in numbers)
        elif (token := _token(raw, lang, match.lastgroup == "number")) is not None:
            found.append(token)
        if len(found) >= most:
            break
    return found[:most]


def _is_western(text: str) -> bool:
    """Whether WESTERN_WORD finds in the text what WORD does."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return unicodedata.is_normalized("NFKC", text)


def _western(text: str, lang: str, most: int) -> list[Token]:
    found: list[Token] = []
    for length in (most * USUAL_WORD, len(text)):
        found = [
            token
            for number, word in WESTERN_WORD.findall(text[:length])
            if (token := _token(number or word, lang, bool(number))) is not None
        ]
        # The last word may have been cut.
        if length >= len(text) or len(found) > most:
            break
    return found[:most]


@lru_cache(maxsize=30_000)
def _token(raw: str, lang: str, is_number: bool) -> Token | None:  # noqa: FBT001 (a cache key)
    """The token of one word as it stands in the text; the commonest words make most of every text."""
    if is_number:
        plain = regex.sub(r"[.,'’]", "", raw) if THOUSANDS.match(raw) else raw.replace(",", ".")
        # One number may stand in two sets of digits: 21 and ٢١.
        plain = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in plain)
        return Token(_number(plain), _mark(_number_rarity(plain)) | NUMBER_MARK, _number(plain))
    word = POINTING.sub("", raw).casefold()
    if not word:
        return None
    return Token(_number(word), _mark(word_rarity(word, lang)), _number(_stem(word, lang)))


def _mark(rarity: float) -> int:
    return min(round(rarity * RARITY_STEPS), RARITY_MASK)


def _stem(word: str, lang: str) -> str:
    """The word without its endings (Snowball, Porter 2001), without accents; as it is in other languages."""
    stemmer = _STEMMERS.of(lang)
    stem = stemmer.stemWord(word) if stemmer is not None else word
    return "".join(sign for sign in unicodedata.normalize("NFD", stem) if not unicodedata.combining(sign))


class _Stemmers(local):
    """Each thread's own: a stemmer keeps the word at hand in itself."""

    def __init__(self) -> None:
        self._known: dict[str, Stemmer | None] = {}

    def of(self, lang: str) -> Stemmer | None:
        """The stemmer of a language, None if there is none."""
        if lang not in self._known:
            from Stemmer import Stemmer  # noqa: PLC0415 (only where something is signed)

            name = STEMMERS.get(lang)
            # Its own memory of words stays off: `_token` remembers them.
            self._known[lang] = None if name is None else Stemmer(name, 0)
        return self._known[lang]


_STEMMERS = _Stemmers()


def _number(word: str) -> int:
    return xxhash.xxh32_intdigest(word.encode())


def _number_rarity(number: str) -> float:
    """Long numbers tell more than short ones; the likely years are in every tenth text."""
    if len(number) == 4 and number[:2] in ("19", "20"):
        return 3.5
    return min(2.5 + 0.75 * len(number), 5.5)


@dataclass(frozen=True, slots=True)
class _Rarities:
    numbers: NDArray[np.uint32]
    eighths: NDArray[np.uint8]


@cache
def _rarities(lang: str) -> _Rarities | None:
    """A language's word list as sorted numbers and rarities (150 kB), None if wordfreq has none of it."""
    import wordfreq  # noqa: PLC0415 (a fifth of a second, and only where something is signed)

    name = LANGUAGES.get(lang, lang)
    if name not in wordfreq.available_languages("small"):
        return None
    bins = wordfreq.get_frequency_list(name, "small")
    wordfreq.get_frequency_list.cache_clear()
    pairs = [
        (_number(word.casefold()), round(position / 100 * RARITY_STEPS))
        for position, words in enumerate(bins)
        for word in words
    ]
    numbers = np.array([number for number, _ in pairs], dtype=np.uint32)
    eighths = np.array([eighth for _, eighth in pairs], dtype=np.uint8)
    order = np.argsort(numbers, kind="stable")
    return _Rarities(numbers[order], eighths[order])


def word_rarity(word: str, lang: str) -> float:
    """How rare a folded word is: 1.3 for "the", some 4 for "minister", 7 for what its language's list lacks.

    For a language without a list, longer words count as rarer, never as more than 5: function words are short.
    """
    rarities = _rarities(lang)
    if rarities is None:
        return min(2.0 + 0.5 * len(word), 5.0)
    number = _number(word)
    position = int(np.searchsorted(rarities.numbers, np.uint32(number)))
    if position < len(rarities.numbers) and int(rarities.numbers[position]) == number:
        return int(rarities.eighths[position]) / RARITY_STEPS
    return MOST_RARE
