"""The daemon: timers that start the flows, signals that end them, and the one place where bugs are caught."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random

from aggregator.config import Settings
from aggregator.credentials import redacted
from aggregator.fetch import FetchError, HostQueue, Poster
from aggregator.meters import Meters
from aggregator.pipeline.calibrating import network_of
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.delivering import POST_SECONDS, Courier
from aggregator.pipeline.lists import OpmlWatch
from aggregator.pipeline.outage import Outage
from aggregator.pipeline.poll import THREADS, Poller, PollWorkers, open_poller
from aggregator.pipeline.pruning import Pruner
from aggregator.pipeline.reports import PollReport, Result
from aggregator.pipeline.stepping import follow_clock
from aggregator.pipeline.watching import Watch
from aggregator.schedule import NEVER, earliest
from aggregator.store import Store, StoreError, open_store
from aggregator.store.clocks import doubt_future
from aggregator.store.dialect import hold_polling
from aggregator.store.feeds import (
    LEASE,
    count_due,
    due_feeds,
    end_leases,
    lease_feeds,
    next_due,
    put_off,
    renew_leases,
)
from aggregator.store.office import Office
from aggregator.store.outbox import switch_webhook
from aggregator.store.processes import RENEW_SECONDS, Presence, process_name
from aggregator.store.room import keep_room
from aggregator.supervisor import Supervisor
from aggregator.timers import Timers
from aggregator.types import FeedState
from aggregator.workers import OnDemand, helper_count

log = logging.getLogger(__name__)

TICK_SECONDS = 1
OPML_SECONDS = 1
TIDY_SECONDS = 6 * 3600
WATCH_SECONDS = 60
ROOM_SECONDS = 60
HEART_SECONDS = 10
NETWORK_SECONDS = 15

RETURN_SECONDS = 300.0
LEAST_PACE = 8.0
"""After a network's return the feeds that are due by then begin within five minutes, eight a second at least: that
nobody's line or name server is met by all of them at once, and a short list does not wait."""

STOP_SECONDS = 3.0
"""What polls under way get to end in; with the last batch of the clusterer the whole stop stays under 5 s."""

WATCHED = ("polling", "database", "outage")
"""The timers whose runs are short: one that hangs is a hang of the program.

Grouping may take minutes (an import)."""

AHEAD = 4 * THREADS
"""Hosts that wait for a thread up to which more feeds are leased: a second's work, so that several processes share
a backlog, and one slow host with many feeds keeps no others from being leased."""

HELD = timedelta(minutes=1)
"""By which a feed is put off again and again while it must not be asked."""

LAST_POST_SECONDS = 0.5
"""What a message on its way to the webhook gets besides: if it is not taken by then, it is sent again at the next
start."""

LAST_SECONDS = 4.5
"""When a stop that hangs (a database that another program holds, a disk that does not answer) ends by force."""


class DaemonError(Exception):
    """The daemon can't start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which parts this process runs."""

    poll: bool
    cluster: bool
    web: bool


def serve(settings: Settings, roles: Roles, ready: Callable[[], None] = lambda: None) -> None:
    """Polls and groups until SIGTERM or SIGINT; ends within 5 s of it, with whole transactions.

    Raises DaemonError or OpmlError if it can't start. `ready` is called once everything runs.
    """
    stop = threading.Event()
    _stop_on_signals(stop)
    supervisor = Supervisor()
    store = open_store(settings.database)
    meters = Meters()
    courier: threading.Thread | None = None
    with ExitStack() as stack:
        stack.callback(store.close)
        outage = Outage(store)
        timers = Timers(outage)
        timers.add("database", partial(_look_at, store), HEART_SECONDS)
        parts = _Parts(store, settings, meters, timers, process_name())
        office: Office | None = None
        if roles.poll:
            workers = _start_polling(stack, parts)
        if roles.cluster:
            office = stack.enter_context(Office(store, "cluster"))
            if office.seek() is None and store.engine.dialect.name == "sqlite":
                raise DaemonError(_taken("groups the entries of"))
            timers.add("grouping", _Grouping(office, settings, meters, stop).look, TICK_SECONDS)
            courier = _start_webhook(stack, office, settings, meters, partial(_deliver, timers, stop))
        elif settings.webhook_url:
            log.warning("WEBHOOK_URL is not used here: the process that groups tells of events")
        timers.add("tidying", store.tidy, TIDY_SECONDS)
        timers.add("room", partial(keep_room, store.engine, tries=1), ROOM_SECONDS)
        at_once, last = _start_watch(stack, parts, roles, office)
        if roles.web:
            _start_page(stack, store, settings, meters, alone=not (roles.poll or roles.cluster))
        timers.start(*at_once)
        log.info("running; stop with Ctrl-C or SIGTERM")
        ready()
        supervisor.ready()
        while not stop.wait(TICK_SECONDS):
            timers.keep_up()
            supervisor.report(_status(meters, outage), timers.stuck(supervisor.patience or math.inf, WATCHED))
        supervisor.stopping()
        log.info("stopping")
        ended = workers.stop(STOP_SECONDS) if roles.poll else True
        timers.stop()
        for job in last:
            timers.run(job)
        if courier is not None:
            courier.join(LAST_POST_SECONDS)
            ended = ended and not courier.is_alive()
    log.info("stopped")
    if not ended:
        # Some threads still wait for servers. Their polls have written nothing, their messages to the webhook
        # will be sent again; nothing is left to tidy up.
        logging.shutdown()
        os._exit(0)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What parts of the daemon are made with; `name` is that of this process in the database."""

    store: Store
    settings: Settings
    meters: Meters
    timers: Timers
    name: str


def _start_watch(
    stack: ExitStack, parts: _Parts, roles: Roles, office: Office | None
) -> tuple[list[str], list[Callable[[], None]]]:
    """Watches what is done, and says on PostgreSQL that this process is there.

    Returns the timers that do not wait for their first turn, and what is to be done at the end.
    """
    at_once = ["polling"] if roles.poll else []
    last: list[Callable[[], None]] = []
    if roles.poll or roles.cluster:
        teller = stack.enter_context(Office(parts.store, "watch"))
        watch = Watch(teller, utc_now, parts.meters.tally)
        parts.timers.add("watch", watch.look, WATCH_SECONDS)
        last.append(watch.count)
    if parts.store.engine.dialect.name != "sqlite":
        presence = Presence(parts.store, parts.name, lambda: _does(roles, office))
        parts.timers.add("presence", presence.say, RENEW_SECONDS)
        at_once.append("presence")
        last.append(presence.leave)
    return at_once, last


def _does(roles: Roles, office: Office | None) -> list[str]:
    """What this process does just now, in the words of types.Process."""
    grouping = [] if office is None else ["cluster" if office.is_held else "standby"]
    return [*(["poll"] if roles.poll else []), *grouping, *(["web"] if roles.web else [])]


def _start_page(stack: ExitStack, store: Store, settings: Settings, meters: Meters, *, alone: bool) -> None:
    """Serves the page; if its address is taken, all else goes on without it, unless there is nothing else."""
    from aggregator.web import AddressError, WebError, WebServer  # noqa: PLC0415 (half a second)

    try:
        server = stack.enter_context(WebServer(store, settings, meters))
    except WebError as error:
        if isinstance(error, AddressError) and not alone:
            log.error("%s. Polling and grouping go on without it.", error)  # noqa: TRY400 (no bug of ours)
            return
        raise DaemonError(str(error)) from None
    log.info("the events are at %s", server.url)


def _start_polling(stack: ExitStack, parts: _Parts) -> PollWorkers:
    store, settings = parts.store, parts.settings
    if not stack.enter_context(hold_polling(store.engine)):
        raise DaemonError(_taken("polls for"))
    poller = stack.enter_context(open_poller(store, settings, parts.name))
    with store.write() as db:
        end_leases(db)
        _tell_moved(doubt_future(db, poller.clock.now()))
    watch = OpmlWatch(store, settings)
    watch.start()
    queue = HostQueue((), settings)
    workers = PollWorkers(poller, queue)
    threading.Thread(
        target=_log_reports, args=(workers.reports(), parts.meters), name="reports", daemon=True
    ).start()
    parts.timers.add("list", partial(_look_at_list, watch, poller), OPML_SECONDS)
    parts.timers.add("polling", DueFeeds(poller, queue, workers).look, TICK_SECONDS)
    parts.timers.add("network", poller.network.look, NETWORK_SECONDS)
    return workers


def _look_at_list(watch: OpmlWatch, poller: Poller) -> None:
    with poller.clock.held():
        watch.look()


def _start_webhook(
    stack: ExitStack,
    office: Office,
    settings: Settings,
    meters: Meters,
    keep_on: Callable[[Callable[[], bool]], None],
) -> threading.Thread | None:
    """The thread that sends messages until the stop, None without a webhook; changes are put out, or no more."""
    url = settings.webhook_url
    with office.store.write() as db:
        switch_webhook(db, utc_now(), on=bool(url))
    if not url:
        return None
    try:
        poster = stack.enter_context(Poster(url, settings.user_agent_contact, POST_SECONDS))
    except FetchError as error:
        raise DaemonError(f"WEBHOOK_URL: {error} Correct it.") from None
    courier = Courier(office.store, settings, poster, utc_now, Random())  # noqa: S311 (waits, no secrets)

    def deliver() -> bool:
        if not office.is_held or (done := courier.deliver()) is None:
            return False
        meters.count_messages(done.delivered, done.failed, done.dead)
        return True

    thread = threading.Thread(target=keep_on, args=(deliver,), name="webhook", daemon=True)
    thread.start()
    log.info("events are told to %s", redacted(url))
    return thread


def _deliver(timers: Timers, stop: threading.Event, deliver: Callable[[], bool]) -> None:
    """Delivers all that waits, every second until the stop."""

    def all_that_waits() -> None:
        while not stop.is_set() and deliver():
            continue

    while not stop.wait(TICK_SECONDS):
        timers.run(all_that_waits)


def _look_at(store: Store) -> None:
    """Returns when the database has answered."""
    with store.read() as db:
        next_due(db, utc_now())


def _status(meters: Meters, outage: Outage) -> str:
    """A line for the service manager."""
    if outage.is_on:
        return "the database does not answer: all else waits"
    done = meters.tally
    return (
        f"{done['polls']} polls ({done['failed']} failed), {done['new']} entries and {done['events']} events "
        "since the start"
    )


class Ramp:
    """Spreads the feeds that became due while there was no network over RETURN_SECONDS from its return."""

    def __init__(self, due: int, begun_at: float) -> None:
        self._pace = max(due / RETURN_SECONDS, LEAST_PACE)
        self._ends_at = begun_at + min(RETURN_SECONDS, due / self._pace)
        self._looked_at = begun_at

    def allowed(self, now: float) -> int:
        """How many feeds may start that could not since this was last asked."""
        if now >= self._ends_at:
            return AHEAD
        count = int((now - self._looked_at) * self._pace)
        self._looked_at += count / self._pace
        return count


class DueFeeds:
    """Hands the feeds that are due to the queue.

    Asks the database only if it was written since, or if a feed's time has come: at rest that is never.
    """

    def __init__(self, poller: Poller, queue: HostQueue, workers: PollWorkers) -> None:
        self._worker = poller.worker
        self._store = poller.store
        self._settings = poller.settings
        self._network = poller.network
        self._returns = 0
        self._ramp = Ramp(0, 0.0)
        self._queue = queue
        self._workers = workers
        self._clock = poller.clock
        self._mark: int | None = None
        self._next_at: datetime | None = None
        """Until when nothing is due unless something is written; None if feeds were due when last looked."""

    def look(self) -> None:
        """One tick."""
        if follow_clock(self._clock, self._store, self._worker):
            self._mark = self._next_at = None
        now = self._clock.now()
        mark = self._store.commits.mark()
        is_as_it_was = mark is not None and mark == self._mark
        if is_as_it_was and self._next_at is not None and now < self._next_at:
            return
        due = self._lease(now)
        self._mark = mark
        early = [(state.id, at) for state in due if (at := earliest(state, self._settings)) > now]
        early += [(state.id, now + HELD) for state in due if self._workers.is_held(state.id)]
        if early:
            # The limits were loosened when the next polls were set, or the clock has gone back since.
            with self._store.write() as db:
                put_off(db, early)
        too_early = {number for number, _ in early}
        self._queue.add([state for state in due if state.id not in too_early])

    def _allowed(self, now: datetime) -> int:
        if self._returns != self._network.returns:
            self._returns = self._network.returns
            with self._store.read() as db:
                self._ramp = Ramp(count_due(db, now), time.monotonic())
        return self._ramp.allowed(time.monotonic())

    def _lease(self, now: datetime) -> list[FeedState]:
        """Feeds for the queue: as many as its threads may want before the next tick, others are left to others.

        None while there is no network; once it is back, all that is due by then is spread over a while.
        """
        self._next_at = None
        if self._network.is_gone:
            return []
        wanted = min(AHEAD - self._queue.ready(), self._allowed(now))
        if wanted <= 0:
            return []
        with self._store.read() as db:
            if not due_feeds(db, now, 1):
                self._next_at = next_due(db, now) or NEVER
                return []
        with self._store.write() as db:
            # Whatever kept their leases from being renewed in time, those under way are not taken from ourselves.
            renew_leases(db, self._worker, self._queue.held(), now + LEASE)
            return lease_feeds(db, self._worker, now, wanted)


@dataclass(frozen=True, slots=True)
class _Elected:
    """What writes while this process has the role, all of it through the store that is refused when it is lost."""

    store: Store
    clusterer: Clusterer
    pruner: Pruner


class _Grouping:
    """Groups what waits; asks the database only if it was written since all was done.

    A step of removing what is old follows, so that there is a pause between two of them.
    """

    def __init__(self, office: Office, settings: Settings, meters: Meters, stop: threading.Event) -> None:
        self._office = office
        self._settings = settings
        self._work: _Elected | None = None
        self._pruned = Counter[str]()
        self._stands_by = False
        network_of(settings)  # faults in the weights are told at the start
        self._meters = meters
        self._stop = stop
        self._helpers = OnDemand(helper_count())
        self._mark: int | None = None
        """The database's mark before the last look that left nothing to do."""

    def look(self) -> None:
        """Works until nothing is left to group, or the program stops."""
        work = self._elected()
        if work is None:
            return
        try:
            self._group(work)
        finally:
            self._helpers.rest()
        if not self._stop.is_set():
            self._prune(work)

    def _prune(self, work: _Elected) -> None:
        done = work.pruner.step()
        if done is not None:
            work.clusterer.forget(done.numbers)
            self._pruned.update(entries=done.entries, events=done.events)
        elif self._pruned["events"]:
            log.info(
                "removed %d entries in %d events: they were older than KEEP_DAYS",
                self._pruned["entries"],
                self._pruned["events"],
                extra={"entries": self._pruned["entries"], "events": self._pruned["events"]},
            )
            self._pruned.clear()

    def _group(self, work: _Elected) -> None:
        mark = work.store.commits.mark()
        if mark is not None and mark == self._mark:
            return
        for report in work.clusterer.work():
            self._meters.grouped.inc(report.entries)
            self._meters.tally["events"] += report.created
            if self._stop.is_set():
                return
            if not (report.entries or report.created or report.grown or report.merged):
                continue
            log.info(
                "grouped %d entries: %d events new, %d grown, %d merged",
                report.entries,
                report.created,
                report.grown,
                report.merged,
                extra={
                    "entries": report.entries,
                    "events_new": report.created,
                    "events_grown": report.grown,
                    "events_merged": report.merged,
                },
            )
        self._mark = mark

    def _elected(self) -> _Elected | None:
        """What works for the role, with an empty memory after each election; None while another process groups."""
        try:
            store = self._office.seek()
        except StoreError:
            self._work = None
            raise
        if store is None:
            self._work = None
        elif self._work is None or store is not self._work.store:
            clusterer = Clusterer(store, self._settings, utc_now, helpers=self._helpers)
            self._work = _Elected(store, clusterer, Pruner(store, self._settings, utc_now))
        if (store is None) != self._stands_by:
            self._stands_by = store is None
            log.info("another process groups; standing by" if store is None else "this process groups")
        return self._work


def _log_reports(reports: Iterator[PollReport], meters: Meters) -> None:
    for report in reports:
        meters.tally.update(polls=1, failed=int(report.result is Result.FAILED), new=report.new)
        meters.polls.labels(report.result).inc()
        meters.poll_seconds.observe(report.seconds)
        meters.entries.inc(report.new)
        meters.edits.inc(report.edited)
        name = report.state.title or f"feed {report.state.id}"
        fields = {
            "feed": name,
            "feed_id": report.state.id,
            "outcome": report.result,
            "seconds": round(report.seconds, 3),
            "new": report.new,
            "edited": report.edited,
        }
        if report.result in {Result.FAILED, Result.STALE}:
            log.warning("%s: failed: %s", name, report.detail, extra=fields)
        elif report.new or report.edited:
            log.info("%s: %d new entries, %d edited", name, report.new, report.edited, extra=fields)


def _tell_moved(feeds: int) -> None:
    if feeds:
        log.warning(
            "%d feeds were asked at times that have not come yet: the clock was wrong, or is; "
            "they count as asked just now",
            feeds,
        )


def _taken(doing: str) -> str:
    return f"another process already {doing} this database: stop it, or choose another with --database"


def _stop_on_signals(stop: threading.Event) -> None:
    """Sets `stop` at SIGTERM or SIGINT, and ends the process by force if it is still there LAST_SECONDS later.

    A thread of its own is told by the interpreter's signal handler itself (signal.set_wakeup_fd): the main
    thread runs no Python while it waits for a database.
    """
    told, teller = socket.socketpair()
    teller.setblocking(False)
    signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)

    def watch(_kept_open: socket.socket) -> None:
        told.recv(1)
        stop.set()
        time.sleep(LAST_SECONDS)
        log.warning("the stop took too long: what was under way is given up, nothing of it is kept")
        logging.shutdown()
        os._exit(0)

    threading.Thread(target=watch, args=(teller,), name="stop", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
