"""Many processes of the program on one PostgreSQL, known stories for them, and a reader that follows them."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from aggregator.pipeline.clock import utc_now
from tests.forks import Running, start
from tests.loopback import Answer, LoopbackServer, Request
from tests.program import environment
from tests.stage import item, ok, rss

PATIENCE_SECONDS = 240
FETCHES = ("--no-cluster", "--no-web")
GROUPS = ("--no-poll", "--no-web")

AT_REST = (
    "SELECT NOT EXISTS (SELECT FROM entry WHERE pending) AND NOT EXISTS (SELECT FROM decision WHERE regroup) "
    "AND NOT EXISTS (SELECT FROM event WHERE relate)"
)
"""Whether nothing is left to group."""


def wait(until: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Returns once it is so."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def told(count: int, chance: random.Random) -> list[tuple[str, str]]:
    """(title, text) of stories that share no words."""
    stories = []
    for _ in range(count):
        words = ["".join(chance.choices("bcdfghklmnprstvz", k=3)) + chance.choice("aeiou") for _ in range(60)]
        stories.append((" ".join(words[:8]).capitalize(), " ".join(words[8:])))
    return stories


class Crowd:
    """Processes of some roles, in which any may be killed."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        self._folder = folder
        self._settings = settings
        self._running: list[tuple[Sequence[str], Running]] = []
        self.logs: list[Path] = []

    @property
    def pids(self) -> list[int]:
        """The processes, the oldest first."""
        return [process.pid for _, process in self._running]

    def start(self, roles: Sequence[str]) -> None:
        """One more process."""
        log = self._folder / f"log{len(self.logs)}"
        self.logs.append(log)
        with log.open("wb") as written:
            process = start(
                self._folder, environment(self._folder, self._settings), "serve", *roles, stderr=written
            )
        self._running.append((roles, process))

    def replace(self, number: int) -> None:
        """Kills one, and starts another of its roles."""
        self.start(self.kill(number))

    def kill(self, number: int) -> Sequence[str]:
        """Kills one; its roles."""
        roles, process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return roles

    def end(self) -> None:
        """Kills all."""
        for _, process in self._running:
            process.kill()
            process.wait()
        self._running.clear()


class Outlets:
    """Feeds that share stories: each is told word for word by four of them, and comes sooner or later."""

    def __init__(self, server: LoopbackServer, feeds: int, stories: Sequence[tuple[str, str]]) -> None:
        self._server = server
        self.paths = [f"/{number}" for number in range(feeds)]
        self._items: dict[str, list[str]] = defaultdict(list)
        self.expected: set[frozenset[tuple[str, str]]] = set()
        now = format_datetime(utc_now())
        for number, (title, words) in enumerate(stories):
            tellers = [self.paths[(number + step * (feeds // 4)) % feeds] for step in range(4)]
            for path in tellers:
                extra = f"<description>{words}</description><pubDate>{now}</pubDate>"
                link = f"https://outlet{path[1:]}.example/{number}"
                self._items[path].append(item(str(number), title=title, link=link, extra=extra))
            self.expected.add(frozenset((server.url(path), f"guid-{number}") for path in tellers))
        for path in self.paths:
            server.on(path, self._answer)

    def _answer(self, request: Request) -> Answer:
        """Two items more at each request; those before stay."""
        asked = len(self._server.asked(request.path))
        return ok(rss(*self._items[request.path][: 2 * asked]))

    def write_list(self, file: Path) -> None:
        """The feeds as OPML."""
        outlines = "".join(f"<outline xmlUrl='{self._server.url(path)}'/>" for path in self.paths)
        file.write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")


VIEWS = {
    "v1_event": "SELECT * FROM v1_event WHERE id = ANY(:events)",
    "v1_event_entry": "SELECT event_id AS id, entry_id, relation FROM v1_event_entry WHERE event_id = ANY(:events)",
    "v1_teaser": "SELECT event_id AS id, position, kind, text, entry_id, related_event_id FROM v1_teaser "
    "WHERE event_id = ANY(:events)",
}
"""What a reader keeps of an event."""


@dataclass
class Mirror:
    """A reader that follows `v1_change` by cursor and reads again what each change names, whatever else goes on."""

    url: str
    seen: list[tuple[int, int, str]] = field(default_factory=list)
    kept: dict[str, dict[int, list[tuple[Any, ...]]]] = field(
        default_factory=lambda: {view: {} for view in VIEWS}
    )
    failures: int = 0

    def follow(self, stop: threading.Event) -> None:
        """Reads until told to stop; a server that does not answer is asked again."""
        engine = create_engine(
            make_url(self.url).set(drivername="postgresql+psycopg"), isolation_level="REPEATABLE READ"
        )
        while not stop.wait(0.02):
            try:
                with engine.connect() as db:
                    self.look(db)
            except DBAPIError:
                self.failures += 1
        engine.dispose()

    def look(self, db: Connection) -> int:
        """Reads what came since the last look; how many changes that were."""
        after = self.seen[-1][0] if self.seen else 0
        query = "SELECT cursor, event_id, kind, other_event_id FROM v1_change WHERE cursor > :after ORDER BY cursor"
        changes = db.execute(text(query), {"after": after}).all()
        named = {
            event for row in changes for event in (row.event_id, row.other_event_id) if event is not None
        }
        found = {view: _by_event(db, sql, named) for view, sql in VIEWS.items()}
        for view, rows in found.items():
            self.kept[view].update({event: rows.get(event, []) for event in named})
        self.seen += [(row.cursor, row.event_id, row.kind) for row in changes]
        return len(changes)

    def differences(self, db: Connection) -> dict[str, list[Any]]:
        """Of each view the events that it shows otherwise than the reader has them."""
        events = [row.id for row in db.execute(text("SELECT id FROM v1_event"))]
        there = {view: _by_event(db, sql, events) for view, sql in VIEWS.items()}
        return {
            view: [
                (event, self.kept[view].get(event), there[view].get(event, []))
                for event in events
                if self.kept[view].get(event) != there[view].get(event, [])
            ]
            for view in VIEWS
        }


def _by_event(db: Connection, sql: str, events: Any) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in db.execute(text(sql), {"events": list(events)}):
        found[row.id].append(tuple(row))
    return {event: sorted(rows, key=repr) for event, rows in found.items()}
