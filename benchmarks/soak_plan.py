"""What is planned for the week of soak.py: its limits, what happens in it and when, and what that excuses."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from soak_daemon import NETWORK_SECONDS, RETURN_SECONDS

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
RETURN = (NETWORK_SECONDS + RETURN_SECONDS) * FACTOR
"""What it may wait after an outage of everything: until its end is noticed, and then for its turn."""

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

MOST_TOLD = 8
"""Circumstances of a broken promise that are told; with many more the machine was too slow for all of it."""
NEAR = HOUR
"""What happened so long before a stretch, or after it, is named with it."""


@dataclass(frozen=True)
class Stretch:
    """From one request of a feed to the next, or to a change of the list; simulated, true seconds."""

    feed: str
    begin: float
    end: float
    most: float = 0.0
    """How long it may be."""


class Week:
    """The plan for a time of so many simulated seconds."""

    def __init__(self, length: float) -> None:
        self.length = length

    def off(self, at: float) -> float:
        """How far the daemon's clock is off."""
        return ([0.0] + [off for since, off in STEPS if since * self.length <= at])[-1]

    def down(self, part: float) -> set[int]:
        """The hosts that are down."""
        if any(begin <= part < end for begin, end in DARK):
            return set(range(HOSTS))
        return {number for begin, end, number in FAILING if begin <= part < end}

    def excused(self, host: int, begin: float, end: float) -> float:
        """How much longer a stretch may be as nobody, or not its host, could be reached."""
        first, last = begin / self.length, end / self.length
        dark = [min(last, until) - max(first, since) for since, until in DARK]
        fails = any(number == host and first < until and last > since for since, until, number in FAILING)
        return sum(part * self.length + RETURN for part in dark if part > 0) + (DAY if fails else 0)

    def around(self, begin: float, end: float, host: int) -> str:
        """What happened in a stretch of a host's feed or next to it."""
        near = [
            f"{words} at {at / HOUR:.1f} h"
            for at, words in sorted(self._happenings(host))
            if begin - NEAR <= at <= end + NEAR
        ]
        return ", ".join(near) or "nothing planned"

    def _happenings(self, host: int) -> Iterator[tuple[float, str]]:
        for part, off in STEPS:
            yield part * self.length, f"clock set to {off / HOUR:+.0f} h"
        for part, sent in ENDINGS:
            yield part * self.length, sent.name
        for part in EDITS:
            yield part * self.length, "edit"
        outages = [*DARK, *((begin, end) for begin, end, number in FAILING if number == host)]
        for begin, end in outages:
            yield begin * self.length, "outage"
            yield end * self.length, "its end"

    def told(self, stretches: Iterable[tuple[Stretch, int]]) -> str:
        """Lines on stretches (and their hosts) that break a promise: one a circumstance, the commonest first."""
        alike: dict[str, list[Stretch]] = defaultdict(list)
        for stretch, host in stretches:
            alike[self.around(stretch.begin, stretch.end, host)].append(stretch)
        often = sorted(alike.items(), key=lambda one: -len(one[1]))
        lines = [f"{len(some)} around {words}: {self._example(some[0])}" for words, some in often[:MOST_TOLD]]
        if left := sum(len(some) for _, some in often[MOST_TOLD:]):
            lines.append(f"{left} around other things")
        return "".join(f"\n       {line}" for line in lines)

    def _example(self, stretch: Stretch) -> str:
        begin, end = (
            f"{at / HOUR:.2f} h ({self.off(at) / HOUR:+.0f})" for at in (stretch.begin, stretch.end)
        )
        return f"{stretch.feed} from {begin} to {end}"
