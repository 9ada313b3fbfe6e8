"""Who may be asked now: feeds wait for their host's turn, so that no site gets more than it can bear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count
from urllib.parse import urlsplit

import tldextract

from aggregator.config import Settings
from aggregator.types import FeedId, FeedState


@lru_cache(maxsize=1)
def _suffixes() -> tldextract.TLDExtract:
    # The packaged snapshot alone: no download, no cache on disk. 60 ms, so not before it is needed.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def registrable_domain(host: str) -> str:
    """The domain one level below the public suffix, in lower case; an address or a bare name as it is."""
    host = host.lower().rstrip(".")
    found = _suffixes().extract_str(host)
    return f"{found.domain}.{found.suffix}" if found.domain and found.suffix else host


@lru_cache(maxsize=100_000)
def host_of(url: str) -> str:
    """The registrable domain (or address) that a URL is asked at; "" if it names none."""
    try:
        return registrable_domain(urlsplit(url.strip()).hostname or "")
    except ValueError:
        return ""


@dataclass(slots=True)
class _Host:
    """One registrable domain: its waiting feeds (oldest first), and when the next of them may start."""

    waiting: list[tuple[datetime, int, FeedState]] = field(default_factory=list)
    under_way: int = 0
    free_at: float = 0.0
    ticket: int = 0
    """The host's one valid place in a queue of hosts; a place with another number is stale."""


OCCUPIED = 0.1
"""Seconds after which a feed that was redirected to a busy host asks again for a place there. Redirects from one
domain to another are rare, so a call to each that waits is not worth its code."""


class Turns:
    """The order of starts, as a pure machine: time goes in, feeds come out. O(log n) a step; no locks.

    A host with waiting feeds and a free connection stands either among the `ready` (by the age of its oldest
    feed) or, until its delay is over, among the `resting` (by the end of the delay).
    """

    def __init__(self, connections: int, delay: float) -> None:
        self._connections = connections
        self._delay = delay
        self._hosts: dict[str, _Host] = {}
        self._held: dict[FeedId, str | None] = {}
        """Where each feed waits or has its place; None between two hosts."""
        self._ready: list[tuple[datetime, int, str]] = []
        self._resting: list[tuple[float, int, str]] = []
        self._numbers = count(1)
        self.waiting = 0
        """Feeds not yet handed out."""

    def add(self, states: Iterable[FeedState], now: float) -> None:
        """Lets feeds wait for their turn; one that waits already, or is under way, is left as it is."""
        for state in states:
            if state.id in self._held:
                continue
            name = host_of(state.address)
            host = self._hosts.setdefault(name, _Host())
            self._held[state.id] = name
            self.waiting += 1
            heappush(host.waiting, (state.next_poll_at, next(self._numbers), state))
            if len(host.waiting) == 1 or host.waiting[0][2] is state:
                self._place(name, host, now)

    def take(self, now: float) -> FeedState | None:
        """The feed that has been due for longest among those whose host may be asked at `now`, if any."""
        while self._resting and self._resting[0][0] <= now:
            _, ticket, name = heappop(self._resting)
            if (host := self._hosts.get(name)) and host.ticket == ticket:
                self._place(name, host, now)
        while self._ready:
            _, ticket, name = heappop(self._ready)
            if (host := self._hosts.get(name)) and host.ticket == ticket:
                return self._start(name, host, now)
        return None

    def next_start(self) -> float | None:
        """When the first resting host may be asked again; None if time alone changes nothing."""
        while self._resting:
            at, ticket, name = self._resting[0]
            if (host := self._hosts.get(name)) and host.ticket == ticket:
                return at
            heappop(self._resting)
        return None

    def done(self, state: FeedState, now: float) -> None:
        """Frees the place that a handed-out feed took."""
        self._free(self._held.pop(state.id, None), now)

    def put_back(self, state: FeedState, wait: float, now: float) -> None:
        """Lets a handed-out feed wait again: its host may not be asked for `wait` seconds, as others ask it."""
        name = self._held.pop(state.id, None)
        if name is None:
            return
        host = self._hosts[name]
        host.under_way -= 1
        host.free_at = now + wait
        self.add([state], now)
        self._place(name, host, now)

    def ready(self) -> int:
        """At most how many hosts wait for nothing but somebody to take a feed."""
        return len(self._ready)

    def held(self) -> list[FeedId]:
        """All feeds that wait or are under way."""
        return list(self._held)

    def go_on(self, state: FeedState, url: str, now: float) -> float | None:
        """Moves the place of a feed under way to the host of `url`; None once it has one there.

        Else it has none anywhere, and the answer is in how many seconds to ask again.
        """
        name = host_of(url)
        if state.id not in self._held or self._held[state.id] == name:
            return None
        self._free(self._held[state.id], now)
        self._held[state.id] = None
        host = self._hosts.setdefault(name, _Host())
        if host.under_way >= self._connections:
            return OCCUPIED
        if host.free_at > now:
            return host.free_at - now
        host.under_way += 1
        host.free_at = now + self._delay
        self._held[state.id] = name
        self._place(name, host, now)
        return None

    def _free(self, name: str | None, now: float) -> None:
        if name is None:
            return
        host = self._hosts[name]
        host.under_way -= 1
        if host.waiting:
            if host.under_way == self._connections - 1:
                self._place(name, host, now)
        elif not host.under_way and host.free_at <= now:
            del self._hosts[name]

    def _start(self, name: str, host: _Host, now: float) -> FeedState:
        _, _, state = heappop(host.waiting)
        self.waiting -= 1
        host.under_way += 1
        host.free_at = now + self._delay
        self._place(name, host, now)
        return state

    def _place(self, name: str, host: _Host, now: float) -> None:
        """Puts the host where it belongs; where it stood before is stale from now on."""
        host.ticket = next(self._numbers)
        if not host.waiting or host.under_way >= self._connections:
            return
        if host.free_at > now:
            heappush(self._resting, (host.free_at, host.ticket, name))
        else:
            heappush(self._ready, (host.waiting[0][0], host.ticket, name))


LARGE_BODIES = 1
"""Feeds that may hold a body of more than LARGE_BYTES (see limits) at once, from its first half megabyte until it
is saved: a body costs up to eight times its size between here and the parsing process."""


class HostQueue:
    """Hands feeds to any number of threads, none before its host may be asked again.

    A registrable domain (or address) is asked over at most `host_connections` connections at once, and
    `host_delay` seconds lie between two starts there. Among the hosts that are ready the feed that has been
    due for longest comes first. The queue stays open for more until `finish` or `stop`. At most LARGE_BODIES feeds
    hold a large body at once.
    """

    def __init__(
        self, states: Iterable[FeedState], settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._large: set[FeedId] = set()
        self._large_left = threading.Condition()
        self._turns = Turns(settings.host_connections, settings.host_delay)
        self._turns.add(states, clock())
        self._changed = threading.Condition()
        self._is_finished = False
        self._is_stopped = False
        self._watch_until: float | None = None
        """Until when the one thread that watches the clock sleeps; None without such a thread."""

    def take(self) -> FeedState | None:
        """The next feed, after waiting for it if need be; None when no more will come. Pair it with `done`."""
        with self._changed:
            while not self._is_stopped:
                state = self._turns.take(self._clock())
                if state is not None:
                    # There may be work for one more thread, or the clock to be watched.
                    self._changed.notify()
                    return state
                if self._is_finished and not self._turns.waiting:
                    break
                self._wait()
            self._changed.notify_all()
            return None

    def done(self, state: FeedState) -> None:
        """Frees the connection that the feed took; to be called once for each feed taken, however it ended."""
        with self._changed:
            self._turns.done(state, self._clock())
            self._wake()
        with self._large_left:
            self._large.discard(state.id)
            self._large_left.notify()

    def put_back(self, state: FeedState, wait: float) -> None:
        """Instead of `done`: the feed waits again, and nothing is asked of its host for `wait` seconds."""
        with self._changed:
            self._turns.put_back(state, wait, self._clock())
            self._wake()

    def ready(self) -> int:
        """At most how many hosts wait for nothing but somebody to take a feed."""
        with self._changed:
            return self._turns.ready()

    def held(self) -> list[FeedId]:
        """All feeds that wait or are under way."""
        with self._changed:
            return self._turns.held()

    def go_on(self, state: FeedState, url: str) -> None:
        """Returns when a feed under way may ask the host of `url`, to which it was redirected."""
        while not self._is_stopped:
            with self._changed:
                wait = self._turns.go_on(state, url, self._clock())
                self._wake()
            if wait is None:
                return
            time.sleep(min(wait, OCCUPIED))

    def hold_large(self, state: FeedState) -> None:
        """Returns when a feed under way may hold a large body, until it is done."""
        with self._large_left:
            self._large_left.wait_for(
                lambda: self._is_stopped or state.id in self._large or len(self._large) < LARGE_BODIES
            )
            self._large.add(state.id)

    def add(self, states: Iterable[FeedState]) -> None:
        """More feeds; those that wait already or are under way are ignored."""
        with self._changed:
            self._turns.add(states, self._clock())
            self._wake()

    def finish(self) -> None:
        """No more will come: `take` hands out what waits, then None."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Ends the queue at once: every `take` gives None from now on."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        with self._large_left:
            self._large_left.notify_all()

    def _wait(self) -> None:
        # One thread sleeps until the next start, the others until they are called: hundreds that wake up
        # together for one feed would cost more than its fetch.
        next_start = self._turns.next_start()
        if next_start is None or self._watch_until is not None:
            self._changed.wait()
            return
        self._watch_until = next_start
        try:
            self._changed.wait(max(0.0, next_start - self._clock()))
        finally:
            self._watch_until = None

    def _wake(self) -> None:
        next_start = self._turns.next_start()
        if self._watch_until is not None and next_start is not None and next_start < self._watch_until:
            self._changed.notify_all()
        else:
            self._changed.notify()
