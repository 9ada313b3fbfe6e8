"""Other readers and this program side by side: the same feeds, one after the other, several rounds.

`python benchmarks/peers.py DIR [ROUNDS]` (default 3): DIR/feed/* are the feeds. newsboat is taken from the path
(Debian's package `newsboat`), reader and rss2email are put into an environment of their own with pip. Each round
polls all feeds into an empty store and then once more; a line for each pass tells the wall time, the computing of
all processes, the most memory they held together (shared pages counted once), and the entries stored
(rss2email, whose mails are not sent: those it remembers).
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from runs import ROOT, serving, write_list

TICK = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.05
READER = """
import sys
from reader import make_reader
reader = make_reader(sys.argv[1])
known = {feed.url for feed in reader.get_feeds()}
for line in open(sys.argv[2]):
    if line.strip() not in known:
        reader.add_feed(line.strip())
reader.update_feeds(scheduled=False, workers=16)
"""


@dataclass
class Pass:
    """One pass of a program."""

    seconds: float = 0.0
    computing: float = 0.0
    memory: float = 0.0
    entries: int = 0


@dataclass(frozen=True)
class Peer:
    """A program: its command in a folder, given the feeds' addresses, and how many entries it stored there."""

    name: str
    command: Callable[[Path], Sequence[str]]
    entries: Callable[[Path], int]
    prepare: Callable[[Path, Sequence[str], Path], None]
    settings: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Runs all programs and prints a line for each of their passes."""
    folder, rounds = Path(sys.argv[1]), int((sys.argv[2:] or ["3"])[0])
    names = sorted(file.name for file in (folder / "feed").iterdir() if not file.name.endswith(".gz"))
    passes: dict[tuple[str, int], list[Pass]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as tools, serving(folder) as base:
        peers = _peers(Path(tools))
        for _ in range(rounds):
            for peer in peers:
                with tempfile.TemporaryDirectory() as scratch:
                    place = Path(scratch)
                    peer.prepare(place, [f"{base}/feed/{name}" for name in names], folder)
                    for number in range(2):
                        done = _run(peer, place)
                        passes[peer.name, number].append(done)
                        print(f"{peer.name:10} {('first', 'again')[number]} {_line([done])}", flush=True)
    print(f"\nmedians of {rounds} rounds over {len(names)} feeds")
    for (name, number), done_in in passes.items():
        print(f"{name:10} {('first', 'again')[number]} {_line(done_in)}")


def _line(passes: Sequence[Pass]) -> str:
    seconds, computing, memory, entries = (
        statistics.median(getattr(one, name) for one in passes)
        for name in ("seconds", "computing", "memory", "entries")
    )
    return f"{seconds:7.2f} s wall {computing:7.2f} s computing {memory:5.0f} MB {entries:7,.0f} entries"


def _run(peer: Peer, place: Path) -> Pass:
    done = Pass()
    started = time.perf_counter()
    process = subprocess.Popen(
        peer.command(place),
        env=os.environ | {"HOME": str(place)} | peer.settings,
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    spent: dict[int, float] = {}
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, done, spent, over))
    watch.start()
    _, complaints = process.communicate()
    done.seconds = time.perf_counter() - started
    over.set()
    watch.join()
    if process.returncode:
        print(complaints.decode()[-500:])
    done.computing = sum(spent.values())
    done.entries = peer.entries(place)
    return done


def _watch(root: int, done: Pass, spent: dict[int, float], over: threading.Event) -> None:
    """Looks at the process and all its descendants again and again."""
    while not over.wait(LOOK_SECONDS):
        memory = 0.0
        for pid in tree(root):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (OSError, ProcessLookupError):
                continue
            spent[pid] = (int(fields[11]) + int(fields[12])) / TICK
            memory += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        done.memory = max(done.memory, memory / 1024)


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (OSError, ProcessLookupError):
                continue
            children[int(fields[1])].append(int(folder.name))
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def _peers(tools: Path) -> list[Peer]:
    venv.create(tools / "venv", with_pip=True)
    python = str(tools / "venv/bin/python")
    # reader 3.26 imports the sgmllib of that package and does not ask for it.
    subprocess.run([python, "-m", "pip", "install", "-q", "reader", "rss2email", "sgmllib3k"], check=True)
    (tools / "poll_reader.py").write_text(READER)
    ours = {
        "ALLOW_ADDRESSES": "127.0.0.1",
        "HOST_DELAY": "0",
        "HOST_CONNECTIONS": "64",
        "MIN_INTERVAL": "0",
        "LOG_LEVEL": "ERROR",
    }
    peers = [
        Peer(
            "ours",
            lambda place: (
                sys.executable, str(ROOT / "run.py"), "poll", "--all", "--database", f"sqlite:///{place}/db",
                "--opml", f"{place}/feeds.opml",
            ),
            lambda place: _count(place / "db", "SELECT count(*) FROM v1_entry WHERE event_id IS NOT NULL"),
            _prepare_ours,
            {f"AGGREGATOR_{name}": value for name, value in ours.items()},
        ),
        Peer(
            "reader",
            lambda place: (python, str(tools / "poll_reader.py"), f"{place}/db", f"{place}/urls"),
            lambda place: _count(place / "db", "SELECT count(*) FROM entries"),
            _prepare_urls,
        ),
        Peer(
            "rss2email",
            lambda place: (
                str(tools / "venv/bin/r2e"), "-c", f"{place}/config", "-d", f"{place}/data", "run", "--no-send",
            ),
            lambda place: sum(len(feed["seen"]) for feed in json.loads((place / "data").read_text())["feeds"]),
            _prepare_rss2email,
        ),
    ]  # fmt: skip
    newsboat = shutil.which("newsboat")
    if newsboat is None:
        print("newsboat is not on the path (Debian's package newsboat): it is left out")
        return peers
    peers.insert(
        1,
        Peer(
            "newsboat",
            lambda place: (
                newsboat, "-u", f"{place}/urls", "-c", f"{place}/db", "-C", f"{place}/settings", "-x", "reload",
            ),
            lambda place: _count(place / "db", "SELECT count(*) FROM rss_item"),
            _prepare_urls,
        ),
    )  # fmt: skip
    return peers


def _prepare_ours(place: Path, urls: Sequence[str], _folder: Path) -> None:
    base = urls[0].rsplit("/feed/", 1)[0]
    write_list(place / "feeds.opml", base, [url.removeprefix(base) for url in urls])


def _prepare_urls(place: Path, urls: Sequence[str], _folder: Path) -> None:
    (place / "urls").write_text("\n".join(urls) + "\n")
    (place / "settings").write_text("reload-threads 16\n")


def _prepare_rss2email(place: Path, urls: Sequence[str], _folder: Path) -> None:
    feeds = "\n".join(f"[feed.f{number}]\nurl = {url}\n" for number, url in enumerate(urls))
    (place / "config").write_text(f"[DEFAULT]\nfrom = a@paper.example\nto = b@paper.example\n\n{feeds}")


def _count(database: Path, sql: str) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute(sql).fetchone()[0])


if __name__ == "__main__":
    main()
