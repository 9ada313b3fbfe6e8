"""How fast entries are grouped, and how that depends on how many the window holds.

`python benchmarks/growth.py [ENTRIES ...]` (default 10000 100000): for each number a database is filled with so
many entries of made-up news (benchmarks/made_up.py) of three days, signed and marked as settled, a process's memory
is built from it, and the next 3,000 entries of the same days are grouped. Their first third warms up and does not
count.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from made_up import stories
from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.store import Store, open_store

DAYS = 3.0
WARM, MEASURED = 1_000, 2_000

SETTLE = (
    (
        "INSERT INTO event (id, canonical_entry_id, first_seen_at, last_seen_at, entry_count, source_count, relate)"
        " SELECT id, id, first_seen_at, first_seen_at, 1, 1, false FROM entry WHERE pending"
    ),
    (
        "INSERT INTO decision (entry_id, at, among, seen, rule, mean, size, threshold, model, compared, regroup)"
        " SELECT id, first_seen_at, :among, 0, 'alone', 0, 1, 0.6, '', x'', false FROM entry WHERE pending"
    ),
    "UPDATE entry SET event_id = id, relation = 'canonical', pending = false WHERE pending",
)


def main() -> None:
    """Prints a line for each size of the window."""
    for size in [int(value) for value in sys.argv[1:]] or [10_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(f"sqlite:///{folder}/news.db")
            _measure(store, size)
            store.close()


def _measure(store: Store, size: int) -> None:
    # Old and new entries are of one world: the same topics, some of the same events.
    lines = [line for _, line in stories(size + WARM + MEASURED, DAYS, seed=1)]
    step = len(lines) // (WARM + MEASURED)
    new = lines[::step][: WARM + MEASURED]
    chosen = set(new)
    _import(store, (line for line in lines if line not in chosen))
    with store.write() as db:
        for statement in SETTLE:
            db.execute(text(statement), {"among": size} if ":among" in statement else {})
    _import(store, new)
    clusterer = Clusterer(store, load_settings({"window_days": DAYS}), utc_now)
    started = time.perf_counter()
    done, marks = 0, [0.0]
    for report in clusterer.settle_pending():
        done += report.entries
        if done >= WARM and marks == [0.0]:
            marks = [time.perf_counter(), done]
    seconds = time.perf_counter() - marks[0]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{size:>9,} entries in the window: {(done - marks[1]) / seconds:6,.0f} entries a second, "
        f"{seconds / (done - marks[1]) * 1000:.2f} ms each; memory built and warm after "
        f"{marks[0] - started:.1f} s; {memory:,.0f} MB at most",
        flush=True,
    )


def _import(store: Store, lines: Iterable[bytes]) -> None:
    for _ in import_lines(store, lines, utc_now()):
        continue


if __name__ == "__main__":
    main()
