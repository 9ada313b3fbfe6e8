"""A simulated week in half an hour: the daemon through edits, outages, restarts and clocks that are set.

`python benchmarks/soak.py [--minutes 30] [--feeds 2000]`: a real daemon (soak_daemon.py gives it a clock 336 times
as fast) polls FEEDS made-up feeds of 20 hosts on loopback. Meanwhile the list is edited, hosts go down, twice all
of them; the daemon is ended twice by SIGTERM and twice by kill -9, once while nothing can be reached; its clock is
set by hours and by a day, forward and back. Fewer minutes are a shorter week, under ten too short a one. Then it
compares what the hosts saw and showed with what the database holds, and ends with status 1 if a promise was broken.
Times below are simulated, true ones, whatever the daemon's clock said.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import quoteattr

from made_up import stories
from rest import daemon_settings, memory
from runs import ROOT, rows
from soak_site import AT_FIRST, NEWS_SECONDS, Feed, Hosts, Site

FACTOR = 336
HOUR, DAY = 3600, 86_400
START = datetime(2028, 2, 25, 21, tzinfo=UTC)
"""A week with a leap day."""

MIN_INTERVAL, MAX_INTERVAL, INTERVAL = HOUR, 6 * HOUR, 2 * HOUR
CONNECTIONS, HOSTS = 4, 20
LATE = 2 * FACTOR
"""What a request may be late for reasons of the machine: two of its seconds."""
BUSY = 15 * FACTOR
"""What a poll may wait for its turn when all feeds are due at once, or the daemon starts."""

STEPS = ((0.16, 3 * HOUR), (0.28, 0), (0.50, -6 * HOUR), (0.58, 0), (0.66, DAY), (0.70, 0))
"""From which part of the time on the daemon's clock is how far off."""
ENDINGS = (
    (0.12, signal.SIGTERM),
    (0.23, signal.SIGKILL),
    (0.35, signal.SIGTERM),
    (0.44, signal.SIGKILL),
)
DARK = ((0.42, 0.47), (0.78, 0.82))
"""When nothing can be reached."""
FAILING = ((0.05, 0.09, 3), (0.18, 0.22, 6), (0.33, 0.37, 9), (0.53, 0.57, 12), (0.62, 0.65, 15))
"""From when to when one host is down, and which."""
EDITS = tuple(0.03 + 0.06 * number for number in range(14))
NEWS_END, WARM = 0.90, 0.60
FLAT = 0.05
"""Part by which memory may drift from WARM on and still count as flat."""
FEW = 4
"""Descriptors and threads that may come and go."""


@dataclass
class Listed:
    """Since when each feed is listed, and the stretches for which it was before."""

    now: dict[str, float] = field(default_factory=dict)
    past: list[tuple[str, float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """What the daemon held at a time."""

    at: float
    memory: float
    descriptors: int
    threads: int


class Soak:
    """One run in a folder."""

    def __init__(self, folder: Path, seconds: float, count: int) -> None:
        self.folder = folder
        self.length = seconds * FACTOR
        self.random = random.Random(1)
        days = self.length / DAY
        many = int(1.5 * count * (AT_FIRST + 2 + DAY / NEWS_SECONDS * days))
        entries = list(stories(many, days, 1))  # before the clock starts: it takes a while
        self.zero = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.site = Site(self.now, START, NEWS_END * self.length, iter(entries))
        self.hosts = Hosts(self.site, HOSTS)
        self.listed = Listed()
        self.spare = [self._feed(number) for number in range(count, count + count // 10)]
        self.samples: list[Sample] = []
        self.list_feeds({self._feed(number) for number in range(count)})

    def now(self) -> float:
        """The true simulated second."""
        return (time.clock_gettime(time.CLOCK_BOOTTIME) - self.zero) * FACTOR

    def _feed(self, number: int) -> str:
        return f"{self.hosts.names[number % HOSTS]}/{number}.xml"

    def list_feeds(self, feeds: set[str]) -> None:
        """Saves the list as editors do."""
        now = self.now()
        for feed in set(self.listed.now) - feeds:
            self.listed.past.append((feed, self.listed.now.pop(feed), now))
        for feed in feeds - set(self.listed.now):
            self.listed.now[feed] = now
        outlines = "\n".join(f"<outline xmlUrl={quoteattr(self.url(feed))}/>" for feed in sorted(feeds))
        new = self.folder / "new.opml"
        new.write_text(f"<opml version='2.0'><body>\n{outlines}\n</body></opml>")
        new.replace(self.folder / "feeds.opml")

    def url(self, feed: str) -> str:
        """Where a feed is."""
        host, _, path = feed.partition("/")
        return f"http://{host}:{self.hosts.port}/{path}"

    def edit(self) -> None:
        """Exchanges some feeds of the list for some that are not in it."""
        some = len(self.spare) // 4
        left = set(self.random.sample(sorted(self.listed.now), some))
        come = set(self.random.sample(sorted(self.spare), some))
        self.spare = sorted((set(self.spare) - come) | left)
        self.list_feeds((set(self.listed.now) - left) | come)

    def start(self, settings: dict[str, str]) -> subprocess.Popen[bytes]:
        """A daemon; its log goes on in the folder."""
        steps = [(part * self.length, off) for part, off in STEPS]
        clock = {"zero": self.zero, "start": START.isoformat(), "factor": FACTOR, "steps": steps}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "benchmarks/soak_daemon.py"), "serve"],
                env=os.environ | settings | {"SOAK_CLOCK": json.dumps(clock)},
                stderr=log,
                stdout=log,
            )

    def run(self, settings: dict[str, str]) -> None:
        """The whole time, with all that happens in it."""
        daemon = self.start(settings)
        endings, edits = list(ENDINGS), list(EDITS)
        sampled_at = 0.0
        try:
            while (part := self.now() / self.length) < 1:
                self.hosts.keep_up(self.reachable(part))
                if edits and part >= edits[0]:
                    edits.pop(0)
                    self.edit()
                if endings and part >= endings[0][0]:
                    daemon.send_signal(endings.pop(0)[1])
                    daemon.wait()
                    daemon = self.start(settings)
                if daemon.poll() is not None:
                    sys.exit(f"the daemon ended by itself:\n{(self.folder / 'log').read_text()[-2000:]}")
                if part >= WARM and time.monotonic() - sampled_at >= 5:
                    sampled_at = time.monotonic()
                    self.samples.append(_sample(daemon.pid, part * self.length))
                time.sleep(0.1)
        finally:
            daemon.terminate()
            daemon.wait()

    def reachable(self, part: float) -> set[str]:
        """The hosts that are up."""
        if any(begin <= part < end for begin, end in DARK):
            return set()
        down = {self.hosts.names[number] for begin, end, number in FAILING if begin <= part < end}
        return set(self.hosts.names) - down

    def stretches(self) -> Iterator[tuple[Feed, float, float, float]]:
        """(feed, begin, end, failing) of each stretch between two requests, or a request and a change of the list.

        `failing`: how much longer it may be as nobody, or not its host, could be reached.
        """
        spans = [*self.listed.past, *((feed, since, self.now()) for feed, since in self.listed.now.items())]
        for name, since, until in spans:
            host = name.partition("/")[0]
            feed = self.site.feeds[name]
            asked = [at for at in feed.asked if since <= at <= until]
            for begin, end in pairwise((since, *asked, until)):
                yield feed, begin, end, self._excused(host, begin, end)

    def _excused(self, host: str, begin: float, end: float) -> float:
        dark = sum(
            max(0.0, min(end, until * self.length) - max(begin, since * self.length)) for since, until in DARK
        )
        fails = any(
            self.hosts.names[number] == host and begin < until * self.length and end > since * self.length
            for since, until, number in FAILING
        )
        return dark + (DAY if fails else 0)


def main() -> None:
    """Runs and judges."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--feeds", type=int, default=2000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        soak = Soak(folder, chosen.minutes * 60, chosen.feeds)
        settings = daemon_settings(folder) | {
            "AGGREGATOR_ALLOW_ADDRESSES": "127.0.0.0/8",
            "AGGREGATOR_HOST_DELAY": "0.01",
            "AGGREGATOR_HOST_CONNECTIONS": str(CONNECTIONS),
            "AGGREGATOR_MIN_INTERVAL": str(MIN_INTERVAL),
            "AGGREGATOR_MAX_INTERVAL": str(MAX_INTERVAL),
            "AGGREGATOR_INTERVAL": str(INTERVAL),
            "AGGREGATOR_WINDOW_DAYS": "1",
            "AGGREGATOR_FETCH_TIMEOUT": "10",
            "AGGREGATOR_LOG_LEVEL": "INFO",
        }
        soak.run(settings)
        promises = list(judged(soak, folder, settings))
    for kept, words in promises:
        print(f"{'kept  ' if kept else 'BROKEN'} {words}")
    sys.exit(0 if all(kept for kept, _ in promises) else 1)


def judged(soak: Soak, folder: Path, settings: dict[str, str]) -> Iterator[tuple[bool, str]]:
    """Each promise, and whether it was kept."""
    polls = sum(len(feed.asked) for feed in soak.site.feeds.values())
    yield polls > 0, f"{polls} requests in {soak.length / DAY:.1f} simulated days"
    for what in ("memory", "descriptors", "threads"):
        yield _flat(soak.samples, what)
    gaps = [later - at for feed in soak.site.feeds.values() for at, later in pairwise(feed.asked)]
    soon = sum(gap < MIN_INTERVAL - LATE for gap in gaps)
    yield (
        not soon,
        f"{soon} requests too soon: the shortest gap is {min(gaps) / 60:.1f} min of {MIN_INTERVAL / 60:.0f}",
    )
    waits = [
        (end - begin, 1.1 * MAX_INTERVAL + BUSY + excused) for _, begin, end, excused in soak.stretches()
    ]
    starved = sum(wait > allowed for wait, allowed in waits)
    longest, allowed = max(waits, key=lambda one: one[0] / one[1])
    words = f"the longest gap, for what it may be, is {longest / HOUR:.1f} h of {allowed / HOUR:.1f}"
    yield not starved, f"{starved} feeds starved: {words}"
    most = soak.site.most_under_way
    yield most <= CONNECTIONS, f"at most {most} connections at once to one host, of {CONNECTIONS}"
    yield from _accounts(soak, folder / "news.db")
    said = (folder / "log").read_text()
    yield "Traceback" not in said and "a bug" not in said, "no bug in the log"
    gone = said.count("the network is gone")
    yield gone >= len(DARK), f"{gone} lines that the network is gone, in {len(DARK)} outages of everything"
    check = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "db", "check"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    yield check.returncode == 0, f"db check: {(check.stdout + check.stderr).strip().splitlines()[-1]}"


def _accounts(soak: Soak, database: Path) -> Iterator[tuple[bool, str]]:
    """Entries in the database against those that the hosts showed."""
    with closing(sqlite3.connect(database)) as db:
        kept = db.execute("SELECT feed_url, guid, count(*) FROM v1_entry GROUP BY feed_url, guid").fetchall()
    doubled = sum(count > 1 for _, _, count in kept)
    known = {(url, guid) for url, guid, _ in kept}
    shown = {(soak.url(name), guid) for name, feed in soak.site.feeds.items() for guid in feed.items}
    owed = {(soak.url(name), guid) for name in soak.listed.now for guid in soak.site.feeds[name].items}
    lost, foreign = len(owed - known), len(known - shown)
    yield not lost and not foreign, f"{len(known)} entries: {lost} lost, {foreign} that nobody wrote"
    yield not doubled, f"{doubled} entries doubled"
    pending, failing = rows(
        database,
        "SELECT (SELECT count(*) FROM v1_entry WHERE event_id IS NULL), "
        "(SELECT count(*) FROM v1_feed WHERE state = 'failing')",
    )[0]
    yield not pending, f"{pending} entries wait to be grouped"
    told = rows(
        database,
        "SELECT problem, failures, last_polled_at, next_poll_at FROM v1_feed WHERE state = 'failing' LIMIT 3",
    )
    yield not failing, f"{failing} feeds count as failing, now that all hosts are up {told or ''}"


def _sample(pid: int, at: float) -> Sample:
    folder = Path(f"/proc/{pid}")
    return Sample(
        at, memory(pid), len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))
    )


def _flat(samples: list[Sample], what: str) -> tuple[bool, str]:
    """Whether a figure neither rises nor falls: by a line through all samples."""
    values = [float(getattr(sample, what)) for sample in samples]
    slope = statistics.linear_regression([sample.at for sample in samples], values).slope
    drift = slope * (samples[-1].at - samples[0].at)
    mean = statistics.mean(values)
    is_flat = drift <= (FLAT * mean if what == "memory" else FEW)
    unit = " MB" if what == "memory" else ""
    days = (samples[-1].at - samples[0].at) / DAY
    level = f"{mean:.0f}{unit} on average (at most {max(values):.0f})"
    return (
        is_flat,
        f"{what}: {level}, {slope * DAY:+.2f}{unit} a simulated day, {drift:+.1f} in {days:.1f} days",
    )


if __name__ == "__main__":
    main()
