"""What the documents say is so."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from aggregator.cli.parser import build_parser
from aggregator.config import Settings
from tests.databases import columns_of, query
from tests.documents import DOCUMENTS, blocks, in_sentences
from tests.program import ROOT
from tests.test_architecture import FLOORS
from tests.test_help import PARSERS

PAGES = [*DOCUMENTS, ROOT / "CHANGELOG.md"]
README = DOCUMENTS[0].read_text()


def _options() -> set[str]:
    parser = build_parser()
    found: set[str] = set()
    parsers = [parser]
    for one in parsers:
        for action in one._actions:
            found.update(option for option in action.option_strings if option.startswith("--"))
            if isinstance(action.choices, dict):
                parsers += action.choices.values()
    return found


def test_flags_that_sentences_name_are_there() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "benchmarks").glob("*.py"))
    known = _options() | set(re.findall(r"--[a-z-]+", sources))
    lone = in_sentences(r"^--[a-z].*")
    assert {flag for _, code in lone for flag in re.findall(r"--[a-z-]+", code)} <= known
    for document, code in in_sentences(r"^python benchmarks/.*"):
        source = (ROOT / code.split()[1]).read_text()
        assert [flag for flag in re.findall(r"--[a-z-]+", code) if flag not in source] == [], (
            f"{document}: {code}"
        )


def test_files_modules_and_extras_that_sentences_name_are_there() -> None:
    for document, file in in_sentences(r"(?<![\w./])(?:aggregator|benchmarks|deploy|docs|tests)/[\w./]*"):
        assert (ROOT / file).exists(), f"{document}: {file}"
    for document, module in in_sentences(r"-m (tests\.\w+)"):
        assert find_spec(module), f"{document}: {module}"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for _, extra in in_sentences(r"\.\[(\w+)\]")} <= set(extras)


def test_parts_of_rooms_that_sentences_name_are_there() -> None:
    for document, name in in_sentences(rf"^(?:{'|'.join(FLOORS)})(?:\.\w+)+$"):
        assert name.endswith(".py") or pkgutil.resolve_name(f"aggregator.{name}"), f"{document}: {name}"


def test_every_command_is_in_the_readme() -> None:
    parser = build_parser()
    commands = next(action.choices for action in parser._actions if isinstance(action.choices, dict))
    assert [name for name in commands if f"`run.py {name}" not in README] == []


def test_the_commands_without_json_are_named() -> None:
    (said,) = re.findall(r"only those that serve.*?have none: (.*?)\. ", README, re.DOTALL)
    levels = {path.partition(" ")[0] for path in PARSERS if " " in path} - {"events"}
    without = {path for path, parser in PARSERS.items() if "--json" not in parser._option_string_actions}
    assert set(re.findall(r"`([^`]*)`", said)) == without - levels - {""}


def test_every_setting_is_an_option() -> None:
    assert {f"--{name.replace('_', '-')}" for name in Settings.model_fields} <= _options()


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert "run.py" in commands[0]
    assert commands[1].endswith("-m pytest -n auto")
    assert "grep -E '^python3 .*pytest' README.md" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert "://" in target or (document.parent / target).exists(), target


def test_the_documents_make_a_site_that_asks_no_other_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # a page that the menu leaves out, or a link that leads nowhere
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) > len(DOCUMENTS) - 1
    for page in pages:
        assert not re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=.?https?:[^>]+>", page.read_text()), (
            page.name
        )
    for document in DOCUMENTS[1:]:
        shown = (tmp_path / document.with_suffix(".html").name).read_text()
        assert shown.count("<pre>") == sum(block.document == document for block in blocks()), document.name


@pytest.mark.sqlite("tests/test_database_document.py compares the tables of both")
def test_every_column_of_every_view_is_described(database: str) -> None:
    described = (ROOT / "docs/database.md").read_text()
    for (view,) in query(database, "SELECT name FROM sqlite_master WHERE type = 'view'"):
        section = described.split(f"### {view}:")[1].split("###")[0]
        for column in columns_of(database, view):
            assert re.search(rf"\b{column}\b", section), f"{view}.{column}"
