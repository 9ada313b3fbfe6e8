"""Writers that are all released in the same instant, each time to tell the same stories, each as another outlet.

`python -m tests.barrier DATABASE OUTLET SEED STORIES BATCH` is one of them: it says "ready", and for each line
that it is told brings the next stories and says how many.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.store import Store, open_store
from tests.crowd import told
from tests.program import ROOT

WRITERS = 4
PUBLISHED = "2026-11-23T12:00:00+00:00"

Partition = frozenset[frozenset[str]]


def expected(stories: int) -> Partition:
    """The events that there are: each story as its four outlets tell it, word for word."""
    return frozenset(
        frozenset(f"{number}-{outlet}" for outlet in range(WRITERS)) for number in range(stories)
    )


def partition_of(store: Store) -> Partition:
    """The events that a database holds, by the guids of their entries."""
    events: dict[int, set[str]] = defaultdict(set)
    query = "SELECT event_id, guid FROM v1_event_entry"
    with store.read() as db:
        for event, guid in db.execute(text(query)):
            events[event].add(guid)
    return frozenset(map(frozenset, events.values()))


def lines(seed: int, stories: int, outlets: Sequence[int]) -> list[bytes]:
    """The stories as these outlets tell them, in order of the stories."""
    return [
        json.dumps(
            {
                "id": f"{number}-{outlet}",
                "source": f"Outlet {outlet}",
                "title": title,
                "text": words,
                "url": f"https://outlet{outlet}.example/{number}",
                "published": PUBLISHED,
                "lang": "en",
            }
        ).encode()
        for number, (title, words) in enumerate(told(stories, random.Random(seed)))
        for outlet in outlets
    ]


def bring_at_once(url: str, seed: int, stories: int, batch: int) -> Iterator[int]:
    """Has four processes bring all stories to a database, batch after batch at a barrier; yields after each."""
    with ExitStack() as stack:
        writers = []
        for outlet in range(WRITERS):
            command = [sys.executable, "-m", "tests.barrier", url, *map(str, (outlet, seed, stories, batch))]
            writer = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            stack.enter_context(writer)
            stack.callback(writer.kill)
            writers.append(writer)
        assert _hear(writers) == ["ready\n"] * WRITERS
        for _ in range(0, stories, batch):
            for writer in writers:
                assert writer.stdin
                writer.stdin.write("go\n")
            yield sum(map(int, _hear(writers)))


def _hear(writers: Sequence[subprocess.Popen[str]]) -> list[str]:
    """The next line of each."""
    return [writer.stdout.readline() for writer in writers if writer.stdout]


def bring_alone(store: Store, seed: int, stories: int) -> None:
    """One process brings and groups all of them, in random order."""
    every = lines(seed, stories, range(WRITERS))
    random.Random(seed + 1).shuffle(every)
    for _ in import_lines(store, every, utc_now()):
        continue
    for _ in Clusterer(store, load_settings({}), utc_now).work():
        continue


def main() -> None:
    """One writer."""
    url, *numbers = sys.argv[1:]
    outlet, seed, stories, batch = map(int, numbers)
    own = lines(seed, stories, [outlet])
    # The same order for all: what is told in the same instant is the same story.
    random.Random(seed).shuffle(own)
    store = open_store(url)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for start, _ in zip(range(0, stories, batch), sys.stdin, strict=False):
        new = sum(report.new for report in import_lines(store, own[start : start + batch], utc_now()))
        sys.stdout.write(f"{new}\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
