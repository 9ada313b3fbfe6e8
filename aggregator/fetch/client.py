"""One fetch from the first request to its FetchResult: redirects, validators, statuses, the body."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType, TracebackType
from typing import Self

import httpcore
import httpx

from aggregator.config import Settings
from aggregator.fetch.address import look_up
from aggregator.fetch.body import decoded
from aggregator.fetch.headers import Fields, freshness, retry_after, sendable
from aggregator.fetch.limits import Deadline, FetchError, Limits
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

BODIES = frozenset({HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION, HTTPStatus.IM_USED})
PERMANENT = frozenset({HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.PERMANENT_REDIRECT})
REDIRECTS = PERMANENT | {HTTPStatus.FOUND, HTTPStatus.SEE_OTHER, HTTPStatus.TEMPORARY_REDIRECT}
KINDS: Mapping[int, FailureKind] = MappingProxyType(
    {
        HTTPStatus.GONE: FailureKind.GONE,
        HTTPStatus.TOO_MANY_REQUESTS: FailureKind.THROTTLED,
        HTTPStatus.SERVICE_UNAVAILABLE: FailureKind.THROTTLED,
    }
)

DEFAULT_LIMITS = Limits()


class Fetcher:
    """Fetches feeds; one for all threads, since a client and its TLS context take 20 ms to make.

    Keeps nothing between two fetches: no cookies, no connections. Reads no proxy from the environment.
    `limits` and `resolve` are there for tests.
    """

    def __init__(
        self, settings: Settings, *, limits: Limits = DEFAULT_LIMITS, resolve: Resolve = look_up
    ) -> None:
        self._timeout = settings.fetch_timeout
        self._limits = limits
        self._client = httpx.Client(
            transport=GuardedTransport(settings.allow_addresses, resolve, limits.wire_bytes),
            headers={
                "User-Agent": _user_agent(settings.user_agent_contact),
                "Accept": ACCEPT,
                # Nothing else: a decoder that can't stop early turns 583 bytes of brotli into 268 MB.
                "Accept-Encoding": "gzip, deflate",
                "Connection": "close",
            },
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=False,
            timeout=None,  # noqa: S113 (each fetch has a deadline, which its connections keep)
        )

    def fetch(self, state: FeedState) -> FetchResult:
        """What the feed's server answers to a conditional GET, within `fetch_timeout` seconds in all.

        Thread-safe. Whatever goes wrong on the way is a Failed whose detail is a plain sentence without
        credentials.
        """
        try:
            return self._follow(_Question.of(state), Deadline(self._timeout))
        except FetchError as error:
            return error.failed

    def close(self) -> None:
        """Gives everything back; the Fetcher is of no use after that."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _follow(self, question: _Question, deadline: Deadline) -> FetchResult:
        target = question.target
        seen = {target.url}
        moved_to = ""
        is_permanent = True
        for _ in range(self._limits.redirects + 1):
            with self._ask(target, question.validators, deadline) as response:
                if response.status_code not in REDIRECTS:
                    return self._read(response, question, target, moved_to)
                location = _location(response)
            target = target.redirected(location)
            if target.url in seen:
                raise FetchError(FailureKind.HTTP, "The server redirects in a circle.")
            seen.add(target.url)
            is_permanent = is_permanent and response.status_code in PERMANENT
            moved_to = str(target.url) if is_permanent else moved_to
        raise FetchError(
            FailureKind.HTTP, f"The server redirects more than {self._limits.redirects} times in a row."
        )

    @contextmanager
    def _ask(
        self, target: Target, validators: Sequence[tuple[bytes, bytes]], deadline: Deadline
    ) -> Iterator[httpx.Response]:
        headers = list(validators)
        if target.authorization:
            headers.append((b"Authorization", target.authorization.encode("ascii")))
        try:
            request = self._client.build_request(
                "GET", target.url, headers=headers, extensions={"deadline": deadline}
            )
            response = self._client.send(request, stream=True, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL, *_WIRE_ERRORS) as error:
            raise _without_answer(error) from None
        try:
            yield response
        finally:
            response.close()

    def _read(
        self, response: httpx.Response, question: _Question, target: Target, moved_to: str
    ) -> FetchResult:
        fields = Fields(response.headers.raw)
        now = datetime.now(UTC)
        etag, last_modified = fields.first("etag"), fields.first("last-modified")
        max_age = freshness(fields, now)
        if response.status_code == HTTPStatus.NOT_MODIFIED and question.validators:
            # What a 304 repeats replaces the old value, what it leaves out stays (RFC 9111 4.3.4).
            return NotModified(
                etag or question.etag, last_modified or question.last_modified, max_age, moved_to
            )
        if response.status_code not in BODIES:
            return _refusal(response.status_code, retry_after(fields, now))
        body = decoded(
            self._raw_body(response, fields), fields.joined("content-encoding"), self._limits.decoded_bytes
        )
        return Fetched(
            url=str(target.url),
            status=response.status_code,
            body=body,
            content_type=fields.first("content-type"),
            content_location=fields.first("content-location"),
            etag=etag,
            last_modified=last_modified,
            max_age=max_age,
            moved_to=moved_to,
        )

    def _raw_body(self, response: httpx.Response, fields: Fields) -> bytes:
        """The body as it crossed the wire."""
        limit = self._limits.wire_bytes
        announced = fields.first("content-length")
        if announced.isdecimal() and int(announced) > limit:
            raise _too_much(limit)
        body = bytearray()
        try:
            for piece in response.iter_raw():
                body += piece
                if len(body) > limit:
                    raise _too_much(limit)
        except (httpx.HTTPError, *_WIRE_ERRORS):
            raise FetchError(
                FailureKind.BROKEN_BODY, "The server's answer breaks off before its end."
            ) from None
        return bytes(body)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a feed's server, at each stop of a chain of redirects."""

    target: Target
    etag: str
    last_modified: str
    validators: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, state: FeedState) -> Self:
        validators = (
            (b"If-None-Match", sendable(state.etag)),
            (b"If-Modified-Since", sendable(state.last_modified)),
        )
        return cls(
            read_target(state.url),
            state.etag,
            state.last_modified,
            tuple((name, value) for name, value in validators if value),
        )


_WIRE_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)
"""All that the wire below the client raises by itself (ssl.SSLError is an OSError)."""


def _location(response: httpx.Response) -> str:
    """The Location header as text: UTF-8 as browsers read it, else Latin-1."""
    for name, value in response.headers.raw:
        if name.lower() == b"location":
            try:
                return value.decode().strip()
            except UnicodeDecodeError:
                return value.decode("latin-1").strip()
    raise FetchError(FailureKind.HTTP, f"{_answered(response.status_code)} without saying where to go.")


def _answered(status: int) -> str:
    try:
        return f"The server answered {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"The server answered {status}"


def _refusal(status: int, wait: int | None) -> Failed:
    sentence = f"{_answered(status)}."
    if status == HTTPStatus.NOT_MODIFIED:
        sentence = f"{_answered(status)}, although it was asked for the whole feed."
    elif status == HTTPStatus.GONE:
        sentence = f"{_answered(status)}: the feed was taken down for good."
    return Failed(KINDS.get(status, FailureKind.HTTP), sentence, wait)


def _without_answer(error: Exception) -> FetchError:
    """A failure between the sent request and the end of the response's headers."""
    if isinstance(error, httpx.RemoteProtocolError | httpx.InvalidURL):
        return FetchError(FailureKind.BAD_URL, "The server redirects to an unreadable address.")
    if isinstance(error, httpcore.RemoteProtocolError) and "disconnected" not in str(error):
        return FetchError(FailureKind.HTTP, "The server's answer is no valid HTTP.")
    if isinstance(error, httpcore.LocalProtocolError):
        return FetchError(FailureKind.BAD_URL, "The feed's address can't be sent in a request: correct it.")
    if isinstance(error, ssl.SSLError):
        return FetchError(FailureKind.TLS, "The secure connection broke.")
    return FetchError(FailureKind.CONNECT, "The server closed the connection without an answer.")


def _too_much(limit: int) -> FetchError:
    return FetchError(FailureKind.TOO_LARGE, f"The server sends more than {limit / 1e6:g} MB: given up.")


def _user_agent(contact: str) -> str:
    try:
        number = version(DISTRIBUTION)
    except PackageNotFoundError:
        number = UNKNOWN_VERSION
    return f"{DISTRIBUTION}/{number}" + (f" (+{contact})" if contact else "")
