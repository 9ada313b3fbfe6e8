"""The only clock: rooms below are told the time and never ask for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

LEAST_STEP = timedelta(seconds=10)
"""What counts as setting the clock: slewing (NTP) stays far below in a second, and no wait of ours is so short that
less would matter."""


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def running() -> float:
    """Seconds that go on whatever is done to the clock, also while the machine sleeps where the system tells."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """Notices when the clock is set: it then parts from the seconds that `ran`."""

    def __init__(self, now: Callable[[], datetime], ran: Callable[[], float]) -> None:
        self._now = now
        self._ran = ran
        self._zero = self._apart()

    def step(self) -> timedelta:
        """By how much the clock was set since this was last asked, forward or back; zero if it was not."""
        apart = self._apart()
        step = apart - self._zero
        if abs(step) < LEAST_STEP:
            return timedelta()
        self._zero = apart
        return step

    def _apart(self) -> timedelta:
        return self._now() - datetime.fromtimestamp(0, UTC) - timedelta(seconds=self._ran())
