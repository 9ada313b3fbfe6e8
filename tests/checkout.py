"""A copy of the project as a reader of the documents has it, in which commands are run as they stand there."""

from __future__ import annotations

import shlex
import shutil
import signal
import site
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aggregator.demo import DemoServer, sample_feeds
from aggregator.pipeline.clock import utc_now
from tests.program import ROOT, environment

LEFT_OUT = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "aggregator.db*", "screenshots")
PYTHON = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n'


@dataclass(frozen=True)
class Checkout:
    """The copy, whose list names feeds on this machine, and the environment of its shells."""

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

    def run(self, commands: str) -> str:
        """What the commands say, none of which may fail."""
        with self.start(commands) as running:
            told, _ = running.communicate(timeout=240)
        assert running.returncode == 0, f"{commands}\n{told}"
        assert "Traceback" not in told, told
        return told

    def serve_for_a_moment(self, commands: str) -> None:
        """Starts the daemon, waits until it runs, and ends it as Ctrl-C does."""
        with self.start(f"set -m; {commands}") as running:
            assert running.stdout is not None
            told = ""
            for line in running.stdout:
                told += line
                if "running; stop with" in line:
                    subprocess.run(["pkill", "-INT", "-s", str(running.pid), "-f", "run.py"], check=True)
            assert running.wait(timeout=60) in (0, 130, -signal.SIGINT), told
        assert '"message": "stopped"' in told, told

    def set_up(self) -> None:
        """What the README's first command does before it runs the program, in no time."""
        write_program(self.folder / ".venv/bin/python", PYTHON)


@contextmanager
def checked_out(folder: Path, database: str) -> Iterator[Checkout]:
    """Packages come from where these tests have theirs: pip finds all that it is asked for already there."""
    project = folder / "project"
    shutil.copytree(ROOT, project, ignore=LEFT_OUT)
    write_program(folder / "bin/python3", PYTHON)
    variables = environment(project, {"DATABASE": database})
    variables["PATH"] = f"{folder / 'bin'}:{variables['PATH']}"
    variables["PYTHONPATH"] = ":".join(site.getsitepackages())
    variables |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    with DemoServer(sample_feeds(utc_now())) as server:
        (project / "feeds.opml").write_bytes(server.opml())
        yield Checkout(project, variables)


def write_program(file: Path, text: str) -> None:
    """A program that anybody may run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
