"""What is read in a short way is what the long way makes of it: addresses, forbidden characters, long words."""

from __future__ import annotations

import re
import sys
import unicodedata
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.normalise.characters import HARMFUL, MEANT, clean_text, harmless
from aggregator.parse.excess import LONGEST_WORD, without_excess
from aggregator.parse.mend import clean
from aggregator.parse.texts import join

BASES = [
    "",
    "https://paper.example/a/b?c#d",
    "http://paper.example:99/",
    "HTTP://Paper.Example/",
    "https:///x",
    "http://paper.example:port/",
    "http://[paper.example/",
    "http://paper.example]/",
    "http://\u2100.example/",
    "mailto:a@b.example",
    "nonsense",
    "",
]
HOSTS = ["paper.example", "Paper.Example:80", "a@paper.example", "[::1]", "[::1", "", "\u2100", "pa per"]


def _joined(base: str, reference: str) -> str:
    try:
        absolute = urljoin(base, reference)
        return absolute if urlsplit(absolute).scheme in {"http", "https", ""} else ""
    except ValueError:
        return ""


@given(
    st.sampled_from(BASES),
    st.sampled_from(["http://", "https://", "HTTPS://", "//", ""]),
    st.sampled_from(HOSTS),
    st.text("ab/.;?#%&=[]~@:+\u00e9", max_size=12),
)
def test_an_absolute_address_is_what_urllib_makes_of_it(base: str, scheme: str, host: str, path: str) -> None:
    reference = f"{scheme}{host}/{path}"
    assert join(base, reference) == _joined(base, reference)


@given(st.text(st.sampled_from("ab \t\n\r\x00\x08\x0b\x1f\x7f\x85\ud800\ufffd\ufffe\uffff\u00e9\U0001f600")))
def test_every_forbidden_character_goes_and_no_other(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert clean(text) == re.sub("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", lines)


@pytest.mark.parametrize("letter", ["a", ".", "+", "-", "_", "7", "\u00e9", "\u6c34", "\U00010400"])
@pytest.mark.parametrize(
    "form", ["<author>{}</author>", "<x><dc:creator ><![CDATA[By {} and]]></dc:creator></x>"]
)
def test_words_of_names_end_where_no_name_is_longer(letter: str, form: str) -> None:
    most = letter * LONGEST_WORD
    assert without_excess(form.format(most)) == form.format(most)
    assert without_excess(form.format(most + letter)) == form.format(most)


def test_every_harmful_character_goes_and_no_other() -> None:
    for letter in map(chr, range(sys.maxunicode + 1)):
        meant = MEANT.get(letter, "") if HARMFUL.match(letter) else letter
        assert harmless(f"a{letter}") == f"a{meant}"
        assert clean_text(letter) == unicodedata.normalize("NFC", meant)
