"""Signatures: bit for bit datasketch's, the same everywhere, and keys by which the right entries meet."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from aggregator.cluster.signature import (
    BANDS,
    MOST_TERMS,
    PERMUTATIONS,
    SEED,
    _read,
    _shingles,
    band_keys,
    minhashes,
    shared_words,
    sign,
)
from aggregator.types import Entry, Signature
from tests.program import ROOT

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = (
    "The harbour town of Veldmark opened its rebuilt lighthouse on Saturday, eleven years after a storm tore off"
    " the lantern room. Mayor Ilse Brandt lit the lamp at dusk while two thousand people watched from the mole."
)


def entry(title: str, text: str, **given: object) -> Entry:
    values: dict[str, object] = {
        **dict.fromkeys(("identity", "guid", "url", "canonical_url", "html", "author", "content_hash"), ""),
        "title": title,
        "summary": "",
        "text": text,
        "lang": "en",
        "source": "Veldmark Courier",
        "published_at": NOON,
        "date_guessed": False,
        "truncated": False,
        "text_key": 0,
        "title_key": 0,
        "listed": (),
    }
    return Entry(**(values | given))  # type: ignore[arg-type]  # a table of defaults


def _one(title: str, text: str, **given: object) -> Signature:
    (signature,) = sign([entry(title, text, **given)])
    return signature


def test_the_minhash_is_bit_for_bit_that_of_datasketch() -> None:
    signed = entry("Veldmark lights its lamp again", TEXT)
    title, lead, _ = _read(signed)
    expected = MinHash(num_perm=PERMUTATIONS, seed=SEED, scheme="affine32", hashfunc=int.from_bytes)
    for shingle in _shingles(title, lead).tolist():
        expected.update(shingle.to_bytes(4, "big"))
    found = np.frombuffer(sign([signed])[0].minhash, dtype="<u4")
    assert (found == expected.hashvalues).all()


@given(st.lists(st.lists(st.integers(0, 2**32 - 1)), max_size=120))
def test_any_sets_of_numbers_get_the_minhash_of_datasketch(sets: list[list[int]]) -> None:
    found = list(minhashes([np.array(numbers, dtype=np.uint32) for numbers in sets]))
    for numbers, values in zip(sets, found, strict=True):
        expected = MinHash(num_perm=PERMUTATIONS, seed=SEED, scheme="affine32", hashfunc=int.from_bytes)
        expected.update_batch([number.to_bytes(4, "big") for number in numbers])
        assert (values == expected.hashvalues).all()


def test_shared_words_are_estimated_from_signatures() -> None:
    one, other = _one("Lamp lit", TEXT), _one("Bees are back", "They swarm over the old mill in the valley.")
    assert shared_words(one, one) == 1
    assert shared_words(one, other) < 0.1


def test_a_signature_does_not_depend_on_the_entries_beside_it() -> None:
    entries = [entry(f"Title {n}", TEXT[n:]) for n in range(20)]
    assert sign(entries) == [signature for one in entries for signature in sign([one])]


def test_another_process_signs_alike() -> None:
    program = (
        "from tests.test_signature import TEXT, _one; import hashlib;"
        "print(hashlib.sha256(repr(_one('Veldmark lights its lamp again', TEXT)).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    "start",
    [
        "VELDMARK (Reuters) - ",
        "VELDMARK, Nov. 21 (AFP) - ",
        "(AP) — ",
        "VELDMARK - ",
        "Veldmark (dpa) - ",
        "[Reuters] ",
        "(ANSA) - VELDMARK, 23 NOV - ",
        "By Jane Orwell\n",
        "By Jane Orwell, Harbour Correspondent\n",
    ],
)
def test_what_agencies_put_before_a_text_is_left_out(start: str) -> None:
    assert _one("Lamp lit", start + TEXT).body == _one("Lamp lit", TEXT).body


def test_a_text_that_merely_starts_with_such_a_word_is_kept() -> None:
    text = "By train from the capital it takes three hours to the coast, where the lamp was lit."
    assert len(_one("Lamp lit", text).body) == 4 * 17


def test_a_name_before_its_abbreviation_is_kept() -> None:
    one, other = (
        _one("", "Boeing (BA) shares fell on Monday."),
        _one("", "Airbus (AIR) shares fell on Monday."),
    )
    assert one.body != other.body
    assert len(one.body) == 4 * 6


def test_a_tail_that_merely_holds_letters_of_the_outlets_name_is_kept() -> None:
    assert _one("Lamp lit: who is next - me", TEXT, source="Home Media").title.endswith(_one("me", "").title)
    long = "Lamp lit - what the Courier found in its long search"
    assert _one(long, TEXT, source="Courier").title == _one(long, TEXT, source="").title


@pytest.mark.parametrize("outlet", ["Al-Monitor", "The Times", "BBC"])
def test_an_outlets_name_may_have_hyphens_articles_and_additions(outlet: str) -> None:
    tail = {"Al-Monitor": "Al-Monitor", "The Times": "Times", "BBC": "BBC News"}[outlet]
    assert _one(f"Lamp lit again - {tail}", "", source=outlet).title == _one("Lamp lit again", "").title


@pytest.mark.parametrize("head", ["UPDATE 2-", "BREAKING: ", "Exclusive - ", "(LEAD) ", "(2nd LD) "])
def test_an_agencys_mark_before_a_title_is_left_out(head: str) -> None:
    assert _one(f"{head}Lamp lit again at Veldmark", "").title == _one("Lamp lit again at Veldmark", "").title


def test_the_outlets_name_at_the_end_of_a_title_is_left_out() -> None:
    plain = _one("Lamp lit again at Veldmark", TEXT).title
    assert _one("Lamp lit again at Veldmark - Veldmark Courier", TEXT).title == plain
    assert _one("Lamp lit again at Veldmark | Courier", TEXT).title == plain
    assert _one("Lamp lit again at Veldmark - in the rain", TEXT).title != plain


def test_a_summary_that_starts_the_text_is_read_once() -> None:
    assert _one("Lamp lit", TEXT, summary=TEXT[:80] + "…").lead == _one("Lamp lit", TEXT).lead
    assert _one("Lamp lit", TEXT, summary="After a decade of darkness.").lead != _one("Lamp lit", TEXT).lead


def test_entries_with_the_same_words_share_every_band_and_others_hardly_any() -> None:
    signatures = sign(
        [entry("Lamp lit", TEXT), entry("Lamp lit", TEXT.upper()), entry("Bees", "Hives are full.")]
    )
    keys = band_keys(np.stack([np.frombuffer(s.minhash, dtype="<u4") for s in signatures]))
    assert keys.shape == (3, BANDS)
    assert (keys[0] == keys[1]).all()
    assert not set(keys[0].tolist()) & set(keys[2].tolist())


def test_a_term_is_a_word_without_its_endings() -> None:
    one, other = _one("Mayor bans boats", ""), _one("Banned: boat of the mayor", "")
    assert len({*_terms(one)} & {*_terms(other)}) == 3


def test_the_words_of_the_address_are_terms_of_the_entry() -> None:
    url = "https://news.example/2026/11/23/harbour/lamp-of-veldmark-lit-again_a1b2c3.html?id=77"
    (signature,) = sign([replace(entry("Lamp lit", ""), url=url, canonical_url=url)])
    (spoken,) = sign([entry("Lamp lit", "harbour lamp of veldmark lit again")])
    assert _terms(signature) == _terms(spoken)


def test_an_entry_without_words_has_no_terms() -> None:
    signature = _one("…", "!!!")
    assert (signature.title, signature.lead, signature.terms) == (b"", b"", b"")


def test_terms_are_in_rising_order_and_of_a_long_text_the_title_and_the_rarest_stay() -> None:
    words = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200))
    signature = _one("The lamp of the harbour", words)
    assert _terms(signature) == sorted(set(_terms(signature)))
    assert set(_terms(_one("The lamp of the harbour", ""))) <= set(_terms(signature))
    assert len(_terms(signature)) == len(signature.term_marks) == len(signature.term_rarity) <= MOST_TERMS


def _terms(signature: Signature) -> list[int]:
    found: list[int] = np.frombuffer(signature.terms, "<u4").tolist()
    return found


def test_nothing_to_sign_needs_nothing() -> None:
    assert sign([]) == []


def test_ties_fall_by_words_and_outlet_alone() -> None:
    signed = entry("Lamp lit", TEXT)
    same = replace(signed, source="VELDMARK COURIER", published_at=NOON + timedelta(days=1), guid="2")
    others = [
        replace(signed, title="Lamp out"),
        replace(signed, text=TEXT.replace("dusk", "dawn")),
        replace(signed, source="North Wire"),
        replace(signed, lang=""),
        replace(signed, truncated=True),
        replace(signed, canonical_url="https://courier.example/festival"),
    ]
    keys = [one.content_key for one in sign([signed, same, *others])]
    # This very number: another one would order what is stored anew.
    assert keys[:2] == [-8239718556500944953] * 2
    assert len(set(keys)) == 1 + len(others)


def test_an_edit_of_the_text_changes_the_signature() -> None:
    signed = entry("Lamp lit", TEXT)
    assert sign([signed]) != sign([replace(signed, text=TEXT.replace("dusk", "dawn"))])
