"""The commands in the documents do what the documents say: they are run, as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import site
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aggregator.cli.parser import build_parser
from aggregator.demo import DemoServer, sample_feeds
from aggregator.pipeline.clock import utc_now
from tests.program import ROOT, environment

pytestmark = pytest.mark.sqlite("the documents begin with the default, which is a file")

README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
RUN, SERVED = "sh", "sh serve"
NOT_RUN = {"sql", "json", "python", "xml", "ini", "yaml", "text", "console"}
"""Blocks that are no commands, or (console) commands for programs that a machine may lack."""

BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LEFT_OUT = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "aggregator.db*", "screenshots")
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -q ."
"""How the README's first command begins; other documents repeat it."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project, as a reader of the documents has it, whose list names feeds on this machine."""

    folder: Path
    variables: dict[str, str]

    def start(self, commands: str) -> subprocess.Popen[str]:
        """A shell that runs the commands and stops at the first that fails."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """Packages come from where these tests have theirs: pip finds all that it is asked for already there."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "python3").chmod(0o755)
    variables = environment(folder, {"DATABASE": "sqlite:///aggregator.db"})
    variables["PATH"] = f"{programs}:{variables['PATH']}"
    variables["PYTHONPATH"] = ":".join(site.getsitepackages())
    variables |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    with DemoServer(sample_feeds(utc_now())) as server:
        (folder / "feeds.opml").write_bytes(server.opml())
        yield Checkout(folder, variables)


def _blocks(document: Path) -> list[tuple[str, str]]:
    return [(kind.strip(), body) for kind, body in BLOCK.findall(document.read_text())]


WITH_COMMANDS = [
    document for document in DOCUMENTS[1:] if any(kind in (RUN, SERVED) for kind, _ in _blocks(document))
]


def test_the_readmes_command_sets_up_and_serves(checkout: Checkout) -> None:
    first, tests = (commands for kind, commands in _blocks(README) if kind == RUN)
    assert "pytest" in tests  # continuous integration runs that one
    assert first.startswith(SET_UP)
    _serve_for_a_moment(checkout, first)


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda document: document.name)
def test_commands_run_one_after_another(document: Path, checkout: Checkout) -> None:
    _set_up(checkout)
    for kind, commands in _blocks(document):
        if kind == SERVED:
            _serve_for_a_moment(checkout, commands)
        elif kind == RUN and commands.strip() != SET_UP:
            with checkout.start(commands) as running:
                told, _ = running.communicate(timeout=240)
            assert running.returncode == 0, f"{commands}\n{told}"
            assert "Traceback" not in told


def _set_up(checkout: Checkout) -> None:
    """What SET_UP does, in no time."""
    python = checkout.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)


def _serve_for_a_moment(checkout: Checkout, commands: str) -> None:
    """Starts the daemon, waits until it runs, and ends it as Ctrl-C does."""
    with checkout.start(f"set -m; {commands}") as running:
        assert running.stdout is not None
        told = ""
        for line in running.stdout:
            told += line
            if "running; stop with" in line:
                subprocess.run(["pkill", "-INT", "-s", str(running.pid), "-f", "run.py"], check=True)
        assert running.wait(timeout=60) in (0, 130, -signal.SIGINT), told
    assert '"message": "stopped"' in told, told


def test_every_block_is_of_a_known_kind() -> None:
    kinds = {kind for document in DOCUMENTS for kind, _ in _blocks(document)}
    assert kinds <= NOT_RUN | {RUN, SERVED}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_within_sentences_are_understood(document: Path) -> None:
    parser = build_parser()
    for written in re.findall(r"`(?:run\.py|aggregator) ([a-z][^`]*)`", document.read_text()):
        words = [word.strip("[]…") for word in shlex.split(written)]
        given = [_value(word) for word in words if word not in ("", "or")]
        try:
            parser.parse_args(given)
        except SystemExit:
            pytest.fail(f"{document.name}: {written}")


def _value(word: str) -> str:
    """Something in the place of a word in capitals."""
    if word == "TIME":
        return "2026-11-20"
    return "1" if word.isupper() and word.isalpha() else word
