"""Pictures and diagrams of the documents: readers without scripts see them, and they show what is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, blocks
from tests.pictures import FOLDER, drawn_alone

BAR = re.compile(r"^.*?([\d.]+) (?:m?s) (█+)$", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_no_diagram_needs_a_script(document: Path) -> None:
    assert "```mermaid" not in document.read_text()


@pytest.mark.parametrize("name", sorted(drawn_alone()))
def test_a_picture_is_as_it_would_be_drawn_now(name: str) -> None:
    drawn = drawn_alone()[name]
    assert (FOLDER / f"{name}.svg").read_text() == drawn, "run python -m tests.pictures"


@pytest.mark.parametrize("picture", sorted(FOLDER.glob("*.svg")), ids=lambda picture: picture.stem)
def test_a_picture_is_used_with_words_for_who_can_not_see_it(picture: Path) -> None:
    used = "".join(document.read_text() for document in DOCUMENTS)
    assert re.search(rf"!\[[^\]]{{20,}}\]\((?:docs/)?pictures/{picture.name}\)", used)
    drawn = picture.read_text()
    assert "prefers-color-scheme:dark" in drawn
    assert re.search(r"<title[^>]*>[^<]+</title><desc[^>]*>[^<]+</desc>", drawn)


def test_bars_are_as_long_as_their_figures_say() -> None:
    drawings = [block.body for block in blocks("text") if "──" not in block.body]
    charts = [BAR.findall(drawing) for drawing in drawings]
    assert charts
    for bars in charts:
        assert bars
        unit = max(float(figure) for figure, _ in bars) / max(len(drawn) for _, drawn in bars)
        for figure, drawn in bars:
            assert len(drawn) == max(1, round(float(figure) / unit)), figure
