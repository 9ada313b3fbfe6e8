"""How long it takes until another process groups where the one that did was killed, on PostgreSQL.

usage: python benchmarks/takeover.py [ENTRIES]     (1,000,000)

A database of so many signatures of three days is filled first: BASE made-up entries (made_up.py), and copies of
their rows. Then two processes compete for grouping, the elected one is killed, and an entry is brought: printed is
when the other one was elected, and when it had built its memory and grouped the entry. Building is also measured by
itself.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from made_up import stories
from sqlalchemy import text
from sqlalchemy.engine import Connection

from aggregator.cluster.postings import day_of
from aggregator.config import load_settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.pipeline.memory import share_one_arena
from aggregator.store import Store, open_store
from aggregator.store.events import pending_entries
from tests.crowd import GROUPS, Crowd, wait
from tests.servers import own_server

BASE = 10_000
DAYS = 3.0
PATIENCE_SECONDS = 1_800
TERM = "SELECT coalesce(max(term), 0) FROM election WHERE role = 'cluster'"


def main() -> None:
    """Prints the figures."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    share_one_arena()
    with own_server() as server, tempfile.TemporaryDirectory() as folder:
        url = server.new_database()
        store = open_store(url)
        fill(store, size)
        bring(store, 1)
        seconds, computing = built_in(store)
        print(
            f"{size:,} signatures: memory built in {seconds:.1f} s, {computing:.1f} s of computing",
            flush=True,
        )
        crowd = Crowd(Path(folder), {"DATABASE": url})
        try:
            take_over(store, crowd)
        finally:
            crowd.end()
            store.close()


def fill(store: Store, size: int) -> None:
    """Fills an empty database with settled entries that have signatures and decisions."""
    base = min(size, BASE)
    with store.write() as db:
        db.execute(text("DROP INDEX IF EXISTS entry_words_index"))  # nobody searches here
    for _ in import_lines(store, (line for _, line in stories(base, DAYS, seed=1)), utc_now()):
        continue
    with store.write() as db:
        db.execute(text("SET LOCAL session_replication_role = replica"))
        db.execute(
            text(
                "INSERT INTO decision (entry_id, at, among, seen, rule, mean, size, threshold, model, features, "
                "compared, regroup) "
                "SELECT id, first_seen_at, :size, 0, 'alone', 0, 1, 0.6, '', 0, '', false FROM entry"
            ),
            {"size": size},
        )
        db.execute(text("UPDATE entry SET pending = false"))
        for copy in range(1, -(-size // base)):
            for table in ("entry", "signature", "decision"):
                multiply(db, table, copy, base)
        db.execute(text("SELECT setval(pg_get_serial_sequence('entry', 'id'), (SELECT max(id) FROM entry))"))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM ANALYZE entry, signature, decision"))


def multiply(db: Connection, table: str, copy: int, base: int) -> None:
    """Adds the first rows of a table once more, as those of other entries."""
    columns = db.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys()
    number = "id" if table == "entry" else "entry_id"
    changed = {number: f"{number} + {copy * base}", "identity": f"identity || '-{copy}'"}
    values = ", ".join(changed.get(column, column) for column in columns)
    db.execute(
        text(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {number} <= :base"
        ),
        {"base": base},
    )


def bring(store: Store, number: int) -> None:
    """One more entry of those days, pending."""
    (line,) = (line for _, line in stories(1, DAYS, seed=100 + number))
    for _ in import_lines(store, [line], utc_now()):
        continue


def built_in(store: Store) -> tuple[float, float]:
    """Seconds in which a clusterer's memory is built, and of computing that this process needs for it."""
    clusterer = Clusterer(store, load_settings({"window_days": DAYS}), utc_now)
    with store.read() as db:
        waiting = pending_entries(db, 10)
        started, computed = time.perf_counter(), time.process_time()
        clusterer._load(db, {day_of(entry.at) for entry in waiting}, {entry.id for entry in waiting})  # noqa: SLF001
    return time.perf_counter() - started, time.process_time() - computed


def take_over(store: Store, crowd: Crowd) -> None:
    """Has the elected process killed, and waits until the other one has grouped what waits."""

    def number(query: str) -> int:
        with store.read() as db:
            return int(db.execute(text(query)).scalar() or 0)

    pending = "SELECT count(*) FROM entry WHERE pending"
    crowd.start(GROUPS)
    wait(lambda: number(TERM) == 1 and number(pending) == 0, PATIENCE_SECONDS)
    crowd.start(GROUPS)
    wait(lambda: "standing by" in crowd.logs[1].read_text())
    bring(store, 2)
    killed_at = time.perf_counter()
    crowd.kill(0)
    wait(lambda: number(TERM) == 2, PATIENCE_SECONDS)
    print(f"elected after {time.perf_counter() - killed_at:.1f} s", flush=True)
    wait(lambda: number(pending) == 0, PATIENCE_SECONDS)
    print(f"had grouped what waited after {time.perf_counter() - killed_at:.1f} s", flush=True)


if __name__ == "__main__":
    main()
