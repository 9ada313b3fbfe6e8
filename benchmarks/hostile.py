"""A thousand feeds of which some are hostile: are the healthy ones held up, and how much memory does it take.

usage: python benchmarks/hostile.py [FEEDS [PERCENT]]     (1000 feeds, 5 percent of them hostile)

A pass of `poll` over all feeds first, then `serve` for SECONDS on the same database, with intervals so short that
every healthy feed comes due several times. Late is a request that comes more than an interval after the last answer
to the same feed, by the server's own log; the daemon's tick of a second is in it. All feeds are due when it starts:
how long that takes is told apart. Memory is that of all processes of the program together, looked at every
SAMPLE_SECONDS: PSS counts a shared page once, RSS once for each process.
Compare with a run of 0 percent: what is late there is late by itself. Exit 1 if a healthy feed was not polled.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from hostile_server import ITEMS, host, paths
from runs import ROOT, rows

FEEDS = 1000
PERCENT = 5
SECONDS = 90
POLL_SECONDS = 900
"""What the first pass may take; it takes a fifth of that."""

INTERVAL = 30
"""Seconds between two polls of a healthy feed: a thousand feeds are then 33 polls a second, a tenth of what two
cores can do, and each comes due twice while `serve` runs."""

SAMPLE_SECONDS = 0.15
END_SECONDS = 15
SETTINGS = {
    "ALLOW_ADDRESSES": "127.0.0.0/8",
    "HOST_DELAY": 0,
    "HOST_CONNECTIONS": 64,
    "MIN_INTERVAL": 1,
    "INTERVAL": INTERVAL,
    "MAX_INTERVAL": INTERVAL,
}


class Memory(threading.Thread):
    """The largest sums of PSS and of RSS, in kB, that a process and all below it had at once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._is_over = threading.Event()
        self.peak: Counter[str] = Counter()
        self.at_peak: dict[str, int] = {}
        self.most = 0

    def run(self) -> None:
        """Looks until `end`."""
        while not self._is_over.wait(SAMPLE_SECONDS):
            now = {pid: _memory(pid) for pid in _tree(self._pid)}
            self.most = max(self.most, len(now))
            for measure in ("Pss", "Rss"):
                total = sum(kilobytes.get(measure, 0) for kilobytes in now.values())
                if measure == "Pss" and total > self.peak[measure]:
                    self.at_peak = {
                        _role(pid, self._pid, place): kilobytes.get("Pss", 0)
                        for place, (pid, kilobytes) in enumerate(now.items())
                    }
                self.peak[measure] = max(self.peak[measure], total)

    def end(self) -> None:
        """No more looks."""
        self._is_over.set()
        self.join()

    def __str__(self) -> str:
        shares = ", ".join(f"{role} {size / 1000:.0f}" for role, size in self.at_peak.items() if size > 1000)
        pss, rss = self.peak["Pss"] / 1000, self.peak["Rss"] / 1000
        return f"peak memory {pss:.0f} MB PSS ({shares}), {rss:.0f} MB RSS, {self.most} processes at most"


def _tree(pid: int) -> list[int]:
    """The process and all below it, parents first."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def _memory(pid: int) -> dict[str, int]:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return {}
    return {name: int(size) for name, size in re.findall(r"^(Pss|Rss): +(\d+) kB", rollup, re.MULTILINE)}


def _role(pid: int, root: int, place: int) -> str:
    if pid == root:
        return "program"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return f"ended {place}"
    if parent == root:
        return "fork server" if b"forkserver" in command else "resource tracker"
    return f"worker {place}"


@contextmanager
def serving(count: int, percent: int, log: Path) -> Iterator[int]:
    """The port of a running hostile server."""
    command = [sys.executable, str(ROOT / "benchmarks/hostile_server.py"), str(count), str(percent), str(log)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        yield int(server.stdout.readline())
    finally:
        assert server.stdin
        server.stdin.close()
        try:
            server.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def run(folder: Path, seconds: float, *arguments: str) -> tuple[float, int, str]:
    """Wall seconds, exit code and standard output of a run that is asked to end after so many seconds."""
    settings = SETTINGS | {"DATABASE": f"sqlite:///{folder / 'news.db'}", "OPML": folder / "feeds.opml"}
    environment = os.environ | {f"AGGREGATOR_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    started = time.monotonic()
    with (folder / "log.txt").open("a") as log:
        program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    memory = Memory(program.pid)
    memory.start()
    timer = threading.Timer(seconds, program.send_signal, [signal.SIGTERM])
    timer.start()
    guard = threading.Timer(seconds + END_SECONDS, program.kill)
    guard.start()
    try:
        said, _ = program.communicate()
    finally:
        timer.cancel()
        guard.cancel()
        program.kill()
        memory.end()
    wall = time.monotonic() - started
    print(f"{arguments[0]}: {wall:.1f} s, exit {program.returncode}, {memory}", flush=True)
    return wall, program.returncode, said


def main() -> None:
    """Runs both parts and prints the figures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FEEDS
    percent = int(sys.argv[2]) if len(sys.argv) > 2 else PERCENT
    listed = paths(count, percent)
    well = [path for path in listed if path.startswith("/healthy/")]
    # A short name: the fork server's socket lies in there, too.
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = folder / "requests.txt"
        with serving(count, percent, log) as port:
            _write_list(folder / "feeds.opml", listed, port)
            print(f"{len(well)} healthy feeds, {len(listed) - len(well)} hostile ones")
            begun = time.monotonic()
            code, said = run(folder, POLL_SECONDS, "poll", "--json")[1:]
            _report_pass(log, begun, said, well)
            _report_contents(folder / "news.db", well)
            begun = time.monotonic()
            served = run(folder, SECONDS, "serve", "--no-web")[1]
            never = _report_lateness(log, begun, well)
            _report_contents(folder / "news.db", well)
            _report_failures(folder / "news.db")
            _report_log(folder / "log.txt")
    if code or served or never:
        sys.exit(1)


def _write_list(file: Path, listed: list[str], port: int) -> None:
    outlines = "\n".join(
        f"<outline type='rss' text={quoteattr(path)} xmlUrl='http://{host(number)}:{port}{quote(path)}'/>"
        for number, path in enumerate(listed)
    )
    file.write_text(f"<opml version='2.0'><head/><body>\n{outlines}\n</body></opml>\n")


def _requests(log: Path, begun: float) -> Iterator[tuple[float, str, str]]:
    for line in log.read_text().splitlines():
        at, word, path = line.split("\t")
        if float(at) >= begun:
            yield float(at), word, path


def _report_pass(log: Path, begun: float, said: str, well: list[str]) -> None:
    asked = {path: at for at, word, path in _requests(log, begun) if word == "asked"}
    times = sorted(asked[path] - begun for path in well if path in asked)
    print(f"  healthy feeds asked: {len(times)} of {len(well)}, after {_spread(times)}")
    if said:
        summary = json.loads(said)
        del summary["failed"]
        print(f"  {summary}")


def _report_lateness(log: Path, begun: float, well: list[str]) -> int:
    """Prints how late the healthy feeds were asked; how many of them never were."""
    answered: dict[str, float] = {}
    asked: Counter[str] = Counter()
    waited, late = [], []
    for at, word, path in _requests(log, 0):
        if word == "answered":
            answered[path] = at
        elif at >= begun and path.startswith("/healthy/"):
            asked[path] += 1
            due = answered.get(path, 0.0) + INTERVAL
            if due <= begun:
                waited.append(at - begun)
            else:
                late.append(max(0.0, at - due))
    never = len(set(well) - set(asked))
    times = asked.total() / max(1, len(well))
    print(f"  healthy feeds asked: {len(well) - never} of {len(well)}, {times:.2f} times each")
    print(f"  due at the start, and asked after {_spread(sorted(waited))}")
    print(
        f"  due later, and late by {_spread(sorted(late))}; more than 5 s: {sum(each > 5 for each in late)}"
    )
    return never


def _spread(values: list[float]) -> str:
    if not values:
        return "nothing"
    middle, most = values[len(values) // 2], values[int(len(values) * 0.99)]
    return f"{middle:.2f} s (median), {most:.2f} s (99 %), {values[-1]:.2f} s (all {len(values)})"


def _report_contents(database: Path, well: list[str]) -> None:
    counts = {
        urlsplit(url).path: n
        for url, n in rows(database, "SELECT feed_url, count(*) FROM v1_entry GROUP BY 1")
    }
    stored = sum(counts.get(path, 0) for path in well)
    others = sum(counts.values()) - stored
    print(f"  entries of healthy feeds: {stored} of {len(well) * ITEMS}; of hostile ones: {others}")


def _report_failures(database: Path) -> None:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for url, state, problem, polled in rows(
        database, "SELECT url, state, problem, last_polled_at FROM v1_feed"
    ):
        path = unquote(urlsplit(url).path)
        kind = path.split("/")[2] if path.startswith("/hostile/") else "healthy"
        found[kind][f"{state}: {problem or '-'}" if polled else "never polled"] += 1
    for kind in sorted(found):
        for sentence, number in found[kind].most_common(3):
            print(f"  {number:4} {kind:22} {sentence}")


def _report_log(file: Path) -> None:
    bugs = [line for line in file.read_text().splitlines() if re.search(r"Traceback|\bbug\b", line)]
    print(f"lines in the program's log that tell of a bug: {len(bugs)}")
    for line in bugs[:5]:
        print(f"  {line}")


if __name__ == "__main__":
    main()
