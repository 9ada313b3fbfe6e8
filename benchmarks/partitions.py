"""What PostgreSQL's partitions are worth when old entries go, and what they cost when new ones come.

usage: python benchmarks/partitions.py [ENTRIES]     (10,000; at most 90,000)

A database of so many made-up entries in events is filled (filled.py) and copied. All of it is old then. In one
copy `Pruner`, as the daemon has it, drops the partition; in the other an entry is pinned, so that the partition
stays and its rows go one by one. Meanwhile another process writes an entry with its signature into the next
partition up to a hundred times a second, and says how long that took. Before both it writes alone.

Then new entries are inserted as polls insert them, in turns with the trigger that keeps identities unique and
without it. The server does not wait for the disk, so what is measured is its work.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from filled import build
from made_up import stories
from sqlalchemy import make_url, text
from sqlalchemy.engine import Connection

from aggregator.config import load_settings
from aggregator.pipeline.correcting import pin
from aggregator.pipeline.pruning import Pruner
from aggregator.store import open_store
from aggregator.store.dialect import insert_new
from aggregator.store.feeds import import_feeds
from aggregator.store.partitions import Range, ranges
from aggregator.store.tables import ENTRY, SIGNATURE
from aggregator.types import EntryId, FeedId
from tests.servers import OwnServer, own_server

FIRST = Range(0, 100_000)
ALONE_SECONDS = 5.0
WRITES_EVERY_SECONDS = 0.01
KEEP_DAYS = 30
LATER = timedelta(days=400)
ROUNDS, ROWS, AT_ONCE = 5, 2_000, 500
GROWN = "SELECT count(*) FROM entry WHERE id < 100000"
SIZE = "SELECT pg_database_size(current_database())"


@dataclass(frozen=True)
class Waits:
    """How long the transactions of the writer took, in seconds."""

    seconds: Sequence[float]

    def __str__(self) -> str:
        longest, usual = max(self.seconds), statistics.median(self.seconds)
        late = sorted(self.seconds)[int(len(self.seconds) * 0.99)]
        return f"{usual * 1e3:.1f} ms | {late * 1e3:.0f} ms | {longest * 1e3:.0f} ms"


def main() -> None:
    """Prints two tables."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with own_server() as server:
        filled = fill(server, size)
        print("| | seconds | steps | given back | after VACUUM | writer: median | 99 % | longest |")
        print("|---|---|---|---|---|---|---|---|")
        with writing(filled) as waits:
            time.sleep(ALONE_SECONDS)
        print(f"| nothing goes | {ALONE_SECONDS:.0f} | | | | {waits()} |", flush=True)
        for name in ("dropped", "row by row"):
            print(pruned(copied(server, filled), name), flush=True)
        print()
        print(inserted(server.new_database()))


def fill(server: OwnServer, size: int) -> str:
    """The URL of a database whose first partition is full, with settled entries alone."""
    url = server.new_database()
    store = open_store(url)
    build(store, size)
    with store.write() as db:
        pending = "SELECT id FROM entry WHERE pending"
        for table in ("signature", "listed_item", "decision"):
            db.execute(text(f"DELETE FROM {table} WHERE entry_id IN ({pending})"))
        db.execute(text("DELETE FROM entry WHERE pending"))
        db.execute(text(f"SELECT setval('entry_id_seq', {FIRST.end})"))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM ANALYZE"))
    store.close()
    return url


def copied(server: OwnServer, url: str) -> str:
    """The URL of a copy of a database that nobody uses."""
    copy = server.new_database()
    names = [make_url(one).database for one in (copy, url)]
    server.execute(f"DROP DATABASE {names[0]}")
    server.execute(f"CREATE DATABASE {names[0]} TEMPLATE {names[1]}")
    return copy


def pruned(url: str, name: str) -> str:
    """A row of the table: what it took to remove all old entries."""
    store = open_store(url)
    with store.read() as db:
        entries, oldest = db.execute(text("SELECT count(*), min(id) FROM entry WHERE id < 100000")).one()
        before = db.execute(text(SIZE)).scalar_one()
    if name == "row by row":
        pin(store, EntryId(oldest), datetime.now(UTC))
    pruner = Pruner(store, load_settings({"database": url, "keep_days": str(KEEP_DAYS)}), _later)
    steps = 0
    with writing(url) as waits:
        started = time.perf_counter()
        while pruner.step() is not None:
            steps += 1
        seconds = time.perf_counter() - started
    with store.read() as db:
        after = db.execute(text(SIZE)).scalar_one()
        left = db.execute(text(GROWN)).scalar_one()
        is_dropped = FIRST not in ranges(db, "entry")
    assert is_dropped == (name == "dropped")
    assert left < entries / 100
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM"))
        vacuumed = db.execute(text(SIZE)).scalar_one()
    store.close()
    return (
        f"| {entries:,} entries {name} | {seconds:.1f} | {steps:,} | {(before - after) / 1e6:.0f} MB | "
        f"{(before - vacuumed) / 1e6:.0f} MB of {before / 1e6:.0f} | {waits()} |"
    )


def _later() -> datetime:
    return datetime.now(UTC) + LATER


@contextmanager
def writing(url: str) -> Iterator[Any]:
    """Another process writes in the meantime; what is given tells, in the end, how long it waited."""
    context = multiprocessing.get_context("spawn")
    begun, stop = context.Event(), context.Event()
    told = context.Queue()
    writer = context.Process(target=write, args=(url, begun, stop, told))
    writer.start()
    assert begun.wait(60)
    found: list[Waits] = []
    try:
        yield lambda: found[0]
    finally:
        stop.set()
        found.append(Waits(told.get(timeout=60)))
        writer.join()


def write(url: str, begun: Event, stop: Event, told: Any) -> None:
    """Writes an entry after the other until told to stop."""
    store = open_store(url)
    with store.write() as db:
        feed = import_feeds(db, ["Writer"])["Writer"]
    run = time.time_ns()
    seconds = []
    for number in itertools.count():
        started = time.perf_counter()
        with store.write() as db:
            # Young also by the clock of those who remove what is old.
            insert_rows(db, feed, [("A word", f"of number {number}")], f"{run} {number}", _later())
            db.execute(text("UPDATE feed SET failures = 0 WHERE id = :feed"), {"feed": feed})
        if number:
            seconds.append(time.perf_counter() - started)
        else:
            begun.set()
        if stop.wait(WRITES_EVERY_SECONDS):
            break
    told.put(seconds)
    store.close()


def insert_rows(
    db: Connection, feed: FeedId, texts: Sequence[tuple[str, str]], name: str, at: datetime
) -> None:
    """New entries with blank signatures."""
    plain = {"date_guessed": False, "truncated": False, "pending": False, "text_key": 0, "title_key": 0}
    rows = [
        plain
        | {"feed_id": feed, "identity": f"{name} {number}", "title": title, "text": words}
        | {"published_at": at, "first_seen_at": at}
        for number, (title, words) in enumerate(texts)
    ]
    made = db.execute(insert_new(db, ENTRY).returning(ENTRY.c.id), rows).scalars().all()
    blank = {column.name: b"" for column in SIGNATURE.c} | {"at": at, "scheme": 1, "truncated": False}
    db.execute(insert_new(db, SIGNATURE), [blank | {"entry_id": number} for number in made])


def inserted(url: str) -> str:
    """A table: entries a second with and without the trigger."""
    store = open_store(url)
    with store.write() as db:
        feed = import_feeds(db, ["Paper"])["Paper"]
    lines = (json.loads(line) for _, line in stories(ROWS, 3.0, seed=2))
    texts = [(one["title"], one.get("text", "")) for one in lines]
    speeds: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    for turn in range(ROUNDS):
        for state, found in speeds.items():
            with store.write() as db:
                db.execute(text(f"ALTER TABLE entry {state} TRIGGER entry_is_new"))
            started = time.perf_counter()
            for start in range(0, ROWS, AT_ONCE):
                with store.write() as db:
                    part = texts[start : start + AT_ONCE]
                    insert_rows(db, feed, part, f"{state} {turn} {start}", datetime.now(UTC))
            found.append(ROWS / (time.perf_counter() - started))
    store.close()
    rows = [
        f"| {name} | {statistics.median(found):,.0f} | {min(found):,.0f} to {max(found):,.0f} |"
        for name, found in zip(
            ("identities kept unique", "without the trigger"), speeds.values(), strict=True
        )
    ]
    return "\n".join(
        ["| entries with signatures | a second, median | least and most |", "|---|---|---|", *rows]
    )


if __name__ == "__main__":
    main()
