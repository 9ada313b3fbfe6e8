"""Databases full of made-up news whose events are known, for measuring what size does.

`build(path, size)` fills one with `size` entries of three days (made_up.py) in finished events, each with its
record and coverage, and `NEW` more of the same days that wait to be grouped. That takes about a millisecond an
entry; with `--keep FOLDER` the benchmarks keep what they built and use it again.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from made_up import stories
from sqlalchemy import text

from aggregator.cluster.links import links_from
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.record import refresh_records
from aggregator.store import Store, open_store
from aggregator.types import EventId

DAYS = 3.0
NEW = 3_000
BLOCK = 30_000
"""Entries that are brought in the order of their outlets, as polls bring them."""

RECORDS = 1_000

EVENTS = (
    """INSERT INTO event
        (id, canonical_entry_id, first_seen_at, last_seen_at, entry_count, source_count, relate)
        SELECT told.event, told.event, min(first_seen_at), max(first_seen_at), count(*), count(DISTINCT source),
        false
        FROM entry JOIN told ON told.entry = entry.id GROUP BY told.event""",
    """INSERT INTO decision
        (entry_id, at, among, seen, rule, mean, size, threshold, model, features, compared, regroup)
        SELECT id, first_seen_at, :among, 0, 'alone', 0, 1, 0.6, '', 0, :nothing, false FROM entry WHERE pending""",
    """UPDATE entry SET pending = false, event_id = told.event,
        relation = CASE WHEN id = told.event THEN 'canonical' ELSE 'same_event' END
        FROM told WHERE told.entry = entry.id""",
)
"""The old entries stand in the events that they were made for, each with its first one as the record."""


def database(folder: Path, size: int, *, is_kept: bool) -> Path:
    """A database of `size` settled entries and NEW pending ones in `folder`, that may be changed."""
    built = folder / f"filled-{size}.db"
    if not built.exists():
        partial = built.with_suffix(".partial")
        _remove(partial)
        store = open_store(f"sqlite:///{partial}")
        build(store, size)
        store.close()
        partial.rename(built)
    if not is_kept:
        return built
    copy = folder / f"used-{size}.db"
    _remove(copy)
    shutil.copyfile(built, copy)
    return copy


def _remove(database: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)


def build(store: Store, size: int) -> None:
    """Fills an empty database."""
    # Old and new entries are of one world: the same topics, some of the same events.
    every = max(2, (size + NEW) // NEW)
    made = list(stories(size + NEW, DAYS, seed=1))
    new = made[::every][:NEW]
    chosen = set(new)
    old = [one for one in made if one not in chosen]
    _bring(store, (line for _, line in old))
    event = {json.loads(line)["id"]: label for label, line in old}
    with store.write() as db:
        first: dict[str, int] = {}
        rows = db.execute(text("SELECT id, guid FROM entry ORDER BY id")).all()
        told = [{"entry": row.id, "event": first.setdefault(event[row.guid], row.id)} for row in rows]
        db.execute(text("CREATE TEMPORARY TABLE told (entry INTEGER PRIMARY KEY, event INTEGER)"))
        db.execute(text("INSERT INTO told VALUES (:entry, :event)"), told)
        for statement in EVENTS:
            bound = {"among": size, "nothing": b""} if ":among" in statement else {}
            db.execute(text(statement), bound)
        db.execute(text("DROP TABLE told"))
    for part in _parts(first.values(), RECORDS):
        with store.write() as db:
            refresh_records(db, [EventId(event) for event in part], (), links_from(()))
    with store.write() as db:
        db.execute(text("UPDATE event SET relate = false"))
        db.execute(
            text(
                "INSERT INTO change (event_id, kind, at) SELECT id, 'created', last_seen_at FROM event ORDER BY id"
            )
        )
    _bring(store, (line for _, line in new))


def _bring(store: Store, lines: Iterable[bytes]) -> None:
    for block in _parts(lines, BLOCK):
        by_outlet = sorted(block, key=lambda line: str(json.loads(line)["source"]))
        for _ in import_lines(store, by_outlet, utc_now()):
            continue


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
