"""Weights made again, from labels and from corrections, and used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.cluster.features import FEATURES
from aggregator.cluster.network import Network, fit, probability, read_network, shipped, written
from aggregator.pipeline.correcting import merge
from aggregator.pipeline.learning import cases_of
from aggregator.store import open_store
from aggregator.types import Correction, CorrectionKind, EntryId, EventId
from tests.program import Program, write_jsonl

NAMES = ("Adebayo", "Brandt", "Castellano", "Dvorak", "Eriksen", "Fontaine", "Grabowski", "Hadley", "Ibarra",
         "Jankovic", "Kowalczyk", "Lindqvist")  # fmt: skip
TOPICS = ("harbour dredging", "school milk", "airport noise", "grain storage", "lottery tickets", "bus shelters",
          "hospital laundry", "ferry timetables", "quarry dust", "library fines", "street lamps",
          "tax rebates")  # fmt: skip
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _stories() -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Two dozen events, each told in three headlines that have little but the names in common."""
    entries: list[dict[str, Any]] = []
    labels = {}
    for number, (half, name, topic) in enumerate(
        [(0, *pair) for pair in zip(NAMES, TOPICS, strict=True)]
        + [(1, *pair) for pair in zip(NAMES, TOPICS[5:] + TOPICS[:5], strict=True)]
    ):
        told = (
            (f"Minister {name} resigns over {topic}", f"{topic.title()} affair: {name} steps down",
             f"Why the {topic} scandal cost {name} the post")
            if half == 0
            else (f"Court clears {name} in {topic} trial", f"{name} walks free after {topic} verdict",
                  f"Judges find {name} not guilty over {topic}")
        )  # fmt: skip
        for place, title in enumerate(told):
            key = f"{number}-{place}"
            entries.append(
                {"id": key, "title": title, "source": f"Paper {place}", "published": NOON.isoformat()}
            )
            labels[key] = f"event {number}"
    return entries, labels


def _files(folder: Path) -> tuple[Path, Path]:
    entries, labels = _stories()
    tsv = folder / "labels.tsv"
    tsv.write_text("".join(f"{key}\t{event}\n" for key, event in labels.items()))
    return write_jsonl(folder / "in.jsonl", entries), tsv


def _timid(folder: Path) -> Path:
    """The shipped weights, but so timid that they join next to nothing."""
    network = shipped()
    members = tuple((*layers[:-1], (layers[-1][0], layers[-1][1] - 4)) for layers in network.members)
    file = folder / "timid.json"
    file.write_text(written(Network("timid", network.mean, network.deviation, members), "a test"))
    return file


@pytest.mark.sqlite("labels and weights are files; corrections, which are kept, are tried on both below")
def test_weights_from_labels_group_unseen_events_better_and_are_used(
    tmp_path: Path, program: Program
) -> None:
    entries, labels = _files(tmp_path)
    options = ("--weights", _timid(tmp_path), "--output", "w.json")
    said = json.loads(program.run("calibrate", entries, labels, *options, "--json").stdout)
    assert said["after"]["bcubed"]["f1"] > said["before"]["bcubed"]["f1"] + 0.1
    assert said["after"]["bcubed"]["precision"] > 0.9
    assert said["weights"] == "w.json"
    network = read_network((tmp_path / "w.json").read_text())
    assert network.name.startswith("in.jsonl ")
    assert "moved towards in.jsonl" in json.loads((tmp_path / "w.json").read_text())["provenance"]
    program.run("import", entries, "--weights", "w.json")
    assert {row[0] for row in program.query("SELECT model FROM decision")} == {network.name}
    assert "B-cubed" in program.run("calibrate", entries, labels).stdout
    assert (tmp_path / "weights.json").exists()


def test_weights_from_corrections(tmp_path: Path, program: Program) -> None:
    entries, _ = _files(tmp_path)
    weights = ("--weights", _timid(tmp_path))
    program.run("import", entries, *weights)
    event_of = dict(program.query("SELECT guid, event_id FROM v1_entry"))
    assert "at least 10 are needed" in program.run("calibrate", status=1).stderr
    store = open_store(program.database)
    for number in range(12):
        first, second, third = (EventId(event_of[f"{number}-{place}"]) for place in range(3))
        assert len({first, second, third}) == 3
        merge(store, first, second, NOON)
        merge(store, first, third, NOON)
    store.close()
    said = json.loads(program.run("calibrate", "--json", *weights).stdout)
    assert said["cases"] == 12
    before, after = said["before"], said["after"]
    assert before["corrected_pairs"] == 18
    assert after["judged_as_corrected"] > before["judged_as_corrected"] + 6
    assert after["judged_as_they_stand"] > 0.9 * after["pairs_around"]
    assert "separate events that people corrected" in program.run("calibrate", *weights).stdout
    program.run("recluster", "--dry-run", "--weights", "weights.json")


@pytest.mark.sqlite("what is refused comes to no database")
def test_what_can_not_be_used_is_said(tmp_path: Path, program: Program) -> None:
    entries, labels = _files(tmp_path)
    assert "neither" in program.run("calibrate", entries, status=1).stderr
    few = write_jsonl(tmp_path / "few.jsonl", _stories()[0][:9])
    assert "3 labelled events: at least 20" in program.run("calibrate", few, labels, status=1).stderr
    assert (
        "can't be written"
        in program.run("calibrate", entries, labels, "--output", "none/w.json", status=1).stderr
    )
    (tmp_path / "bad.json").write_text("{}")
    for file, reason in (("bad.json", "holds no weights"), ("none.json", "No such file")):
        said = program.run("import", entries, "--weights", file, status=2).stderr
        assert f"WEIGHTS: {file} can't be used" in said
        assert reason in said
    other = json.loads(written(shipped(), ""))
    other["features"][0] = "something else"
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert "for other features" in program.run("import", entries, "--weights", "other.json", status=2).stderr


def test_cases_share_no_entry_and_say_all_that_follows() -> None:
    def said(kind: CorrectionKind, a: int, b: int) -> Correction:
        return Correction(kind, EntryId(a), EntryId(b), NOON)

    cases = cases_of(
        [
            said(CorrectionKind.TOGETHER, 1, 2),
            said(CorrectionKind.TOGETHER, 1, 3),
            said(CorrectionKind.APART, 3, 9),
            said(CorrectionKind.TOGETHER, 8, 9),
            Correction(CorrectionKind.PIN, EntryId(5), None, NOON),
            said(CorrectionKind.APART, 6, 7),
        ]
    )
    assert [case.together for case in cases] == [((1, 2), (1, 3), (2, 3), (8, 9)), ()]
    assert [case.apart for case in cases] == [tuple(product((1, 2, 3), (8, 9))), ((6, 7),)]


def test_a_network_learns_what_no_sum_of_features_tells() -> None:
    numbers = np.random.default_rng(5)
    features = numbers.normal(0, 1, (40_000, len(FEATURES))).astype(np.float32)
    truth = (features[:, 0] > 0) != (features[:, 1] > 0)
    network = fit(features[:30_000], truth[:30_000], np.ones(30_000), "test")
    right = (probability(network.logits(features[30_000:])) >= 0.5) == truth[30_000:]
    assert right.mean() > 0.85
    again = fit(features[:30_000], truth[:30_000], np.ones(30_000), "test")
    assert np.array_equal(network.logits(features), again.logits(features))
    read = read_network(written(network, "a test"))
    assert np.allclose(read.logits(features), network.logits(features), atol=1e-2)


def test_few_labels_move_the_weights_gently() -> None:
    numbers = np.random.default_rng(6)
    old = shipped()
    features = (old.mean + old.deviation * numbers.normal(0, 1, (300, len(FEATURES)))).astype(np.float32)
    truth = old.logits(features) > 0
    moved = fit(features, truth, np.ones(len(truth)), "moved", old)
    same = (moved.logits(features) > 0) == truth
    assert same.mean() > 0.95
