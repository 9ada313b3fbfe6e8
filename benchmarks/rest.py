"""What the daemon costs while nothing happens: computing of all its processes, and their memory.

`python benchmarks/rest.py [FEEDS [SECONDS]]` (default 1000 and 60): a daemon with its page polls so many small
feeds once from a server on loopback and groups their entries; then, with no feed due, its processes are watched.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from peers import TICK, tree
from runs import ROOT, serving, write_list

FEED = """<rss version="2.0"><channel><title>Feed {0}</title><link>https://feed{0}.example/</link>
<item><title>Council {0} votes on bridge {1}</title><link>https://feed{0}.example/{1}</link></item></channel></rss>"""
SETTLED = (
    "SELECT (SELECT count(*) FROM v1_feed WHERE last_success_at IS NOT NULL), (SELECT count(*) FROM v1_entry \
WHERE event_id IS NULL)"
)
MOST_SECONDS = 300
CALM_SECONDS = 15


def main() -> None:
    """Prints one line."""
    count, seconds = int((sys.argv[1:] or ["1000"])[0]), int((sys.argv[2:] or ["60"])[0])
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "feed").mkdir()
        for number in range(count):
            (place / f"feed/{number}.xml").write_text(FEED.format(number, 7 * number))
        with serving(place) as base:
            write_list(place / "feeds.opml", base, [f"/feed/{number}.xml" for number in range(count)])
            daemon = subprocess.Popen(
                [sys.executable, str(ROOT / "run.py"), "serve"],
                env=os.environ | daemon_settings(place),
                stderr=subprocess.DEVNULL,
            )
            try:
                await_calm(place / "news.db", count)
                before = computing(daemon.pid)
                started = time.monotonic()
                time.sleep(seconds)
                spent = sum(computing(daemon.pid).values()) - sum(before.values())
                share = spent / (time.monotonic() - started)
                print(
                    f"{count} feeds at rest: {share:.2%} of a core over {seconds} s, {memory(daemon.pid):.0f} MB"
                )
            finally:
                daemon.terminate()
                daemon.wait()


def daemon_settings(place: Path) -> dict[str, str]:
    """The environment of a daemon on loopback that keeps everything in `place`."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    return {
        "AGGREGATOR_DATABASE": f"sqlite:///{place / 'news.db'}",
        "AGGREGATOR_OPML": str(place / "feeds.opml"),
        "AGGREGATOR_ALLOW_ADDRESSES": "127.0.0.1",
        "AGGREGATOR_HOST_DELAY": "0",
        "AGGREGATOR_HOST_CONNECTIONS": "64",
        "AGGREGATOR_PORT": str(port),
        "AGGREGATOR_LOG_LEVEL": "ERROR",
    }


def await_calm(database: Path, count: int) -> None:
    """Waits until every feed was read and every entry grouped, and a while longer."""
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        time.sleep(1)
        if not database.exists():
            continue
        try:
            with closing(sqlite3.connect(database)) as db:
                if tuple(db.execute(SETTLED).fetchone()) == (count, 0):
                    time.sleep(CALM_SECONDS)
                    return
        except sqlite3.OperationalError:
            continue
    sys.exit("the daemon did not come to rest")


def computing(root: int) -> dict[int, float]:
    """Seconds that each process of the tree has computed."""
    fields = {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in tree(root)}
    return {pid: (int(of[11]) + int(of[12])) / TICK for pid, of in fields.items()}


def memory(root: int) -> float:
    """MB that the tree holds, shared pages counted once."""
    return sum(map(_held, tree(root)))


def _held(process: int) -> float:
    """MB that a process holds, pages that others hold too in equal parts; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
