"""The documents, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.program import ROOT

README = ROOT / "README.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of code; its kind is the word after the fence."""

    document: Path
    kind: str
    body: str


def blocks(*kinds: str) -> list[Block]:
    """The blocks of these kinds, of all kinds without any."""
    found = [Block(file, *parts) for file in DOCUMENTS for parts in FENCED.findall(file.read_text())]
    return [block for block in found if not kinds or block.kind in kinds]


def in_sentences(pattern: str) -> list[tuple[str, str]]:
    """What the pattern finds in code within sentences, each with the document's name; line ends are blanks."""
    texts = ((file.name, FENCED.sub("", file.read_text())) for file in DOCUMENTS)
    written = [
        (name, " ".join(code.split())) for name, text in texts for code in re.findall(r"`([^`]+)`", text)
    ]
    return [(name, found) for name, code in written for found in re.findall(pattern, code)]


def block_with(words: str, *kinds: str) -> str:
    """The one block in which these words stand."""
    (found,) = [block.body for block in blocks(*kinds) if words in block.body]
    return found


def first_column(begins: str) -> list[str]:
    """All code in the first column of that table of the README whose first line begins so."""
    table = README.read_text().split(f"\n{begins}")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]
