"""What is counted while the program runs, and what the database tells when somebody asks: in Prometheus' format."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from aggregator.store import Store
from aggregator.store.figures import figures
from aggregator.types import AlarmKind, FeedHealth

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class Meters:
    """Counts of this process since its start. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tally = Tally[str]()
        """Polls, failed ones, new entries and events: what the log's line of a day is made of."""
        self.polls = Counter(
            "aggregator_polls", "Polls by how they ended.", ["outcome"], registry=self.registry
        )
        self.poll_seconds = Histogram(
            "aggregator_poll_seconds",
            "Seconds that a poll took, from its request to its last write.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self.entries = Counter("aggregator_entries_new", "New entries kept.", registry=self.registry)
        self.edits = Counter(
            "aggregator_entries_edited", "Entries that their feeds changed.", registry=self.registry
        )
        self.grouped = Counter(
            "aggregator_entries_grouped", "Entries that were given an event.", registry=self.registry
        )
        self.messages = Counter(
            "aggregator_webhook_messages",
            "Messages sent to the webhook, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )

    def count_messages(self, delivered: int, failed: int, dead: int) -> None:
        """So many messages were taken, and so many not, some of which were given up."""
        for outcome, count in (("delivered", delivered), ("failed", failed - dead), ("given up", dead)):
            self.messages.labels(outcome).inc(count)

    def as_text(self, store: Store, now: datetime) -> bytes:
        """All figures, those of the database as they are now."""
        registry = CollectorRegistry()
        registry.register(_Stored(store, now))
        return generate_latest(self.registry) + generate_latest(registry)


class _Stored(Collector):
    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """One gauge for each figure."""
        with self._store.read() as db:
            found = figures(db, self._now)
        feeds = GaugeMetricFamily("aggregator_feeds", "Listed feeds by state.", labels=["state"])
        for state in FeedHealth:
            feeds.add_metric([state], found.feeds.get(state, 0))
        yield feeds
        alarms = GaugeMetricFamily(
            "aggregator_alarms",
            "Listed feeds that are strange by their own rhythm, by what is.",
            labels=["kind"],
        )
        for kind in AlarmKind:
            alarms.add_metric([kind], found.alarms[kind])
        yield alarms
        for name, about, value in (
            ("aggregator_entries", "Entries in the database.", found.entries),
            ("aggregator_events", "Events in the database, merged ones included.", found.events),
            ("aggregator_pending_entries", "Entries that wait to be grouped.", found.pending),
            ("aggregator_due_feeds", "Feeds whose time has come and that were not asked yet.", found.due),
            ("aggregator_change_cursor", "Cursor of the newest change.", found.cursor),
            ("aggregator_index_rows", "Entries that can be compared, those with a signature.", found.signed),
            ("aggregator_webhook_waiting", "Messages to the webhook not delivered yet.", found.waiting),
            ("aggregator_webhook_dead", "Messages to the webhook that were given up.", found.dead),
            (
                "aggregator_event_lag_seconds",
                "Median seconds from the publication of an entry to its event, over the newest events.",
                found.lag,
            ),
        ):
            if value is not None:
                yield GaugeMetricFamily(name, about, value=value)
