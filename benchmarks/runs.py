"""What the benchmarks share: a server process, runs of the program, and the figures of a grouping."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

ROOT = Path(__file__).parent.parent


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The base URL of a process that serves the files below `folder` on loopback."""
    command = [sys.executable, str(ROOT / "benchmarks/serve_folder.py"), str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        yield server.stdout.readline().strip()
    finally:
        server.communicate()


def write_list(file: Path, base: str, paths: Sequence[str]) -> None:
    """An OPML file of the feeds at `paths` of a server."""
    outlines = "\n".join(
        f"    <outline type='rss' text={quoteattr(path)} xmlUrl={quoteattr(base + quote(path))}/>"
        for path in paths
    )
    file.write_text(f'<opml version="2.0">\n  <head/>\n  <body>\n{outlines}\n  </body>\n</opml>\n')


def run_timed(folder: Path, *arguments: str) -> tuple[float, dict[str, object]]:
    """Wall seconds of a run of the program with its data in `folder`, and the JSON that it printed."""
    settings = {
        "DATABASE": f"sqlite:///{folder / 'news.db'}",
        "OPML": folder / "feeds.opml",
        "ALLOW_ADDRESSES": "127.0.0.1",
        "HOST_DELAY": 0,
        "HOST_CONNECTIONS": 64,
        "MIN_INTERVAL": 0,
        "LOG_LEVEL": "ERROR",
    }
    environment = os.environ | {f"AGGREGATOR_{name}": str(value) for name, value in settings.items()}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, json.loads(done.stdout)


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of one SELECT."""
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()
