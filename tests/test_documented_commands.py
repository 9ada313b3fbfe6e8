"""The commands in the documents do what the documents say: they are run, as they stand there, on both databases."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.cli.parser import parse
from tests.checkout import Checkout, checked_out
from tests.databases import Databases
from tests.documents import DOCUMENTS, README, blocks, in_sentences
from tests.program import ROOT
from tests.servers import path_with_clients
from tests.test_help import PARSERS

RUN = "sh"
TRIED_BY = {
    "console": ("test_documented_machines", "test_restoring"),
    "json": ("test_webhook",),
    "python": ("test_database_document",),
    "sql": ("test_database_document",),
    "text": ("test_pictures",),
    "xml": ("test_opml",),
    "yaml": ("test_web",),
}
"""Who looks at the blocks of the other kinds, each at all of them in all documents."""

SET_UP = "python3 -m venv .venv && .venv/bin/pip install -q ."
"""How the README's first command begins; other documents repeat it."""

LEVELS = {path.partition(" ")[0] for path in PARSERS if " " in path} - {"events"}
"""Words that are no command without another."""

OPERATING = "operating.md"
"""The document whose commands are for a daemon that runs, which has made its database."""

DAEMON = re.compile(r"run\.py$")
OF_SQLITE = re.compile(r"\baggregator\.db\b")
"""Commands that name the file are about SQLite alone; the documents say so beside them."""


@pytest.fixture
def checkout(databases: Databases, tmp_path: Path) -> Iterator[Checkout]:
    with checked_out(tmp_path, databases.bare(tmp_path / "project/aggregator.db")) as made:
        made.variables["PATH"] = path_with_clients(made.variables["PATH"])
        yield made


def _commands(document: Path) -> list[str]:
    return [block.body.strip() for block in blocks(RUN) if block.document == document]


def test_the_readmes_command_sets_up_and_serves(checkout: Checkout, kind: str) -> None:
    first, tests = _commands(README)
    assert "pytest" in tests  # continuous integration runs that one
    assert first.startswith(SET_UP)
    if kind == "postgresql":  # what is set up is the same
        checkout.set_up()
        first = first.removeprefix(f"{SET_UP} && ")
    checkout.serve_for_a_moment(first)


@pytest.mark.parametrize(
    "document",
    [document for document in DOCUMENTS if document != README and _commands(document)],
    ids=lambda document: document.name,
)
def test_commands_run_one_after_another(document: Path, checkout: Checkout, kind: str) -> None:
    checkout.set_up()
    if document.name == OPERATING:
        # Not a daemon for a moment: it might be ended before it has read a feed.
        checkout.run(".venv/bin/python run.py poll")
    for commands in _commands(document):
        if DAEMON.search(commands):
            checkout.serve_for_a_moment(commands)
        elif commands != SET_UP and (kind == "sqlite" or not OF_SQLITE.search(commands)):
            checkout.run(commands)


def test_every_block_is_tried_by_a_test() -> None:
    assert {block.kind for block in blocks()} == {RUN, *TRIED_BY}
    for kind, files in TRIED_BY.items():
        for file in files:
            assert f'"{kind}")' in (ROOT / f"tests/{file}.py").read_text(), (
                f"{file} looks at no block of {kind}"
            )


def test_command_lines_within_sentences_are_understood() -> None:
    for document, line in in_sentences(r"^(?:.*[ /])?(?:run\.py|aggregator) ([a-z].*)"):
        words = [word.strip("[]…") for word in shlex.split(line)]
        try:
            parse([_value(word) for word in words if word not in ("", "or")])
        except SystemExit:
            pytest.fail(f"{document}: {line}")


def _value(word: str) -> str:
    """Something in the place of a word in capitals."""
    if word == "TIME":
        return "2026-11-20"
    return "1" if word.isupper() and word.isalpha() else word


def test_commands_that_sentences_name_are_there_with_their_flags() -> None:
    for document, line in in_sentences(rf"^(?:{'|'.join(filter(None, PARSERS))})\s.*"):
        words = re.findall(r"[^\s\[\]]+", line)
        command = " ".join(words[:2]) if " ".join(words[:2]) in PARSERS else words[0]
        assert command not in LEVELS, f"{document}: {line}"
        flags = {word for word in words if word.startswith("--")}
        assert flags <= set(PARSERS[command]._option_string_actions), f"{document}: {line}"
