"""Mutates documents for as long as wanted, then floods the parsers: broken promises, slowest inputs, peak memory.

usage: python benchmarks/fuzz.py [COUNT [DIR]]     (default 20000; DIR: more seeds, all files below it)

Exits with 1 if a promise of tests/promises.py was broken, an input took too long, or a flood costs more than its
length. A number repeats its input (same DIR): `seeds` below, then tests.mutations.mutate(number, seeds).
"""

from __future__ import annotations

import heapq
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.floods import FEED_FLOODS, LIST_FLOODS, Flood
from tests.mutations import FEEDS, LISTS, content_type, mutate
from tests.promises import broken_by_feed, broken_by_list

COUNT = 20_000
LONGEST_SEED = 60_000
"""Bytes; longer documents are mutated too seldom in the places that matter."""

LISTS_EVERY = 4
"""One number in so many is a list: lists are read by far less code."""

MOST_SECONDS = 5.0
"""CPU seconds of one mutated document (at most 200 kB): feedparser takes three for as many bare tags."""

STEPS = (100_000, 400_000)
MOST_GROWTH = 9.0
LEAST_SECONDS = 1.0
"""Bytes of a flood, first and then, and how many times as long the latter may take: 4 is linear, 16 quadratic. What
takes less than a second tells nothing."""

SHOWN = 5


@dataclass
class Findings:
    """What a run has met so far; `slowest`: (seconds, name), most first."""

    failures: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    largest: tuple[int, str] = (0, "")

    def add(self, name: str, seconds: float, broken: list[str], grown: int) -> None:
        """Takes the outcome of one input; `grown`: by how many MB it raised the peak of memory."""
        for sentence in broken:
            self.failures.append(f"{name}: {sentence}")
            print(f"FAILED {name}: {sentence[:300]}", flush=True)
        self.slowest = heapq.nlargest(SHOWN, [*self.slowest, (seconds, name)])
        self.largest = max(self.largest, (grown, name))


def seeds(folder: Path | None) -> tuple[list[bytes], list[bytes]]:
    """The feeds and the lists to mutate: our own, and the files below the folder."""
    feeds, lists = list(FEEDS), list(LISTS)
    for file in sorted(folder.rglob("*")) if folder else ():
        if file.is_file() and file.stat().st_size <= LONGEST_SEED:
            body = file.read_bytes()
            (lists if b"<opml" in body[:2000].lower() else feeds).append(body)
    return feeds, lists


def measured(check: Callable[[], list[str]]) -> tuple[float, list[str], int]:
    """CPU seconds, broken promises, and MB by which the peak of memory rose."""
    before, started = peak_mb(), time.process_time()
    broken = check()
    return time.process_time() - started, broken, peak_mb() - before


def peak_mb() -> int:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def fuzz(count: int, folder: Path | None, findings: Findings) -> None:
    """Checks so many mutations."""
    feeds, lists = seeds(folder)
    print(f"{len(feeds)} feeds and {len(lists)} lists to mutate")
    for number in range(count):
        if number % LISTS_EVERY:
            check = partial(broken_by_feed, mutate(number, feeds), content_type(number))
        else:
            check = partial(broken_by_list, mutate(number, lists))
        seconds, broken, grown = measured(check)
        if seconds > MOST_SECONDS:
            broken = [*broken, f"took {seconds:.1f} s"]
        findings.add(f"number {number}", seconds, broken, grown)
        if (number + 1) % 1000 == 0:
            print(f"{number + 1} of {count}, {len(findings.failures)} failures, {peak_mb()} MB", flush=True)


def flood(name: str, make: Flood, check: Callable[[bytes], list[str]], findings: Findings) -> None:
    """Checks one flood in both sizes."""
    first, _, _ = measured(lambda: check(make(STEPS[0])))
    seconds, broken, grown = measured(lambda: check(make(STEPS[1])))
    if seconds > LEAST_SECONDS and seconds > MOST_GROWTH * first:
        broken = [*broken, f"took {first:.2f} s, then {seconds:.2f} s for four times as much"]
    findings.add(name, seconds, broken, grown)


def report(title: str, findings: Findings) -> None:
    """Prints what a run found."""
    print(f"{title}: {len(findings.failures)} failures; peak of memory {peak_mb()} MB, ", end="")
    print(f"the largest rise {findings.largest[0]} MB by {findings.largest[1]}; slowest:")
    for seconds, name in findings.slowest:
        print(f"  {seconds:7.3f} s  {name}")


def main() -> int:
    """Mutations, then floods; 1 if anything failed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    mutated, flooded = Findings(), Findings()
    fuzz(count, folder, mutated)
    report(f"{count} mutations", mutated)
    for name, make in FEED_FLOODS.items():
        flood(name, make, lambda body: broken_by_feed(body, ""), flooded)
    for name, make in LIST_FLOODS.items():
        flood(f"{name} (a list)", make, broken_by_list, flooded)
    report(f"{len(FEED_FLOODS) + len(LIST_FLOODS)} floods", flooded)
    return 1 if mutated.failures or flooded.failures else 0


if __name__ == "__main__":
    sys.exit(main())
