"""The program as its users run it, and what it left in a database, in a form that two runs can be compared by."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.databases import count, query
from tests.forks import Running, Target, start

ROOT = Path(__file__).parent.parent


def environment(folder: Path, settings: Mapping[str, object] | None = None) -> dict[str, str]:
    """The environment of a run that keeps everything in `folder`, may fetch from loopback and never waits."""
    chosen: dict[str, object] = {
        "DATABASE": f"sqlite:///{folder / 'news.db'}",
        "OPML": folder / "feeds.opml",
        "ALLOW_ADDRESSES": "127.0.0.1",
        "HOST_DELAY": 0,
        "HOST_CONNECTIONS": 8,
        "MIN_INTERVAL": 0,
        "FETCH_TIMEOUT": 5,
        "PORT": 0,
    }
    chosen |= settings or {}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AGGREGATOR_")}
    return plain | {f"AGGREGATOR_{name}": str(value) for name, value in chosen.items()}


def command(*arguments: object) -> list[str]:
    """The command line of a run that starts anew, with nothing loaded."""
    return [sys.executable, str(ROOT / "run.py"), *map(str, arguments)]


def run(
    folder: Path,
    *arguments: object,
    status: int = 0,
    stdin: bytes = b"",
    settings: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A finished run of the program, which must end with `status` and without a traceback.

    `settings` have no prefix; `extra` are other environment variables.
    """
    variables = environment(folder, settings) | {name: str(value) for name, value in (extra or {}).items()}
    with TemporaryFile() as given, TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        given.write(stdin)
        given.seek(0)
        running = start(folder, variables, *arguments, stdin=given, stdout=output, stderr=errors)
        try:
            ended = running.wait(120)
        finally:
            running.kill()
            running.wait()
        said, complained = (_whole(file) for file in (output, errors))
    assert "Traceback" not in complained, complained
    assert ended == status, f"exit {ended}\n{said}\n{complained}"
    return subprocess.CompletedProcess(command(*arguments), ended, said, complained)


def _whole(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


@dataclass(frozen=True)
class Program:
    """The program as it is run in a folder, with a database."""

    folder: Path
    database: str

    def environment(self, settings: Mapping[str, object] | None = None) -> dict[str, str]:
        """The environment of its runs."""
        return environment(self.folder, {"DATABASE": self.database} | dict(settings or {}))

    def run(
        self,
        *arguments: object,
        status: int = 0,
        stdin: bytes = b"",
        settings: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As `run`."""
        settings = {"DATABASE": self.database} | dict(settings or {})
        return run(self.folder, *arguments, status=status, stdin=stdin, settings=settings, extra=extra)

    def start(
        self,
        *arguments: object,
        stdout: Target = subprocess.DEVNULL,
        stderr: Target = subprocess.PIPE,
        settings: Mapping[str, object] | None = None,
    ) -> Running:
        """A run under way, whose errors are read line by line unless they go elsewhere."""
        return start(self.folder, self.environment(settings), *arguments, stdout=stdout, stderr=stderr)

    def bring(self, *entries: Mapping[str, Any]) -> None:
        """Imports entries."""
        self.run("import", write_jsonl(self.folder / "in.jsonl", entries))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one SELECT."""
        return query(self.database, sql)

    def count(self, table: str) -> int:
        """The number of rows in a table or view."""
        return count(self.database, table)

    def contents(self) -> Contents:
        """What it has kept."""
        return contents(self.database)


def write_jsonl(file: Path, entries: Iterable[Mapping[str, Any]]) -> Path:
    """A file of JSON Lines."""
    file.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries))
    return file


@dataclass(frozen=True)
class Contents:
    """What a database holds, told by content and not by ids or times of arrival."""

    entries: frozenset[tuple[str, str, str, str]]
    events: frozenset[frozenset[tuple[str, str]]]
    canonical: frozenset[tuple[str, str]]
    teasers: frozenset[tuple[object, ...]]


def contents(database: str | Path) -> Contents:
    """The contents of a database."""
    return contents_by(lambda sql: query(database, sql))


def contents_by(rows: Callable[[str], Iterable[Sequence[Any]]]) -> Contents:
    """The contents of a database, read through its views by a function that runs a SELECT."""
    name_of = {row[0]: (row[1], row[2]) for row in rows("SELECT id, feed_url, guid FROM v1_entry")}
    events: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for event, entry in rows("SELECT event_id, entry_id FROM v1_event_entry"):
        events[event].add(name_of[entry])
    canonical = {
        row[0]: row[1]
        for row in rows("SELECT id, canonical_entry_id FROM v1_event WHERE merged_into IS NULL")
    }
    teasers = {
        (
            name_of[canonical[event]],
            position,
            kind,
            text,
            title,
            url,
            name_of.get(entry),
            name_of.get(canonical.get(related, 0)),
        )
        for event, position, kind, text, title, url, entry, related in rows(
            "SELECT event_id, position, kind, text, title, url, entry_id, related_event_id FROM v1_teaser"
        )
    }
    return Contents(
        entries=frozenset(
            (row[0], row[1], row[2], row[3])
            for row in rows("SELECT feed_url, guid, title, text FROM v1_entry")
        ),
        events=frozenset(frozenset(members) for members in events.values()),
        canonical=frozenset(name_of[entry] for entry in canonical.values()),
        teasers=frozenset(teasers),
    )


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a table or what belongs to one is described in store.tables, not made by a migration alone.

    Those are the index of words (0008), and on PostgreSQL partitions and the table of identities (0018).
    """
    if kind in ("table", "index"):
        return not re.match(r"entry_(words|identity)|\w+_(\d+_\d+|rest)(_.*)?$", name or "")
    return not re.search(r"_fkey_?\d+$", name or "")
