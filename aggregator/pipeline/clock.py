"""The only clock: rooms below are told the time and never ask for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LEAST_STEP = timedelta(seconds=10)
"""What counts as setting the clock: slewing (NTP) stays far below in a second, and no wait of ours is so short that
less would matter."""


EPOCH = datetime.fromtimestamp(0, UTC)


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def running() -> float:
    """Seconds that go on whatever is done to the clock, also while the machine sleeps where the system tells."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and by how much the clock had been set by then."""

    at: datetime
    set_by: timedelta

    def set_since(self, earlier: Moment) -> timedelta:
        """By how much the clock was set in between."""
        return self.set_by - earlier.set_by


class Clock:
    """The clock of what is written to feeds: it goes evenly, and is set in one moment for all of them; thread-safe.

    That the machine's clock was set shows when it parts from the seconds that `ran`. Until `follow` moves the times
    in the database along, this one goes on as if nothing had happened. A time of either clock among those of the
    other would be moved twice, or not at all: its feed would be asked again at once, or wait for hours.
    """

    def __init__(self, now: Callable[[], datetime], ran: Callable[[], float]) -> None:
        self._now = now
        self._ran = ran
        self._apart = self._apart_now()
        self._set_by = timedelta()
        self._turn = threading.Condition()
        self._holders = 0
        self._is_setting = False

    def now(self) -> datetime:
        """The time."""
        return self.moment().at

    def moment(self) -> Moment:
        """The time, with what tells how far it is off when the clock has been set since."""
        with self._turn:
            return self._moment()

    @contextmanager
    def held(self) -> Iterator[Moment]:
        """The time; the clock is not set before what is done with it has ended, so has to be brief."""
        with self._turn:
            self._turn.wait_for(lambda: not self._is_setting)
            self._holders += 1
            moment = self._moment()
        try:
            yield moment
        finally:
            with self._turn:
                self._holders -= 1
                self._turn.notify_all()

    def follow(self, move: Callable[[timedelta, datetime], None]) -> timedelta:
        """By how much the machine's clock was set since this was last asked; zero if it was not.

        `move` is told that and the new time, while nobody holds the clock. If it raises, nothing was set.
        """
        if abs(self._apart_now() - self._apart) < LEAST_STEP:
            return timedelta()
        with self._turn:
            self._is_setting = True
            self._turn.wait_for(lambda: not self._holders)
        try:
            apart = self._apart_now()
            step = apart - self._apart
            move(step, self._at(apart))
            with self._turn:
                self._apart = apart
                self._set_by += step
        finally:
            with self._turn:
                self._is_setting = False
                self._turn.notify_all()
        return step

    def _moment(self) -> Moment:
        now, even = self._now(), self._at(self._apart)
        return Moment(now if abs(now - even) < LEAST_STEP else even, self._set_by)

    def _at(self, apart: timedelta) -> datetime:
        return EPOCH + apart + timedelta(seconds=self._ran())

    def _apart_now(self) -> timedelta:
        return self._now() - EPOCH - timedelta(seconds=self._ran())
