"""The command `import` with an archive and an empty PostgreSQL database, killed once and given again.

`python benchmarks/interrupted.py [--entries 100000] [--days 200] [--kill-after 60]`: every half minute a line with
the entries that are there, those of them that wait, the events, and the memory of all processes so far at most
(pages that they share counted once). It ends with status 1 if an entry is missing, there twice, or still waits.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from made_up import stories
from rest import memory
from sqlalchemy import text

from aggregator.store import Store, open_store
from tests.servers import own_server

PROGRAM = Path(__file__).parent.parent / "run.py"
COUNTS = (
    "SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM entry WHERE pending), "
    "(SELECT count(*) FROM event WHERE merged_into IS NULL)"
)
TOLD_SECONDS = 30


def main() -> None:
    """Prints how both runs went."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--days", type=float, default=200)
    parser.add_argument("--kill-after", type=float, default=60, help="seconds")
    asked = parser.parse_args()
    with own_server() as server, tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive.jsonl"
        with archive.open("wb") as file:
            file.writelines(line + b"\n" for _, line in stories(asked.entries, asked.days, seed=1))
        url = server.new_database()
        store = open_store(url)
        take_in(archive, url, store, asked.kill_after)
        take_in(archive, url, store, None)
        there, waiting, _ = counts(store)
        store.close()
    if (there, waiting) != (asked.entries, 0):
        sys.exit(f"{there:,} entries of {asked.entries:,}, {waiting:,} of them wait")


def take_in(archive: Path, url: str, store: Store, kill_after: float | None) -> None:
    """Runs the command, to its end or until it is killed with all its processes."""
    began, most, told = time.perf_counter(), 0.0, 0
    command = subprocess.Popen(
        [sys.executable, str(PROGRAM), "import", str(archive)],
        env=os.environ | {"AGGREGATOR_DATABASE": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while command.poll() is None:
        time.sleep(1)
        most = max(most, memory(command.pid))
        seconds = time.perf_counter() - began
        if seconds // TOLD_SECONDS > told:
            told = int(seconds // TOLD_SECONDS)
            show(seconds, store, most)
        if kill_after is not None and seconds > kill_after:
            os.killpg(command.pid, signal.SIGKILL)
            command.wait()
    show(time.perf_counter() - began, store, most)
    print("killed" if command.returncode < 0 else f"ended with status {command.returncode}", flush=True)


def counts(store: Store) -> tuple[int, int, int]:
    """The entries, those that wait, and the events."""
    with store.read() as db:
        there, waiting, events = db.execute(text(COUNTS)).one()
    return int(there), int(waiting), int(events)


def show(seconds: float, store: Store, most: float) -> None:
    """A line on how far it is."""
    there, waiting, events = counts(store)
    print(
        f"{seconds:5.0f} s: {there:,} entries, {waiting:,} wait, {events:,} events, {most:.0f} MB", flush=True
    )


if __name__ == "__main__":
    main()
