"""How fast entries are grouped, and how that depends on how many the window holds.

`python benchmarks/growth.py [ENTRIES ...]` (default 10000 100000): for each number a database is filled with so
many entries of made-up news (benchmarks/made_up.py) of three days, signed and marked as settled, a process's memory
is built from it, and the next 3,000 entries of the same days are grouped. Their first third warms up, then what is
near to every old entry is found, as in a daemon that has run for days; only the others count.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from made_up import stories
from sqlalchemy import text

from aggregator.cluster.judge import survey
from aggregator.config import load_settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.store import Store, open_store

DAYS = 3.0
WARM, MEASURED = 1_000, 2_000

SETTLE = (
    """INSERT INTO event
        (id, canonical_entry_id, first_seen_at, last_seen_at, entry_count, source_count, relate)
        SELECT told.event, told.event, min(first_seen_at), max(first_seen_at), count(*), count(DISTINCT source),
        false
        FROM entry JOIN told ON told.entry = entry.id GROUP BY told.event""",
    """INSERT INTO decision
        (entry_id, at, among, seen, rule, mean, size, threshold, model, features, compared, regroup)
        SELECT id, first_seen_at, :among, 0, 'alone', 0, 1, 0.6, '', 0, x'', false FROM entry WHERE pending""",
    """UPDATE entry SET pending = false, event_id = told.event,
        relation = CASE WHEN id = told.event THEN 'canonical' ELSE 'same_event' END
        FROM told WHERE told.entry = entry.id""",
)
"""The old entries stand in the events that they were made for, each with its first one as the record."""


def main() -> None:
    """Prints a line for each size of the window."""
    for size in [int(value) for value in sys.argv[1:]] or [10_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(f"sqlite:///{folder}/news.db")
            _measure(store, size)
            store.close()


def _measure(store: Store, size: int) -> None:
    # Old and new entries are of one world: the same topics, some of the same events.
    made = list(stories(size + WARM + MEASURED, DAYS, seed=1))
    step = len(made) // (WARM + MEASURED)
    new = made[::step][: WARM + MEASURED]
    chosen = set(new)
    old = [one for one in made if one not in chosen]
    _import(store, old)
    event = {json.loads(line)["id"]: label for label, line in old}
    with store.write() as db:
        first: dict[str, int] = {}
        rows = db.execute(text("SELECT id, guid FROM entry ORDER BY id")).all()
        told = [{"entry": row.id, "event": first.setdefault(event[row.guid], row.id)} for row in rows]
        db.execute(text("CREATE TEMPORARY TABLE told (entry INTEGER PRIMARY KEY, event INTEGER)"))
        db.execute(text("INSERT INTO told VALUES (:entry, :event)"), told)
        for statement in SETTLE:
            db.execute(text(statement), {"among": size} if ":among" in statement else {})
    _import(store, new)
    clusterer = Clusterer(store, load_settings({"window_days": DAYS}), utc_now)
    started = time.perf_counter()
    done, marks = 0, [0.0]
    for report in clusterer.settle_pending():
        done += report.entries
        if done >= WARM and marks == [0.0]:
            window = clusterer._window  # noqa: SLF001 (no program has a use for this)
            for _ in survey(window, np.arange(len(window.entries))):
                continue
            marks = [time.perf_counter(), done]
    seconds = time.perf_counter() - marks[0]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{size:>9,} entries in the window: {(done - marks[1]) / seconds:6,.0f} entries a second, "
        f"{seconds / (done - marks[1]) * 1000:.2f} ms each; memory built and warm after "
        f"{marks[0] - started:.1f} s; {memory:,.0f} MB at most",
        flush=True,
    )


def _import(store: Store, made: Iterable[tuple[str, bytes]]) -> None:
    for _ in import_lines(store, (line for _, line in made), utc_now()):
        continue


if __name__ == "__main__":
    main()
