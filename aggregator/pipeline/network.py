"""Whether there is a network at all: that none of several hosts can be reached is told once, and no feed blamed."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

from aggregator.fetch import host_of
from aggregator.types import Failed, FailureKind, FetchResult

log = logging.getLogger(__name__)

UNREACHED = frozenset({FailureKind.DNS, FailureKind.CONNECT, FailureKind.TIMEOUT})
"""Failures that a missing network brings about."""

UNASKED = frozenset({FailureKind.BAD_URL, FailureKind.FORBIDDEN_ADDRESS})
"""Failures for which no server was asked: they say nothing of the network."""

WITNESSES = 3
"""Other hosts that must be out of reach, too, before the network counts as gone. Two sites that are down at once
share a provider; four that are, one of which failed just now and three of which answered last, share ours."""

LEAST_WITNESSES = 2
"""With fewer hosts in the list nobody can tell whose fault it is: then it is the host's."""

REMEMBERED = 8
"""Hosts that answered last and are asked first."""


class Network:
    """Finds out whether a failure is the network's; thread-safe.

    `reach` tries to connect to a URL's host; no request is sent. `others` gives URLs of the list to try while too
    few hosts have answered, and to notice that the network is back.
    """

    def __init__(
        self, reach: Callable[[str], bool], others: Callable[[], Sequence[str]], random: Random
    ) -> None:
        self._reach = reach
        self._others = others
        self._random = random
        self._turn = threading.Lock()
        """Of the one thread that tries other hosts: the rest wait for what it finds."""
        self._memory = threading.Lock()
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._answered_at = 0.0
        self._gone_since: float | None = None
        self.returns = 0
        """How often the network has come back."""

    @property
    def is_gone(self) -> bool:
        """Whether it was gone when last looked for: then there is no use in asking anybody."""
        return self._gone_since is not None

    def is_to_blame(self, result: FetchResult, url: str, asked_at: float) -> bool:
        """Whether the fetch of a URL, begun at `asked_at` (time.monotonic), failed for want of a network.

        Not if any host has answered since then. Else, if the failure could be the network's, other hosts are tried.
        """
        if not isinstance(result, Failed) or result.kind not in UNREACHED | UNASKED:
            self._remember(url)
            return False
        if result.kind in UNASKED:
            return False
        with self._turn:
            if self.is_gone:
                return True
            if self._answered_at >= asked_at or not self._is_missing(host_of(url), asked_at):
                return False
            self._gone_since = time.monotonic()
        log.warning(
            "the network is gone: neither %s nor other sites can be reached; feeds wait until it is back",
            host_of(url),
        )
        return True

    def look(self) -> None:
        """Tries, while it is gone, whether it is back."""
        if self.is_gone and any(map(self._reach, self._witnesses(""))):
            self._is_back()

    def _is_back(self) -> None:
        with self._memory:
            self._answered_at = time.monotonic()
            since, self._gone_since = self._gone_since, None
            if since is None:
                return
            self.returns += 1
        seconds = time.monotonic() - since
        log.info("the network is back, after %.0f s", seconds, extra={"seconds": round(seconds)})

    def _remember(self, url: str) -> None:
        host = host_of(url)
        with self._memory:
            self._answered_at = time.monotonic()
            self._answered[host] = url
            self._answered.move_to_end(host)
            if len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        if self.is_gone:
            self._is_back()

    def _is_missing(self, host: str, asked_at: float) -> bool:
        witnesses = self._witnesses(host)
        if len(witnesses) < LEAST_WITNESSES:
            return False
        if any(map(self._reach, witnesses)):
            self._answered_at = time.monotonic()
        return self._answered_at < asked_at

    def _witnesses(self, suspect: str) -> list[str]:
        """One URL each of other hosts: those that answered last, the list's if there are not enough."""
        with self._memory:
            known = [url for host, url in reversed(self._answered.items()) if host != suspect]
        if suspect and len(known) >= WITNESSES:
            return known[:WITNESSES]
        others = list(self._others())
        self._random.shuffle(others)
        return list(_one_a_host((*known[:1], *others), suspect))[:WITNESSES]


def _one_a_host(urls: Iterable[str], suspect: str) -> Iterator[str]:
    met = {suspect}
    for url in urls:
        if (host := host_of(url)) and host not in met:
            met.add(host)
            yield url
