"""Each command in the README's table, with and without what may be left out, does its work on both databases."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from aggregator.demo import DemoServer, sample_feeds
from aggregator.demo.stories import read_items
from aggregator.pipeline.clock import utc_now
from tests.databases import count
from tests.documents import first_column
from tests.program import Program, write_jsonl
from tests.servers import path_with_clients

WRITTEN = [line.removeprefix("run.py").strip() for line in first_column("| command |")]
MOVES = [line for line in WRITTEN if "TARGET_URL" in line]
STAYS = ("", "serve")
"""Commands that run until they are stopped."""

FILES = {
    "import": "archive.jsonl",
    "evaluate": "archive.jsonl",
    "calibrate": "archive.jsonl",
    "db backup": "copy",
    "feeds import": "other.opml",
    "feeds export": "clean.opml",
}
"""What FILE stands for, by command."""

TOO_FEW = ("calibrate",)
"""Commands that say why they can't: the corrections of one table are too few to learn from."""


def _variants(written: str) -> list[str]:
    """The command without what stands in brackets, and with it."""
    least = " ".join(re.sub(r"\[[^]]*\]", "", written).split())
    return list(dict.fromkeys([least, re.sub(r"[\[\]]", "", written)]))


@dataclass(frozen=True)
class Desk:
    """The program beside the sample feeds, and what else the words in capitals stand for."""

    program: Program
    feed: str

    def line(self, written: str) -> list[str]:
        """Arguments for a command as the table writes it."""
        ((event, entry), (other, _), *_) = self.program.query(
            "SELECT event_id, max(entry_id) FROM v1_event_entry GROUP BY event_id ORDER BY count(*) DESC, event_id"
        )
        words = {"ID": event, "ENTRY": entry, "OTHER": other, "N": 2, "WORDS": "bridge"}
        words |= {"URL": self.feed, "FEED": self.feed, "LABELS": "labels.tsv", "TIME": utc_now().date()}
        command = next((command for command in FILES if written.startswith(command)), "")
        words["FILE"] = FILES.get(command, "")
        return [str(words.get(word, word)) for word in shlex.split(written.replace("…", ""))]


@pytest.fixture
def desk(program: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("PATH", path_with_clients(os.environ["PATH"]))
    _write_archive(program.folder, utc_now())
    with DemoServer(sample_feeds(utc_now())) as server:
        listed = server.opml()
        (program.folder / "other.opml").write_bytes(listed)
        (program.folder / "feeds.opml").write_bytes(listed)
        program.run("poll")
        feed = server.base_url + sample_feeds(utc_now())[-1].path
        program.run("feeds", "remove", feed)
        yield Desk(program, feed)


def _write_archive(folder: Path, now: datetime) -> None:
    """The items of the sample feeds as an archive, and the stories that they tell."""
    items = read_items()
    write_jsonl(
        folder / "archive.jsonl",
        [
            {
                "id": item.guid,
                "title": item.title,
                "text": "\n\n".join(item.told),
                "url": item.url,
                "source": item.outlet.title,
                "published": (now - timedelta(hours=item.hours_ago)).isoformat(),
                "lang": item.lang,
            }
            for item in items
        ],
    )
    (folder / "labels.tsv").write_text("".join(f"{item.guid}\t{item.story}\n" for item in items))


def test_each_command_of_the_table_does_its_work(desk: Desk) -> None:
    assert len(WRITTEN) > 25
    for variant in (variant for written in WRITTEN if written not in MOVES for variant in _variants(written)):
        if variant in STAYS:
            _serve_for_a_moment(desk.program, variant)
        else:
            line = desk.line(variant)
            done = desk.program.run(*line, status=int(variant in TOO_FEW))
            assert done.stdout or done.stderr or (desk.program.folder / line[-1]).is_file(), variant


@pytest.mark.sqlite("it moves from SQLite to PostgreSQL")
@pytest.mark.parametrize("variant", [variant for written in MOVES for variant in _variants(written)])
def test_the_move_of_the_table_is_made(variant: str, program: Program, new_database: str) -> None:
    program.bring(
        {"id": "1", "title": "Bridge at Alder closed", "text": "It has cracks.", "source": "Alder Post"}
    )
    program.run(*variant.replace("TARGET_URL", new_database).split())
    assert count(new_database, "v1_entry") == 1


def _serve_for_a_moment(program: Program, written: str) -> None:
    with program.start(*written.split()) as running:
        assert running.stderr is not None
        assert any("running; stop with" in line for line in running.stderr)
        running.terminate()
        assert running.wait(60) == 0
