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


def block_with(words: str, *kinds: str) -> str:
    """The one block in which these words stand."""
    (found,) = [block.body for block in blocks(*kinds) if words in block.body]
    return found
