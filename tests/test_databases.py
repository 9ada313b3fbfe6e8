"""Whatever is kept is tried on both databases: who opens one by hand says why one is enough."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.databases import KINDS, count
from tests.program import ROOT, Program

FILES = sorted((ROOT / "tests").glob("test_*.py"))
MARKED = re.compile(rf"pytest\.mark\.({'|'.join(KINDS)})\(")
BY_HAND = {"sqlite3", "psycopg", "sqlite_url", "sqlite_file", "new_database", "postgresql", "own_server"}
"""Names of what is there for one kind of database alone."""


def _names(part: ast.AST) -> set[str]:
    """All that the part names, and the word sqlite_url for a URL that is written out where it is used."""
    found: set[str] = set()
    for one in ast.walk(part):
        match one:
            case ast.Name(name) | ast.arg(name):
                found.add(name)
            case ast.JoinedStr([ast.Constant(str(begins)), *_]) if re.match("(sqlite|postgresql):", begins):
                found.add("sqlite_url")
            case ast.Dict(values=values) if any(
                isinstance(value, ast.Constant) and str(value.value).startswith("sqlite:") for value in values
            ):
                found.add("sqlite_url")
    return found


def _reached(name: str, parts: dict[str, set[str]]) -> set[str]:
    """All that a function names, and what it uses of its file."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting |= parts.get(one, set()) - found
    return found


def unmarked(source: str) -> list[str]:
    """The tests of a file that use one kind of database alone and are not marked."""
    tree = ast.parse(source)
    if any(MARKED.search(ast.unparse(one)) for one in tree.body if "pytestmark =" in ast.unparse(one)):
        return []
    marks = {
        target.id: ast.unparse(one.value)
        for one in tree.body
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }
    parts, tests = {}, []
    for one in tree.body:
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            said = [ast.unparse(mark) for mark in one.decorator_list]
            one.decorator_list = []  # a URL that is tried there is opened by what the function does
            parts[one.name] = _names(one)
            if one.name.startswith("test_") and not any(MARKED.match(marks.get(mark, mark)) for mark in said):
                tests.append(one.name)
    return [test for test in tests if _reached(test, parts) & BY_HAND]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_test_of_one_database_says_why(file: Path) -> None:
    source = file.read_text()
    assert unmarked(source) == [], "take the fixture database, store or program, or mark it with a reason"
    assert re.findall(r"pytest\.mark\.(?:sqlite|postgresql)(?:\b(?!\()|\(\)|\(\".{0,9}\"\))", source) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def test_a(database): open_store(database)", []),
        ("def test_a(tmp_path): open_store(f'sqlite:///{tmp_path}/x')", ["test_a"]),
        ("def _open(path): return sqlite3.connect(path)\ndef test_a(tmp_path): _open(tmp_path)", ["test_a"]),
        ("@pytest.fixture\ndef news(new_database): ...\ndef test_a(news): ...", ["test_a"]),
        ("@pytest.mark.sqlite('a file')\ndef test_a(tmp_path): sqlite3.connect(tmp_path)", []),
        ("A = pytest.mark.sqlite('a file')\n@A\ndef test_a(tmp_path): sqlite3.connect(tmp_path)", []),
        ("pytestmark = pytest.mark.postgresql('a server')\ndef test_a(new_database): ...", []),
    ],
)
def test_the_one_that_opens_a_database_by_hand_is_found(source: str, found: list[str]) -> None:
    assert unmarked(source) == found


def test_each_kind_has_its_turn_and_an_empty_database(program: Program, kind: str) -> None:
    assert program.database.startswith(kind)
    assert count(program.database, "v1_entry") == 0
    assert "poll feeds or import a file" in program.run("events").stdout
