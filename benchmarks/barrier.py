"""Four writers at a barrier and two clusterers on PostgreSQL against one of each: the same events, or a failure.

usage: python benchmarks/barrier.py [ENTRIES]     (20,000)

ENTRIES are made of known stories, four outlets to each, word for word. Four processes bring them, 20 stories at a
time, all released in the same instant and all with the same stories, while two others compete for grouping; one
brings them alone in random order. Ends with exit status 1 if either leaves other events than there are.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.store import Store, open_store
from tests.barrier import WRITERS, bring_alone, bring_at_once, expected, partition_of
from tests.crowd import AT_REST, GROUPS, Crowd, wait
from tests.servers import OwnServer, own_server

BATCH, SEED = 20, 1
LONGEST_SECONDS = 3_600


def main() -> None:
    """Prints a line for each way, and fails if the events are others."""
    stories = int(sys.argv[1] if len(sys.argv) > 1 else 20_000) // WRITERS
    with own_server() as server:
        started = time.perf_counter()
        store = open_store(server.new_database())
        bring_alone(store, SEED, stories)
        alone = report("one process", store, stories, time.perf_counter() - started)
        together = at_once(server, stories)
    if not (alone and together):
        sys.exit("the events differ from those that there are")


def at_once(server: OwnServer, stories: int) -> bool:
    """The line of the four; whether their events are those that there are."""
    url = server.new_database()
    store = open_store(url)
    with tempfile.TemporaryDirectory() as folder:
        crowd = Crowd(Path(folder), {"DATABASE": url})
        started = time.perf_counter()
        try:
            for _ in range(2):
                crowd.start(GROUPS)
            new = sum(bring_at_once(url, SEED, stories, BATCH))
            brought = time.perf_counter() - started
            wait(lambda: is_at_rest(store), LONGEST_SECONDS)
        finally:
            crowd.end()
    print(f"four at a barrier: {new:,} entries brought in {brought:.0f} s")
    return report("four at a barrier", store, stories, time.perf_counter() - started)


def is_at_rest(store: Store) -> bool:
    """Whether nothing is left to group."""
    with store.read() as db:
        return bool(db.exec_driver_sql(AT_REST).scalar())


def report(who: str, store: Store, stories: int, seconds: float) -> bool:
    """Prints what is there; whether it is what there is to be."""
    found, wanted = partition_of(store), expected(stories)
    store.close()
    print(
        f"{who}: {sum(map(len, found)):,} entries in {len(found):,} events, {len(wanted):,} there are; "
        f"{len(found - wanted)} of them wrong; {seconds:.0f} s",
        flush=True,
    )
    return found == wanted


if __name__ == "__main__":
    main()
