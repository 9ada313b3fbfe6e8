"""The poll flow: fetch -> parse and normalise -> unseen -> sign -> decide -> save; one poll is one transaction."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from queue import SimpleQueue
from random import Random

from aggregator import moves
from aggregator.config import Settings
from aggregator.fetch import Fetcher, HostQueue, Permits, host_of
from aggregator.pipeline.clock import Clock, running, utc_now
from aggregator.pipeline.network import Network
from aggregator.pipeline.news import read_news
from aggregator.pipeline.reports import PollReport, Result
from aggregator.pipeline.stepping import follow_clock
from aggregator.publish import failure_words
from aggregator.rhythm import emits_anew
from aggregator.schedule import after_failure, after_success, capped_waits, moved_along, wants_whole
from aggregator.store import Store, StoreError, UnreachableError
from aggregator.store.entries import save_poll
from aggregator.store.feeds import (
    LEASE,
    RENEW_SECONDS,
    StaleLeaseError,
    claim_feed,
    present,
    renew_leases,
    seen_of,
    some_addresses,
    unclaim_feed,
)
from aggregator.store.hosts import HostBusyError, leave_host, take_turn
from aggregator.store.processes import process_name
from aggregator.types import (
    NOTHING_SEEN,
    Failed,
    FailureKind,
    FeedId,
    FeedState,
    Fetched,
    FetchResult,
    News,
    NotModified,
    PollOutcome,
)
from aggregator.workers import ParserPool, PoolClosedError, core_count

log = logging.getLogger(__name__)

THREADS = 64
"""Feeds under way at once. Threads mostly wait for servers: healthy ones keep the two cores busy with 16, but of a
thousand feeds fifty may have servers that answer nothing for as long as they are allowed to."""

READING = 1
"""To be raised when parsing or normalising changes: what was read the old way is then read again."""

STOP_SECONDS = 3.0
"""How long polls under way may go on after a stop is asked for: a save takes milliseconds, a fetch may take its
whole timeout and is given up without a trace."""

BUSY_SECONDS = 0.5
"""After which a feed that was redirected to a host which other processes ask tries again, at the latest."""

SOME = 100
"""Feeds of the list among which sites are found that show whether there is a network."""

NO_NEWS = News((), (), ())


@dataclass(frozen=True, slots=True)
class Poller:
    """All that a poll needs. `random` spreads the next polls."""

    store: Store
    settings: Settings
    fetcher: Fetcher
    parsers: ParserPool
    clock: Clock
    random: Random
    worker: str
    """The name under which this process leases feeds, no other's."""
    network: Network

    def poll(self, state: FeedState, permits: Permits) -> PollReport:
        """Fetches one feed and keeps what it brought; foreseeable failures are in the report.

        That the feed is asked is on record before it is: a crash can't make it be asked again too soon. Raises
        HostBusyError, with nothing on record, if other processes ask its host.
        """
        host = host_of(state.address)
        try:
            with self.clock.held() as asked, self.store.write() as db:
                before, state = state, claim_feed(db, state, self.worker, asked.at, self.settings)
                take_turn(db, state.id, host, self.settings)
        except StaleLeaseError:
            return PollReport(state, Result.PASSED_OVER, 0, 0, 0, "")
        except UnreachableError as error:
            return PollReport(state, Result.UNREACHED, 0, 0, 0, str(error))
        is_whole = wants_whole(state, asked.at)
        question = replace(state, etag="", last_modified="") if is_whole else state
        shared, started = _SharedPermits(self, permits, host), time.monotonic()
        result = self.fetcher.fetch(question, shared)
        took = time.monotonic() - started - shared.waited
        if self.network.is_to_blame(result, state.address, started):
            if isinstance(result, Failed) and result.is_unasked:
                with self.store.write() as db:
                    unclaim_feed(db, state, before)
            return self.spared(state)
        now = self.clock.moment()
        state = replace(moved_along(state, now.set_since(asked)), answer_seconds=took)
        if is_whole or (isinstance(result, Fetched) and not result.is_delta):
            state = replace(state, whole_at=now.at)
        outcome = self._outcome(state, result, now.at)
        try:
            with self.clock.held() as kept, self.store.write() as db:
                outcome = replace(outcome, state=moved_along(outcome.state, kept.set_since(now)))
                new = save_poll(db, outcome, kept.at, READING)
        except StaleLeaseError:
            return PollReport(state, Result.STALE, 0, 0, 0, "another process took it over meanwhile")
        if outcome.failure:
            return PollReport(outcome.state, Result.FAILED, 0, 0, 0, outcome.failure.detail)
        name = Result.UNCHANGED if outcome.unchanged else Result.OK
        return PollReport(outcome.state, name, outcome.seen, new, len(outcome.news.edits), "")

    def spared(self, state: FeedState) -> PollReport:
        """Gives the feed back: that there is no network says nothing of it."""
        with self.store.write() as db:
            leave_host(db, state.id)
            renew_leases(db, self.worker, [state.id], None)
        return PollReport(state, Result.OFFLINE, 0, 0, 0, "there is no network")

    def give_up(self, state: FeedState, error: Exception) -> PollReport:
        """Puts off a feed whose poll ended in a bug, so that it is not asked again at once."""
        failure = Failed(FailureKind.BUG, _ended_by(error))
        with self.clock.held() as now:
            outcome = self._failed(state, failure, now.at)
            with suppress(StaleLeaseError), self.store.write() as db:
                save_poll(
                    db, replace(outcome, state=present(db, outcome.state, self.worker)), now.at, READING
                )
        return PollReport(outcome.state, Result.FAILED, 0, 0, 0, failure_words(failure))

    def let_go(self, state: FeedState, error: Exception) -> PollReport:
        """Gives back a feed of which nothing can be kept; if that fails too, its lease ends by itself."""
        with suppress(Exception), self.store.write() as db:
            leave_host(db, state.id)
            renew_leases(db, self.worker, [state.id], None)
        bug = Failed(FailureKind.BUG, _ended_by(error))
        return PollReport(state, Result.FAILED, 0, 0, 0, failure_words(bug))

    def _outcome(self, state: FeedState, result: FetchResult, now: datetime) -> PollOutcome:
        if isinstance(result, Failed):
            return self._failed(state, result, now)
        if isinstance(result, NotModified):
            kept = replace(state, etag=result.etag, last_modified=result.last_modified)
            return self._answered(kept, result, now, None)
        body_hash = f"{READING}:{hashlib.blake2b(result.body, digest_size=16).hexdigest()}"
        kept = replace(state, etag=result.etag, last_modified=result.last_modified, body_hash=body_hash)
        if body_hash == state.body_hash:
            return self._answered(kept, result, now, None)
        with self.store.read() as db:
            seen = NOTHING_SEEN if result.is_delta else seen_of(db, state.id, READING)
        parsed = self.parsers.read(replace(result, set_lang=state.set_lang), now, seen)
        if isinstance(parsed, Failed):
            return self._failed(state, parsed, now)
        kept = replace(kept, lang=parsed.lang, title=state.title or parsed.title, hints=parsed.hints)
        with self.store.read() as db:
            news = read_news(db, state.id, parsed, is_whole=not result.is_delta, before=seen)
        outcome = self._answered(kept, result, now, news)
        entries = len(parsed.entries) + sum(item.entry > 0 for item in parsed.seen.items)
        # What an older version of this program read otherwise is no doing of the feed's.
        is_same_reading = state.body_hash.startswith(f"{READING}:")
        again = news.again if is_same_reading and emits_anew(news.again, entries) else 0
        return replace(outcome, seen=entries, read=None if result.is_delta else parsed.seen, again=again)

    def _answered(
        self, state: FeedState, result: Fetched | NotModified, now: datetime, news: News | None
    ) -> PollOutcome:
        """The outcome of a poll that found the feed; `news` is None if its document is the one known."""
        moved = moves.after_answer(state, result.moved_to, now)
        if moved.move.address != state.move.address:
            log.info("%s: moved, asked at its new address from now on", _name(state), extra=_fields(state))
        for sentence in capped_waits(state, result.max_age, None):
            log.info("%s: %s", _name(state), sentence, extra=_fields(state))
        jitter = self.random.random()
        fresh = len(news.new) if news else 0
        later = after_success(moved, now, fresh, result.max_age, self.settings, jitter)
        return PollOutcome(later, 0, news or NO_NEWS, None, unchanged=news is None)

    def _failed(self, state: FeedState, failure: Failed, now: datetime) -> PollOutcome:
        for sentence in capped_waits(state, failure.max_age, failure.retry_after):
            log.info("%s: %s", _name(state), sentence, extra=_fields(state))
        advised = replace(failure, detail=failure_words(failure))
        later = after_failure(state, advised, now, self.settings, self.random.random())
        return PollOutcome(moves.after_failure(later), 0, NO_NEWS, advised, unchanged=False)


def _ended_by(error: Exception) -> str:
    return f"A bug in this program ended the poll ({type(error).__name__})."


def _fields(state: FeedState) -> dict[str, object]:
    return {"feed": _name(state), "feed_id": state.id}


def _name(state: FeedState) -> str:
    return state.title or f"feed {state.id}"


class _SharedPermits:
    """The permits of one poll, where a place at another host is one among all processes."""

    def __init__(self, poller: Poller, own: Permits, host: str) -> None:
        self._poller = poller
        self._own = own
        self._host = host
        self.waited = 0.0
        """Seconds in which the fetch waited for a permit and not for its server."""

    def go_on(self, state: FeedState, url: str) -> None:
        started = time.monotonic()
        self._go_on(state, url)
        self.waited += time.monotonic() - started

    def _go_on(self, state: FeedState, url: str) -> None:
        self._own.go_on(state, url)
        host = host_of(url)
        while host != self._host:
            try:
                with self._poller.store.write() as db:
                    take_turn(db, state.id, host, self._poller.settings)
                self._host = host
            except HostBusyError as busy:
                time.sleep(min(busy.seconds, BUSY_SECONDS))

    def hold_large(self, state: FeedState) -> None:
        started = time.monotonic()
        self._own.hold_large(state)
        self.waited += time.monotonic() - started


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
        self._ended = threading.Event()
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._keep_leases, name="leases", daemon=True).start()

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
        self._ended.set()
        with suppress(StoreError):
            self._renew(None)
        return not any(thread.is_alive() for thread in self._threads)

    def is_held(self, feed: FeedId) -> bool:
        """Whether the feed was asked lately without its state being kept: it must not be asked again so soon."""
        return time.monotonic() < self._held.get(feed, 0.0)

    def _work(self) -> None:
        try:
            while (state := self._queue.take()) is not None:
                started = time.monotonic()
                is_done = True
                try:
                    report = self._poll(state)
                    self._reports.put(replace(report, seconds=time.monotonic() - started))
                except PoolClosedError:
                    return  # stopping: the poll is given up without a trace
                except HostBusyError as busy:
                    is_done = False
                    self._queue.put_back(state, busy.seconds)
                except StoreError as error:
                    self._held[state.id] = time.monotonic() + self._poller.settings.min_interval
                    is_away = isinstance(error, UnreachableError)
                    result = Result.UNREACHED if is_away else Result.FAILED
                    self._reports.put(PollReport(state, result, 0, 0, 0, str(error)))
                finally:
                    if is_done:
                        self._queue.done(state)
        finally:
            self._reports.put(None)

    def _keep_leases(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                with self._poller.clock.held() as now:
                    self._renew(now.at + LEASE)
            except UnreachableError:
                continue  # the polls themselves say so
            except StoreError as error:
                log.warning("%s", error)

    def _renew(self, until: datetime | None) -> None:
        if held := self._queue.held():
            with self._poller.store.write() as db:
                renew_leases(db, self._poller.worker, held, until)

    def _poll(self, state: FeedState) -> PollReport:
        try:
            if self._poller.network.is_gone:
                return self._poller.spared(state)
            return self._poller.poll(state, self._queue)
        except (PoolClosedError, StoreError, HostBusyError):
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is: _given_up tells it)
            return self._given_up(state, error)

    def _given_up(self, state: FeedState, error: Exception) -> PollReport:
        """The report of a poll that ended in a bug, which is told once, with its traceback."""
        try:
            report = self._poller.give_up(state, error)
        except StoreError:
            log.exception("a bug: the poll of feed %s was given up", state.id, extra=_fields(state))
            raise
        except Exception as again:
            # The traceback shows both. That the feed was asked is on record: it is not asked again at once.
            log.exception("a bug: what became of feed %s can't be kept", state.id, extra=_fields(state))
            return self._poller.let_go(state, again)
        log.error("a bug: the poll of feed %s was given up", state.id, extra=_fields(state), exc_info=error)
        return report


def poll_all(poller: Poller, states: Sequence[FeedState]) -> Iterator[PollReport]:
    """A report for each feed as its poll ends, in any order; ending the iteration early ends the polling."""
    queue = HostQueue(states, poller.settings)
    queue.finish()
    workers = PollWorkers(poller, queue, min(THREADS, len(states)))
    try:
        for report in workers.reports():
            with suppress(StoreError):  # tried again after the next poll
                follow_clock(poller.clock, poller.store, poller.worker)
            yield report
    finally:
        workers.stop(STOP_SECONDS)


def _some_addresses(store: Store) -> list[str]:
    with store.read() as db:
        return some_addresses(db, SOME)


@contextmanager
def open_poller(store: Store, settings: Settings, worker: str = "") -> Iterator[Poller]:
    """A poller with its fetcher and its parsing processes, which end with the context.

    It leases feeds under the name `worker`, else one of its own.
    """
    with Fetcher(settings) as fetcher:
        parsers = ParserPool(core_count())
        try:
            spread = Random()  # noqa: S311 (no secret)
            network = Network(fetcher.reaches, partial(_some_addresses, store), spread)
            name = worker or process_name()
            clock = Clock(utc_now, running)
            yield Poller(store, settings, fetcher, parsers, clock, spread, name, network)
        finally:
            parsers.close()
