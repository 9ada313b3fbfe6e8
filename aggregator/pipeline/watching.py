"""What an operator is told without asking: alarms when they begin and end, and a line a day."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from aggregator.publish import feed_alarm
from aggregator.store import Store
from aggregator.store.feeds import feed_statuses
from aggregator.store.figures import figures
from aggregator.store.listing import entries_by_day

log = logging.getLogger(__name__)

RHYTHM_DAYS = 120
"""How far back a feed's rhythm is looked for: a season."""

LOOK_SECONDS = 3600
"""How often alarms are looked for; they go by days."""


def alarms(store: Store, now: datetime) -> dict[str, tuple[str, str]]:
    """What is strange about which listed feed: by its URL, its title and the sentence."""
    today = int(now.timestamp() // 86_400)
    with store.read() as db:
        by_feed = entries_by_day(db, today - RHYTHM_DAYS)
        feeds = feed_statuses(db)
    return {
        feed.url: (feed.title or feed.url, alarm)
        for feed in feeds
        if (alarm := feed_alarm(by_feed.get(feed.url, {}), today))
    }


class Watch:
    """Remembers which alarms were told, and what was counted when the day began."""

    def __init__(self, store: Store, now: Callable[[], datetime], counted: Counter[str]) -> None:
        self._store = store
        self._now = now
        self._counted = counted
        self._before = Counter[str]()
        self._day = now().date()
        self._told: dict[str, tuple[str, str]] = {}
        self._looked_at: datetime | None = None

    def look(self) -> None:
        """Logs what has begun or ended since the last look, and the line of a day that is over."""
        now = self._now()
        if self._looked_at is None or abs((now - self._looked_at).total_seconds()) >= LOOK_SECONDS:
            self._looked_at = now
            self._tell(alarms(self._store, now))
        if now.date() != self._day:
            self._day = now.date()
            self._digest(now)

    def _tell(self, found: dict[str, tuple[str, str]]) -> None:
        for url, (name, alarm) in found.items():
            if url not in self._told:
                log.warning("%s: %s", name, alarm, extra={"feed": name})
        for url, (name, _) in self._told.items():
            if url not in found:
                log.info("%s: as usual again", name, extra={"feed": name})
        self._told = found

    def _digest(self, now: datetime) -> None:
        done = Counter(self._counted)
        day = {name: done[name] - self._before[name] for name in ("polls", "failed", "new", "events")}
        self._before = done
        with self._store.read() as db:
            lag = figures(db, now).lag
        log.info(
            "a day is over: %d polls, %d of them failed, %d new entries, %d new events, %d alarms, lag %s",
            *day.values(),
            len(self._told),
            "unknown" if lag is None else f"{lag / 60:.0f} min",
            extra={**day, "alarms": len(self._told), "lag": lag},
        )
