"""How fast `db move` brings an SQLite database to PostgreSQL, stage by stage, and what memory it takes.

`python benchmarks/move.py [--keep FOLDER] [ENTRIES]` (default 100000): a database is filled with so many entries of
made-up news in events (filled.py) and moved into a fresh server that waits for its disk, as servers do. The stages
are those of the command, in a process of its own, whose peak memory up to the end of each is shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.store import open_store
from aggregator.store.moving import Compared, open_move
from tests.servers import OwnServer, started_server


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a move: the rows that are moved, seconds, those of them computing, megabytes at most by then."""

    name: str
    rows: int
    wall: float
    computing: float
    peak: float


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entries", nargs="?", type=int, default=100_000)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="keep what was built, for the next time")
    asked = parser.parse_args()
    # Not above: the process that moves, which imports this file, is to have the memory of the command.
    from filled import database  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory() as scratch,
        started_server() as server,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart,
    ):
        path = database(asked.keep or Path(scratch), asked.entries, is_kept=asked.keep is not None)
        source, target = f"sqlite:///{path}", OwnServer(server).new_database()
        open_store(source).close()  # one that was kept may have an older schema, and a log to be folded in
        print(f"{asked.entries:,} entries, {path.stat().st_size / 1e6:,.0f} MB", flush=True)
        for stage in apart.submit(move, source, target).result():
            each = f"{stage.rows / stage.wall:10,.0f} rows/s" if stage.rows else " " * 17
            print(
                f"  {stage.name:<26} {stage.wall:6.1f} s, {stage.computing:5.1f} s of computing, {each}, "
                f"at most {stage.peak:.0f} MB"
            )


def move(source: str, target: str) -> list[Stage]:
    """Moves the one to the other."""
    stages: list[Stage] = []
    compared: list[Compared] = []
    with ExitStack() as stack, timed(stages, "everything") as everything:
        with timed(stages, "schema and locks"):
            moving = stack.enter_context(open_move(source, target))
        everything.append(moving.total)
        steps: dict[str, Iterable[int]] = {
            "copying": moving.copy(),
            "indexes, keys, statistics": moving.finish(),
            "comparing both sides": moving.verify(compared),
        }
        for name, step in steps.items():
            with timed(stages, name) as rows:
                rows.append(moving.total)
                for _ in step:
                    continue
        assert all(table.is_same for table in compared)
        moving.declare()
    return stages


@contextmanager
def timed(stages: list[Stage], name: str) -> Iterator[list[int]]:
    """Notes a stage when it ends; takes counts of its rows."""
    rows: list[int] = []
    started, computed = time.perf_counter(), time.process_time()
    yield rows
    # Not getrusage: that counts the parent's memory, too, which a process has until it is a program of its own.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    wall, computing = time.perf_counter() - started, time.process_time() - computed
    stages.append(Stage(name, sum(rows), wall, computing, peak))


if __name__ == "__main__":
    main()
