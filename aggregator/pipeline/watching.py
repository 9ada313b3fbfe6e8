"""What an operator is told without asking: alarms when they begin and end, and a line a day."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from aggregator.publish import alarm_words
from aggregator.store.activity import EPOCH, day_number, find_alarms
from aggregator.store.days import count_day, end_days
from aggregator.store.figures import figures
from aggregator.store.office import Office
from aggregator.store.space import space
from aggregator.types import Alarm, AlarmKind, DayCount

log = logging.getLogger(__name__)

LOOK_SECONDS = 3600
"""How often alarms are looked for; they go by days."""

SETTLED = timedelta(minutes=3)
"""After which all processes have counted what they did on a day that is over: each looks once a minute."""

COUNTED = ("polls", "failed", "new", "events")


class Watch:
    """Counts what this process does to its days; tells alarms and days if it has the role, as one at a time has.

    `counted` are this process's counts since its start.
    """

    def __init__(self, office: Office, now: Callable[[], datetime], counted: Counter[str]) -> None:
        self._office = office
        self._now = now
        self._counted = counted
        self._before = Counter[str]()
        self._day: int | None = None
        self._told: dict[tuple[str, AlarmKind], Alarm] = {}
        self._looked_at: datetime | None = None
        self._ended: int | None = None

    def look(self) -> None:
        """Logs what has begun or ended since the last look, and the line of a day that is over."""
        now = self._now()
        self.count()
        if self._office.seek() is None:
            self._told, self._looked_at, self._ended = {}, None, None
            return
        if self._looked_at is None or abs((now - self._looked_at).total_seconds()) >= LOOK_SECONDS:
            self._looked_at = now
            with self._office.store.read() as db:
                found = find_alarms(db, now)
            self._tell({(alarm.url, alarm.kind): alarm for alarm in found})
        settled = day_number(now - SETTLED)
        if settled != self._ended:
            with self._office.store.write() as db:
                ended = end_days(db, settled, now)
            self._ended = settled
            for count in ended:
                self._sum_up(count, now)

    def count(self) -> None:
        """Keeps what was done since the last look with the day of that look, and gives today a row."""
        today = day_number(self._now())
        done = Counter(self._counted)
        new = {name: done[name] - self._before[name] for name in COUNTED}
        if today == self._day and not any(new.values()):
            return
        with self._office.store.write() as db:
            count_day(db, today if self._day is None else self._day, new)
            count_day(db, today, {})
        self._before, self._day = done, today

    def _tell(self, found: dict[tuple[str, AlarmKind], Alarm]) -> None:
        for key, alarm in found.items():
            if key not in self._told:
                words = alarm_words(alarm.kind, alarm.count)
                fields = {"feed": alarm.name, "alarm": alarm.kind, "count": alarm.count}
                log.warning("%s: %s", alarm.name, words, extra=fields)
        for key, alarm in self._told.items():
            if key not in found:
                fields = {"feed": alarm.name, "alarm": alarm.kind}
                log.info("%s: as usual again (%s)", alarm.name, alarm.kind, extra=fields)
        self._told = found

    def _sum_up(self, count: DayCount, now: datetime) -> None:
        with self._office.store.read() as db:
            found, size = figures(db, now), space(db).total
        day = (EPOCH + timedelta(days=count.day)).date().isoformat()
        alarms = found.alarms.total()
        lag = "unknown" if found.lag is None else f"{found.lag / 60:.0f} min"
        log.info(
            "%s is over: %d polls, %d of them failed, %d new entries, %d new events, %d alarms, lag %s, "
            "database %d MB",
            day,
            count.polls,
            count.failed,
            count.new,
            count.events,
            alarms,
            lag,
            round(size / 1e6),
            extra={
                "day": day,
                "polls": count.polls,
                "failed": count.failed,
                "new": count.new,
                "events": count.events,
                "alarms": alarms,
                "lag": found.lag,
                "bytes": size,
            },
        )
