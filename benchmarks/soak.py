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
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import quoteattr

from made_up import stories
from rest import daemon_settings, memory
from runs import ROOT, rows
from soak_plan import (
    BUSY,
    CONNECTIONS,
    DARK,
    DAY,
    EDITS,
    ENDINGS,
    FACTOR,
    HOSTS,
    HOUR,
    INTERVAL,
    LATE,
    MAX_INTERVAL,
    MIN_INTERVAL,
    START,
    STEPS,
    Stretch,
    Week,
)
from soak_site import AT_FIRST, NEWS_SECONDS, Hosts, Site

NEWS_END, WARM = 0.90, 0.60
FLAT = 0.05
"""Part by which memory may drift from WARM on and still count as flat."""
FEW = 4
"""Descriptors and threads that may come and go."""
TELLING = ("the clock was", "the network is", "stopp", "running;")


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
    load: float
    """Of the machine: programs that want a core."""


class Soak:
    """One run in a folder."""

    def __init__(self, folder: Path, seconds: float, count: int) -> None:
        self.folder = folder
        self.length = seconds * FACTOR
        self.week = Week(self.length)
        self.random = random.Random(1)
        days = self.length / DAY
        many = int(1.5 * count * (AT_FIRST + 2 + DAY / NEWS_SECONDS * days))
        entries = list(stories(many, days, 1))  # before the clock starts: it takes a while
        self.zero = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.began_at = time.time()
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
        return set(self.hosts.names) - {self.hosts.names[number] for number in self.week.down(part)}

    def stretches(self) -> Iterator[Stretch]:
        """Each stretch between two requests, or a request and a change of the list, and how long it may be."""
        spans = [*self.listed.past, *((feed, since, self.now()) for feed, since in self.listed.now.items())]
        for name, since, until in spans:
            asked = [at for at in self.site.feeds[name].asked if since <= at <= until]
            for begin, end in pairwise((since, *asked, until)):
                excused = self.week.excused(self.host(name), begin, end)
                yield Stretch(name, begin, end, 1.1 * MAX_INTERVAL + BUSY + excused)

    def told(self, stretches: Iterable[Stretch]) -> str:
        """Lines on stretches that break a promise."""
        return self.week.told((stretch, self.host(stretch.feed)) for stretch in stretches)

    def daemon_said(self) -> Iterator[str]:
        """The lines of its log on clock, network, starts and stops, each with the simulated hour."""
        for line in (self.folder / "log").read_text().splitlines():
            if any(words in line for words in TELLING):
                told = json.loads(line)
                seconds = datetime.fromisoformat(told["time"]).timestamp() - self.began_at
                yield f"{seconds * FACTOR / HOUR:.1f} h: {told['message']}"

    def host(self, feed: str) -> int:
        """The number of its host."""
        return self.hosts.names.index(feed.partition("/")[0])


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
            "AGGREGATOR_LOG_FORMAT": "json",
        }
        soak.run(settings)
        promises = list(judged(soak, folder, settings))
        said = list(soak.daemon_said())
    for kept, words in promises:
        print(f"{'kept  ' if kept else 'BROKEN'} {words}")
    if not all(kept for kept, _ in promises):
        print("the daemon said:", *said, sep="\n       ")
        sys.exit(1)


def judged(soak: Soak, folder: Path, settings: dict[str, str]) -> Iterator[tuple[bool, str]]:
    """Each promise, and whether it was kept."""
    polls = sum(len(feed.asked) for feed in soak.site.feeds.values())
    load = statistics.mean(sample.load for sample in soak.samples)
    week = f"{soak.length / DAY:.1f} simulated days"
    yield polls > 0, f"{polls} requests in {week}; load of the machine {load:.1f} on average"
    for what in ("memory", "descriptors", "threads"):
        yield _flat(soak.samples, what)
    gaps = [
        Stretch(name, at, later)
        for name, feed in soak.site.feeds.items()
        for at, later in pairwise(sorted(feed.asked))
    ]
    soon = [gap for gap in gaps if gap.end - gap.begin < MIN_INTERVAL - LATE]
    shortest = min(gap.end - gap.begin for gap in gaps) / 60
    words = f"the shortest gap is {shortest:.1f} min of {MIN_INTERVAL / 60:.0f}"
    yield not soon, f"{len(soon)} requests too soon: {words}{soak.told(soon)}"
    waits = list(soak.stretches())
    starved = [wait for wait in waits if wait.end - wait.begin > wait.most]
    longest = max(waits, key=lambda wait: (wait.end - wait.begin) / wait.most)
    length = (longest.end - longest.begin) / HOUR
    words = f"the longest gap, for what it may be, is {length:.1f} h of {longest.most / HOUR:.1f}"
    yield not starved, f"{len(starved)} feeds starved: {words}{soak.told(starved)}"
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
    descriptors, threads = (len(list((folder / name).iterdir())) for name in ("fd", "task"))
    return Sample(at, memory(pid), descriptors, threads, os.getloadavg()[0])


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
