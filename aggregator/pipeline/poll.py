"""The poll flow: fetch -> parse and normalise -> unseen -> sign -> decide -> save; one poll is one transaction."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from queue import SimpleQueue
from random import Random

from aggregator.config import Settings
from aggregator.fetch import Fetcher, HostQueue
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.news import find_news
from aggregator.schedule import after_failure, after_success
from aggregator.store import Store, StoreError
from aggregator.store.entries import known_entries, save_poll
from aggregator.types import (
    Failed,
    FailureKind,
    FeedId,
    FeedState,
    Fetched,
    FetchResult,
    News,
    NormalisedFeed,
    NotModified,
    PollOutcome,
)
from aggregator.workers import ParserPool, PoolClosedError

log = logging.getLogger(__name__)

THREADS = 16
"""Feeds under way at once. Threads mostly wait for servers: with 16, 500 feeds of servers that take .3 s to
answer need 10 s, and the two cores are busy before the network is."""

BODY_HASH_VERSION = "1"
"""To be raised when parsing or normalising changes: a body read the old way is then read again."""

STOP_SECONDS = 3.0
"""How long polls under way may go on after a stop is asked for: a save takes milliseconds, a fetch may take its
whole timeout and is given up without a trace."""

NO_NEWS = News((), (), ())


class Result(StrEnum):
    """How a poll ended."""

    OK = "ok"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PollReport:
    """What one poll did: `seen` items in the document, `new` of them stored for the first time."""

    state: FeedState
    result: Result
    seen: int
    new: int
    edited: int
    detail: str


@dataclass(frozen=True, slots=True)
class Poller:
    """All that a poll needs. `now` gives the time in UTC, `random` spreads the next polls."""

    store: Store
    settings: Settings
    fetcher: Fetcher
    parsers: ParserPool
    now: Callable[[], datetime]
    random: Random

    def poll(self, state: FeedState) -> PollReport:
        """Fetches one feed and keeps what it brought; foreseeable failures are in the report."""
        result = self.fetcher.fetch(state)
        now = self.now()
        outcome = self._outcome(state, result, now)
        with self.store.write() as db:
            new = save_poll(db, outcome, now)
        if outcome.failure:
            return PollReport(outcome.state, Result.FAILED, 0, 0, 0, outcome.failure.detail)
        result_name = Result.UNCHANGED if outcome.unchanged else Result.OK
        return PollReport(outcome.state, result_name, outcome.seen, new, len(outcome.news.edits), "")

    def give_up(self, state: FeedState, error: Exception) -> PollReport:
        """Puts off a feed whose poll ended in a bug, so that it is not asked again at once."""
        failure = Failed(FailureKind.PARSER, f"a bug in this program ended the poll ({type(error).__name__})")
        now = self.now()
        later = after_failure(state, failure, now, self.settings, self.random.random())
        with self.store.write() as db:
            save_poll(db, _failed(later, failure), now)
        return PollReport(later, Result.FAILED, 0, 0, 0, failure.detail)

    def _outcome(self, state: FeedState, result: FetchResult, now: datetime) -> PollOutcome:
        jitter = self.random.random()
        if isinstance(result, Failed):
            return _failed(after_failure(state, result, now, self.settings, jitter), result)
        if isinstance(result, NotModified):
            kept = replace(state, etag=result.etag, last_modified=result.last_modified)
            return _unchanged(after_success(kept, now, 0, result.max_age, self.settings, jitter))
        body_hash = f"{BODY_HASH_VERSION}:{hashlib.blake2b(result.body, digest_size=16).hexdigest()}"
        kept = replace(state, etag=result.etag, last_modified=result.last_modified, body_hash=body_hash)
        if body_hash == state.body_hash:
            return _unchanged(after_success(kept, now, 0, result.max_age, self.settings, jitter))
        parsed = self.parsers.read(result, now)
        if isinstance(parsed, Failed):
            return _failed(after_failure(state, parsed, now, self.settings, jitter), parsed)
        return self._compare(kept, result, parsed, now, jitter)

    def _compare(
        self, state: FeedState, fetched: Fetched, parsed: NormalisedFeed, now: datetime, jitter: float
    ) -> PollOutcome:
        with self.store.read() as db:
            known = known_entries(db, state.id, parsed.entries)
        news = find_news(parsed.entries, known)
        freshness = max((age for age in (fetched.max_age, parsed.ttl) if age is not None), default=None)
        state = replace(state, lang=parsed.lang, title=state.title or parsed.title)
        state = after_success(state, now, len(news.new), freshness, self.settings, jitter)
        return PollOutcome(state, len(parsed.entries), news, None, unchanged=False)


def _failed(state: FeedState, failure: Failed) -> PollOutcome:
    return PollOutcome(state, 0, NO_NEWS, failure, unchanged=False)


def _unchanged(state: FeedState) -> PollOutcome:
    return PollOutcome(state, 0, NO_NEWS, None, unchanged=True)


class PollWorkers:
    """Threads that poll the feeds of one queue until it ends, and hand over a report for each."""

    def __init__(self, poller: Poller, queue: HostQueue, count: int = THREADS) -> None:
        self._poller = poller
        self._queue = queue
        self._reports: SimpleQueue[PollReport | None] = SimpleQueue()
        self._held: dict[FeedId, float] = {}
        # Daemon threads: one that waits for a slow server must not hold up the program's end.
        self._threads = [
            threading.Thread(target=self._work, name=f"poll-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def reports(self) -> Iterator[PollReport]:
        """Each poll's report as it ends; ends when all threads have ended."""
        for _ in self._threads:
            while (report := self._reports.get()) is not None:
                yield report

    def stop(self, seconds: float) -> bool:
        """Gives polls under way at most `seconds` to end; True if all did. A poll writes all or nothing."""
        self._queue.stop()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def is_held(self, feed: FeedId) -> bool:
        """Whether the feed was asked lately without its state being kept: it must not be asked again so soon."""
        return time.monotonic() < self._held.get(feed, 0.0)

    def _work(self) -> None:
        try:
            while (state := self._queue.take()) is not None:
                try:
                    self._reports.put(self._poll(state))
                except PoolClosedError:
                    return  # stopping: the poll is given up without a trace
                except StoreError as error:
                    self._held[state.id] = time.monotonic() + self._poller.settings.min_interval
                    self._reports.put(PollReport(state, Result.FAILED, 0, 0, 0, str(error)))
                finally:
                    self._queue.done(state)
        finally:
            self._reports.put(None)

    def _poll(self, state: FeedState) -> PollReport:
        try:
            return self._poller.poll(state)
        except (PoolClosedError, StoreError):
            raise
        except Exception as error:
            log.exception("a bug: the poll of feed %s was given up", state.id)
            return self._poller.give_up(state, error)


def poll_all(poller: Poller, states: Sequence[FeedState]) -> Iterator[PollReport]:
    """A report for each feed as its poll ends, in any order; ending the iteration early ends the polling."""
    queue = HostQueue(states, poller.settings)
    queue.finish()
    workers = PollWorkers(poller, queue, min(THREADS, len(states)))
    try:
        yield from workers.reports()
    finally:
        workers.stop(STOP_SECONDS)


def parser_count() -> int:
    """One parsing process a core: parsing is all CPU."""
    return max(1, len(os.sched_getaffinity(0)))


@contextmanager
def open_poller(store: Store, settings: Settings) -> Iterator[Poller]:
    """A poller with its fetcher and its parsing processes, which end with the context."""
    with Fetcher(settings) as fetcher:
        parsers = ParserPool(parser_count())
        try:
            yield Poller(store, settings, fetcher, parsers, utc_now, Random())  # noqa: S311 (spreads polls, no secret)
        finally:
            parsers.close()
