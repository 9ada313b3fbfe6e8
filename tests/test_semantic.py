"""The extra [semantic]: what texts mean is compared, also across languages. With the real encoder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.cluster.meaning import MEANING, VECTOR, encode
from aggregator.cluster.network import shipped
from aggregator.config import SettingsError, load_settings
from aggregator.pipeline import calibrating
from aggregator.pipeline.calibrating import network_of
from aggregator.pipeline.encoding import encode_missing
from aggregator.store import open_store
from aggregator.store.decisions import to_encode, write_meanings
from tests.databases import Databases
from tests.program import Program, write_jsonl
from tests.test_signature import entry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

TOLD = (
    ("en", "Lighthouse keeper of Skarholm rescues nine sailors in storm",
     "The keeper of the Skarholm lighthouse pulled nine sailors from the sea after their boat sank in a storm."),
    ("de", "Leuchtturmwärter von Skarholm rettet neun Seeleute im Sturm",
     "Der Wärter des Leuchtturms von Skarholm hat neun Seeleute aus dem Meer gezogen, deren Boot im Sturm sank."),
    ("fr", "Le gardien du phare de Skarholm sauve neuf marins dans la tempête",
     "Le gardien du phare de Skarholm a tiré neuf marins de la mer après le naufrage de leur bateau."),
)  # fmt: skip
OTHERS = (
    ("en", "Parliament of Belmar votes for lower taxes on bread",
     "The parliament of Belmar passed a law on Monday that halves the tax on bread and flour."),
    ("de", "Neues Stadion in Ostrana wird erst im Sommer fertig",
     "Der Bau des Stadions von Ostrana verzögert sich, weil Stahl fehlt. Eröffnet wird es erst im Sommer."),
    ("fr", "Les vendanges commencent tôt cette année dans la vallée de Lorme",
     "La chaleur a fait mûrir le raisin plus vite : les vignerons de Lorme récoltent trois semaines plus tôt."),
)  # fmt: skip


def _lines(*told: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"id": title, "title": title, "text": text, "lang": lang, "source": f"Paper {title[:9]}",
         "published": NOON.isoformat(), "url": f"https://news.example/{number}/{lang}"}
        for number, (lang, title, text) in enumerate(told)
    ]  # fmt: skip


def _events(program: Program) -> dict[str, list[str]]:
    """The languages of each event's entries, by the title of the event."""
    found: dict[str, list[str]] = {}
    rows = program.query(
        "SELECT v.title, e.lang FROM v1_event v JOIN v1_entry e ON e.event_id = v.id ORDER BY e.lang")  # fmt: skip
    for title, lang in rows:
        found.setdefault(title, []).append(lang)
    return found


def test_tellings_in_three_languages_are_one_event_with_the_extra_and_three_without(
    databases: Databases, tmp_path: Path
) -> None:
    """The default never compares languages; the extra does, and keeps other news apart."""
    file = write_jsonl(tmp_path / "in.jsonl", _lines(*TOLD, *OTHERS))
    with_it, without = (Program(tmp_path, databases.new()) for _ in range(2))
    with_it.run("import", file, settings={"SEMANTIC": "1"})
    without.run("import", file)
    assert sorted(map(len, _events(without).values())) == [1] * 6
    assert sorted(_events(with_it).values()) == [["de"], ["de", "en", "fr"], ["en"], ["fr"]]
    told = with_it.run("explain", "1", "2", "--json", settings={"SEMANTIC": "1"}).stdout
    assert json.loads(told)["features"]["meanings alike"] > 0.5
    assert (
        "meanings alike" in with_it.run("explain", "1", "2").stdout
    )  # the setting has been turned off since


def test_what_came_before_the_setting_was_turned_on_is_met_as_well(tmp_path: Path, program: Program) -> None:
    """Entries of the last days are encoded at the first start with it."""
    program.run("import", write_jsonl(tmp_path / "a.jsonl", _recent(TOLD[0], *OTHERS)))
    assert program.query("SELECT count(*) FROM signature WHERE meaning IS NOT NULL") == [(0,)]
    file = write_jsonl(tmp_path / "b.jsonl", _recent(TOLD[1]))
    program.run("import", file, settings={"SEMANTIC": "1"})
    assert ["de", "en"] in _events(program).values()
    # And it may be left off again.
    program.run("import", write_jsonl(tmp_path / "c.jsonl", _recent(TOLD[2])))
    assert program.query("SELECT count(*) FROM v1_entry WHERE event_id IS NOT NULL") == [(6,)]


def _recent(*told: tuple[str, str, str]) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    return [line | {"published": now} for line in _lines(*told)]


def test_recluster_brings_languages_together(tmp_path: Path, program: Program) -> None:
    """Entries that were grouped without meanings are grouped anew with them."""
    program.run("import", write_jsonl(tmp_path / "in.jsonl", _recent(*TOLD, *OTHERS)))
    assert sorted(map(len, _events(program).values())) == [1] * 6
    program.run("recluster", settings={"SEMANTIC": "1"})
    assert ["de", "en", "fr"] in _events(program).values()


def test_a_missing_encoder_and_weights_of_the_other_kind_are_wrong_settings(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says what to do."""
    file = Path(calibrating.__file__).parent.parent / "cluster" / "weights.json"
    done = program.run("import", "-", status=2, settings={"SEMANTIC": "1", "WEIGHTS": file}, stdin=b"")
    assert "was made with SEMANTIC off" in done.stderr
    monkeypatch.setattr(calibrating, "can_encode", lambda: False)
    with pytest.raises(SettingsError, match=r"pip install 'news-event-aggregator\[semantic\]'"):
        network_of(load_settings({"semantic": True}))


def test_the_two_networks_are_for_different_features() -> None:
    """Each knows what it is for."""
    assert shipped(semantic=True).semantic
    assert not shipped().semantic
    assert shipped(semantic=True).features[: len(shipped().features)] == shipped().features


def test_a_meaning_is_two_vectors_and_depends_on_the_text_alone() -> None:
    """Whatever else is encoded with it."""
    first = entry("Lamp lit on Skarholm", "The lamp burns again.")
    other = entry("Tax on bread halved", "")
    alone, together = encode([first]), encode([other, first])
    assert len(alone[0]) == MEANING
    one, same = (np.frombuffer(text, np.int8).astype(int) for text in (alone[0], together[1]))
    assert np.abs(one - same).max() <= 1
    title, whole = np.frombuffer(together[0], np.int8).reshape(2, VECTOR)
    assert (title == whole).all()


def test_an_edit_while_an_entry_is_encoded_is_encoded_again(tmp_path: Path, program: Program) -> None:
    """The meaning of the text as it was is not kept for the text as it is."""
    program.run("import", write_jsonl(tmp_path / "in.jsonl", _lines(*TOLD)))
    store = open_store(program.database)
    try:
        with store.read() as db:
            (number, read), *_ = to_encode(db, NOON, 10)
        with store.write() as db:
            db.exec_driver_sql(f"UPDATE entry SET content_hash = 'edited' WHERE id = {number}")
            write_meanings(db, [(number, read, bytes(MEANING))])
        with store.read() as db:
            assert len(to_encode(db, NOON, 10)) == len(TOLD)
        assert sum(encode_missing(store, NOON)) == len(TOLD)
    finally:
        store.close()
