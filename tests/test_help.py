"""The help of every command, and what a shell completes by it."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.cli.examples import EXAMPLES
from aggregator.cli.parser import SHELLS, build_parser, parse

WIDTH = 80


def _commands(
    parser: argparse.ArgumentParser, path: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield path, parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for name, below in action.choices.items():
                yield from _commands(below, f"{path} {name}".strip())


PARSERS = dict(_commands(build_parser()))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("path", PARSERS)
def test_a_commands_help_fits_a_terminal_and_is_complete(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse([*path.split(), "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if len(line) > WIDTH] == []
    assert shown.startswith(f"usage: aggregator {path}".strip())
    parser = PARSERS[path]
    assert "settings:" in shown
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in [*parser._actions, *(choice for one in below for choice in one._choices_actions)]:
        if action in below:
            continue
        assert action.help, f"{path}: {action.dest} is not explained"
        for name in action.option_strings or [str(action.metavar or action.dest)]:
            assert name in shown
    for example in EXAMPLES[path]:
        assert f"  {example}\n" in shown


@pytest.mark.parametrize("path", PARSERS)
def test_examples_are_commands_that_are_understood(path: str) -> None:
    assert EXAMPLES[path]
    for example in EXAMPLES[path]:
        words = shlex.split(re.split(r" [<>] ", example)[0])
        assert words[0] == "aggregator"
        if "--help" not in words:
            parse(words[1:])


def test_there_are_examples_of_nothing_else() -> None:
    assert set(EXAMPLES) == set(PARSERS)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("pol", "'pol', did you mean poll?"),
        ("feeds chek", "'chek', did you mean check?"),
        ("poll --jsn", "--jsn, did you mean --json?"),
        ("--intervall=9 poll", "--intervall=9, did you mean --interval?"),
        ("feeds add http://a.example/ --pik=2", "did you mean --pick?"),
        ("feeds remove 1 --json", "unrecognized arguments: --json;"),
        ("db backup copy.db --force", "unrecognized arguments: --force;"),
        ("xyzzy", "choose from serve, poll,"),
        ("event show 1 --format xml", "'xml' (choose from text, json)"),
        ("event", "required"),
    ],
)
def test_a_slip_is_met_with_what_comes_near(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(line.split())
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert "--help` shows what there is" in told


def _script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    script = folder / f"completion.{shell}"
    script.write_text(capsys.readouterr().out)
    return script


@pytest.mark.parametrize(
    ("line", "offers", "not_offered"),
    [
        ("aggregator po", {"poll"}, {"serve"}),
        ("aggregator feeds ", {"add", "check", "remove", "import"}, {"poll"}),
        ("aggregator feeds add --", {"--pick", "--no-fetch", "--category", "--min-interval"}, {"--dry-run"}),
        ("aggregator event show 7 --format ", {"text", "json"}, {"show"}),
        ("aggregator events ex", {"export"}, {"events"}),
        ("aggregator events export --format p", {"parquet"}, {"jsonl"}),
        ("aggregator completion ", set(SHELLS), set()),
        ("aggregator --log-level ", {"DEBUG", "ERROR"}, {"poll"}),
        ("aggregator feeds import li", {"list.opml"}, set()),
    ],
)
def test_bash_completes(
    line: str, offers: set[str], not_offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.opml").touch()
    script = _script("bash", tmp_path, capsys)
    words = line.split(" ")
    ask = (
        f"source {script}; function=$(complete -p aggregator | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
        f"COMP_LINE={shlex.quote(line)}; COMP_POINT={len(line)}; "
        f"$function aggregator {shlex.quote(words[-1])} {words[-2]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    offered = {word.strip() for word in done.stdout.splitlines()}
    assert offers <= offered
    assert not offered & not_offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_with_every_command(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = _script(shell, tmp_path, capsys)
    text = script.read_text()
    assert [word for path in PARSERS for word in path.split() if word not in text] == []
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True, env={"PATH": os.environ["PATH"]})
