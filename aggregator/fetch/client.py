"""One fetch from the first request to its FetchResult: redirects, validators, statuses, the body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Self

import httpx

from aggregator.config import Settings
from aggregator.fetch.address import look_up
from aggregator.fetch.body import decoded
from aggregator.fetch.exchange import (
    BODIES,
    FREE,
    PERMANENT,
    REDIRECTS,
    WIRE_ERRORS,
    Answer,
    Permits,
    Question,
    is_delta,
    location,
    refusal,
    with_redirect,
    without_answer,
)
from aggregator.fetch.headers import Fields, freshness, retry_after
from aggregator.fetch.limits import (
    LARGE_BYTES,
    LARGE_SECONDS,
    MOST_PIECES,
    Deadline,
    FetchError,
    Limits,
    too_large,
)
from aggregator.fetch.urls import Target, read_target
from aggregator.fetch.wire import GuardedTransport, Resolve
from aggregator.types import Failed, FailureKind, FeedState, Fetched, FetchResult, NotModified

DISTRIBUTION = "news-event-aggregator"
UNKNOWN_VERSION = "0"
"""Sent in User-Agent when the program runs from a checkout that was never installed."""

ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)

DEFAULT_LIMITS = Limits()

REACH_SECONDS = 5.0
"""For a name's address and a connection: Linux repeats a lost SYN after 1 and 3 seconds."""


class Fetcher:
    """Fetches feeds; one for all threads, since a transport with its TLS context takes 20 ms to make.

    Requests go straight to the transport: what httpx.Client does around it (cookies, authentication, redirects,
    merged defaults) is unwanted here and took a fifth of an unchanged poll.

    Keeps nothing between two fetches: no cookies, no connections. Reads no proxy from the environment.
    `limits` and `resolve` are there for tests.
    """

    def __init__(
        self, settings: Settings, *, limits: Limits = DEFAULT_LIMITS, resolve: Resolve = look_up
    ) -> None:
        self._timeout = settings.fetch_timeout
        self._limits = limits
        self._transport = GuardedTransport(settings.allow_addresses, resolve, limits.wire_bytes)
        self._headers = (
            (b"Accept", ACCEPT.encode()),
            # Nothing else: a decoder that can't stop early turns 583 bytes of brotli into 268 MB.
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"Connection", b"close"),
            (b"User-Agent", user_agent(settings.user_agent_contact).encode("ascii")),
        )

    def fetch(self, state: FeedState, permits: Permits = FREE) -> FetchResult:
        """What the feed's server answers to a conditional GET, within `fetch_timeout` seconds in all.

        Thread-safe. Waiting for `permits` does not count. Whatever goes wrong on the way is a Failed whose detail
        is a plain sentence without credentials.
        """
        stops: list[Target] = []
        try:
            result = self._follow(Question.of(state, permits), stops, Deadline(self._timeout))
        except FetchError as error:
            result = replace(error.failed, is_unasked=error.failed.is_unasked and len(stops) == 1)
        if isinstance(result, Failed) and stops:
            return with_redirect(result, read_target(state.url).host, stops[-1].host)
        return result

    def reaches(self, url: str) -> bool:
        """Whether a connection to the URL's host comes about, within REACH_SECONDS; nothing is sent over it."""
        try:
            self._transport.reach(read_target(url).url, Deadline(REACH_SECONDS))
        except FetchError:
            return False
        return True

    def close(self) -> None:
        """Gives everything back; the Fetcher is of no use after that."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _follow(self, question: Question, stops: list[Target], deadline: Deadline) -> FetchResult:
        """The answer at the end of the redirects; adds each target that is asked to `stops`."""
        target = question.target
        moved_to = ""
        is_permanent = True
        for _ in range(self._limits.redirects + 1):
            stops.append(target)
            with self._ask(target, question.validators, deadline) as response:
                if response.status_code not in REDIRECTS:
                    answer = Answer(response, Fields(response.headers.raw), target, moved_to)
                    return self._read(answer, question, deadline)
                where = location(response, target.host)
            target = target.redirected(where)
            if any(target.url == stop.url for stop in stops):
                raise FetchError(FailureKind.HTTP, f"{stops[-1].host} redirects in a circle.")
            with deadline.stopped():
                question.permits.go_on(question.state, str(target.url))
            is_permanent = is_permanent and response.status_code in PERMANENT
            moved_to = str(target.url) if is_permanent else moved_to
        raise FetchError(
            FailureKind.HTTP, f"{stops[-1].host} redirects further, after {self._limits.redirects} redirects."
        )

    @contextmanager
    def _ask(
        self, target: Target, validators: Sequence[tuple[bytes, bytes]], deadline: Deadline
    ) -> Iterator[httpx.Response]:
        headers = [*self._headers, *validators]
        if target.authorization:
            headers.append((b"Authorization", target.authorization.encode("ascii")))
        try:
            request = httpx.Request("GET", target.url, headers=headers, extensions={"deadline": deadline})
            response = self._transport.handle_request(request)
        except (httpx.HTTPError, httpx.InvalidURL, *WIRE_ERRORS) as error:
            raise without_answer(error, target.host) from None
        try:
            yield response
        finally:
            response.close()

    def _read(self, answer: Answer, question: Question, deadline: Deadline) -> FetchResult:
        status, fields = answer.response.status_code, answer.fields
        now = datetime.now(UTC)
        etag, last_modified = fields.first("etag"), fields.first("last-modified")
        max_age = freshness(fields, now)
        if status == HTTPStatus.NOT_MODIFIED and question.validators:
            # What a 304 repeats replaces the old value, what it leaves out stays (RFC 9111 4.3.4).
            return NotModified(
                etag or question.state.etag,
                last_modified or question.state.last_modified,
                max_age,
                answer.moved_to,
            )
        if status not in BODIES:
            return refusal(answer, question, retry_after(fields, now), max_age)
        delta = is_delta(answer, question)
        return Fetched(
            url=str(answer.target.url),
            status=status,
            body=self._body(answer, question, deadline),
            content_type=fields.first("content-type"),
            content_location=fields.first("content-location"),
            etag=etag,
            last_modified=last_modified,
            max_age=max_age,
            moved_to=answer.moved_to,
            is_delta=delta,
        )

    def _body(self, answer: Answer, question: Question, deadline: Deadline) -> bytes:
        """The body without its content codings."""

        def grow() -> None:
            with deadline.stopped():
                question.permits.hold_large(question.state)
            deadline.shorten(LARGE_SECONDS)

        raw = self._raw_body(answer, grow)
        codings = answer.fields.joined("content-encoding")
        try:
            return decoded(raw, codings, min(LARGE_BYTES, self._limits.decoded_bytes))
        except FetchError as error:
            if error.failed.kind is not FailureKind.TOO_LARGE:
                raise
        grow()
        return decoded(raw, codings, self._limits.decoded_bytes)

    def _raw_body(self, answer: Answer, grow: Callable[[], None]) -> bytes:
        """The body as it crossed the wire; asks `grow` before it gets large."""
        limit, host = self._limits.wire_bytes, answer.target.host
        announced = answer.fields.first("content-length")
        if announced.isdecimal() and int(announced) > limit:
            raise too_large(limit)
        body = bytearray()
        try:
            for count, piece in enumerate(answer.response.iter_raw()):
                if len(body) <= LARGE_BYTES < len(body) + len(piece):
                    grow()
                body += piece
                if len(body) > limit:
                    raise too_large(limit)
                if count > MOST_PIECES:
                    raise FetchError(
                        FailureKind.BROKEN_BODY, f"{host} sends the feed in far too many pieces."
                    )
        except (httpx.HTTPError, *WIRE_ERRORS):
            raise FetchError(
                FailureKind.BROKEN_BODY, f"The answer of {host} breaks off before its end."
            ) from None
        return bytes(body)


def user_agent(contact: str) -> str:
    """How the program names itself, with the page or address of who runs it."""
    try:
        number = version(DISTRIBUTION)
    except PackageNotFoundError:
        number = UNKNOWN_VERSION
    return f"{DISTRIBUTION}/{number}" + (f" (+{contact})" if contact else "")
