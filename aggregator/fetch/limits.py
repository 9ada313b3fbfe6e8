"""What a single fetch may cost, and the error that ends it inside this room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aggregator.types import Failed, FailureKind


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest body on the wire and after inflating, in bytes, and the longest chain of redirects.

    Real feeds stay under 5 MB and shrink to a fifth in gzip. Between here and the parsing process a body takes ten
    times its length or more: 8 MB is what leaves the whole program under 400 MB. Five redirects was the limit of
    RFC 2068 section 10.3; feeds that moved need two or three.
    """

    wire_bytes: int = 8_000_000
    decoded_bytes: int = 8_000_000
    redirects: int = 5


LARGE_BYTES = 500_000
"""A body beyond it is large: a few feeds in a hundred. Only one such may be in memory at once."""


LARGE_SECONDS = 10.0
"""What a large body gets to come in from then on, nearly a megabyte a second: others wait for it."""

MOST_PIECES = 100_000
"""Pieces that a body may come in: a hundred bytes each for the largest. Each costs the same time, however small."""


class FetchError(Exception):
    """Carries a Failed from deep within a fetch to Fetcher.fetch, which returns it.

    It leaves this room only when a Poster is made for a URL that is none.
    """

    def __init__(self, kind: FailureKind, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.failed = Failed(kind, detail, retry_after)


class Deadline:
    """The moment at which a fetch ends, however far it got."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._seconds_for_rest: float | None = None

    def rest(self, host: str) -> float:
        """Seconds left for `host`, always above 0. Raises FetchError when none are."""
        rest = self._ends_at - time.monotonic()
        if rest <= 0:
            raise self.missed(host)
        return rest

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The clock stands still: for waits of our own making, that no server can bring about or stretch."""
        before = time.monotonic()
        try:
            yield
        finally:
            self._ends_at += time.monotonic() - before

    def shorten(self, seconds: float) -> None:
        """Leaves at most so many seconds to what is left of a large body."""
        ends_at = time.monotonic() + seconds
        if ends_at < self._ends_at:
            self._ends_at, self._seconds_for_rest = ends_at, seconds

    def missed(self, host: str) -> FetchError:
        """The error to raise when something waited for `host` as long as it was allowed to."""
        if self._seconds_for_rest is not None:
            return FetchError(
                FailureKind.TOO_LARGE,
                f"{host} did not send the rest of a large feed within {self._seconds_for_rest:g} seconds.",
            )
        return FetchError(
            FailureKind.TIMEOUT, f"{host} did not answer completely within {self._seconds:g} seconds."
        )


def too_large(limit: int) -> FetchError:
    """The error of a body beyond `limit` bytes."""
    return FetchError(FailureKind.TOO_LARGE, f"The feed is larger than {limit / 1e6:g} MB.")
