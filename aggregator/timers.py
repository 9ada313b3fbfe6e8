"""Timers that keep their pace whatever is done to the clock; the one place where bugs in their jobs are caught."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.outage import Outage
from aggregator.store import StoreError, UnreachableError

log = logging.getLogger(__name__)


class Pace(BaseTrigger):  # type: ignore[misc]  # (apscheduler has no types)
    """Every so many seconds from now on.

    APScheduler's own interval counts from the last run: when the clock is set forward by a year (a board without a
    battery that finds the time), it goes through each of the 31 million seconds that it missed.
    """

    def __init__(self, seconds: float) -> None:
        self._wait = timedelta(seconds=seconds)

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """One wait from now."""
        return now + self._wait


@dataclass(slots=True)
class _Timer:
    seconds: float
    job: Callable[[], None]
    ended_at: float = field(default_factory=time.monotonic)
    """When it last ended without a bug, by time.monotonic."""


class Timers:
    """Runs of jobs at their own pace, one run of a job at a time; while the database is away there are none.

    All exceptions of jobs are logged: a bug, or a full disk, ends one run and not the program.
    """

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._timers: dict[str, _Timer] = {}
        self._scheduler = BackgroundScheduler(timezone=UTC)
        # It warns whenever a run is longer than its tick.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self.add("outage", outage.look, 1)

    def add(self, name: str, job: Callable[[], None], seconds: float) -> None:
        """Has the job run every so many seconds."""
        self._timers[name] = _Timer(seconds, job)
        self._scheduler.add_job(
            partial(self._tick, name),
            Pace(seconds),
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,  # late is better than never: the machine may have slept
        )

    def start(self, *at_once: str) -> None:
        """Lets time run; these jobs do not wait for their first turn."""
        self._scheduler.start()
        for timer in self._timers.values():
            timer.ended_at = time.monotonic()
        for name in at_once:
            self._scheduler.modify_job(name, next_run_time=utc_now())

    def stop(self) -> None:
        """Returns when what runs has ended; nothing more will."""
        self._scheduler.shutdown(wait=True)

    def keep_up(self) -> None:
        """To be called every second: a job that would wait longer than its pace waits no more.

        The scheduler goes by the clock, and sleeps for as long as the clock was set back.
        """
        now = utc_now()
        for job in self._scheduler.get_jobs():
            if job.next_run_time - now > timedelta(seconds=2 * self._timers[job.id].seconds):
                job.modify(next_run_time=now)

    def stuck(self, patience: float, names: Iterable[str]) -> str:
        """Which of these jobs was due and has not ended without a bug for so many seconds; "" if none."""
        now = time.monotonic()
        for name in names:
            if (timer := self._timers.get(name)) is None:
                continue
            late = now - timer.ended_at - timer.seconds
            if late > patience:
                return f"{name} has not come to its end for {late:.0f} s"
        return ""

    def run(self, job: Callable[[], None]) -> bool:
        """One run of any job; False if a bug ended it."""
        if self._outage.is_on and job != self._outage.look:
            return True
        try:
            job()
        except UnreachableError as error:
            self._outage.begin(error)
        except StoreError as error:
            log.error("%s", error)  # noqa: TRY400 (no bug of ours)
        except Exception:
            log.exception("a bug ended this run; trying again")
            return False
        return True

    def _tick(self, name: str) -> None:
        timer = self._timers[name]
        if self.run(timer.job):
            timer.ended_at = time.monotonic()
