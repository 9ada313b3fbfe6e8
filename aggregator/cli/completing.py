"""Completion by shells: a script that knows all commands, flags and choices, made from the parser itself."""

from __future__ import annotations

import argparse
import sys
from typing import Literal, get_args, get_origin

import shtab

from aggregator.cli.parser import build_parser
from aggregator.config import Settings

FILES = frozenset({"file", "labels", "output", "opml", "weights"})
"""Arguments that are files."""


def completion(_settings: Settings, arguments: argparse.Namespace) -> int:
    """Prints the script that lets a shell complete this program's commands."""
    parser = build_parser(as_typed=True)
    _name_files(parser)
    sys.stdout.write(shtab.complete(parser, arguments.shell))
    return 0


def _name_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:  # noqa: SLF001 (argparse has no public way to them)
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                _name_files(below)
        elif action.dest in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.dest in Settings.model_fields:
            wanted = Settings.model_fields[action.dest].annotation
            action.choices = get_args(wanted) if get_origin(wanted) is Literal else None
