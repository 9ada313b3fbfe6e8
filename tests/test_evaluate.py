"""The command that measures grouping."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.program import run, write_jsonl

STORY = "The lamp on the tower was lit at dusk after eleven years of repairs, the keeper said on Monday."
OTHER = "Bees have come back to the old mill in the valley, and the beekeepers of three villages are counting them."


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Three entries of two events, one of them without a label, and a label without an entry."""
    entries = [
        {"id": "a", "title": "Veldmark lights its lamp again", "text": STORY, "source": "Courier"},
        {"id": "b", "title": "Veldmark lights its lamp again", "text": STORY, "source": "Gazette"},
        {"id": "c", "title": "Bees return to the valley mill", "text": OTHER, "source": "Courier"},
        {"id": "d", "title": "Ferry timetable changes in June", "text": "", "source": "Courier"},
    ]
    labels = tmp_path / "labels.tsv"
    labels.write_text("a\tlamp\nb\tlamp\nc\tbees\nz\tnothing\n")
    return write_jsonl(tmp_path / "news.jsonl", entries), labels


def test_figures_come_as_json(files: tuple[Path, Path], tmp_path: Path) -> None:
    found = json.loads(run(tmp_path, "evaluate", *files, "--orders", "2", "--json").stdout)
    assert (found["entries"], found["unlabelled"], found["missing"]) == (4, 1, 1)
    assert (found["clusters"], found["gold"]) == (2, 2)
    assert found["pairwise"] == found["bcubed"] == {"precision": 1, "recall": 1, "f1": 1}
    assert found["ari"] == 1
    assert found["by_relation"] == {"copy": {"entries": 1, "precision": 1}}
    assert [(size["least"], size["entries"]) for size in found["by_size"]] == [(1, 1), (2, 2)]
    assert [order["order"] for order in found["orders"]] == ["stream", "batch", "shuffled 1", "shuffled 2"]
    assert {order["pairs_that_differ"] for order in found["orders"]} == {0}


def test_figures_come_as_tables_and_leave_no_database(files: tuple[Path, Path], tmp_path: Path) -> None:
    shown = run(tmp_path, "evaluate", *files).stdout
    assert "4 entries (1 without a label, 1 labels without an entry), 2 events, 2 labelled" in shown
    assert "B-cubed" in shown
    assert not (tmp_path / "news.db").exists()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("a lamp\n", "line 1: is not id<TAB>event"),
        ("", "holds no labels"),
        ("x\ty\n", "no entry of the file has a label"),
    ],
)
def test_labels_that_can_not_be_used_are_told(
    files: tuple[Path, Path], tmp_path: Path, labels: str, says: str
) -> None:
    files[1].write_text(labels)
    assert says in run(tmp_path, "evaluate", *files, status=1).stderr


def test_files_that_are_not_there_are_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert "can't be read" in run(tmp_path, "evaluate", files[0], "none.tsv", status=1).stderr
    assert "can't be read" in run(tmp_path, "evaluate", "none.jsonl", files[1], status=1).stderr
