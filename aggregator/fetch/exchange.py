"""What one exchange asks and what its answer means: validators, redirects, refusals, deltas."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Protocol, Self

import httpcore
import httpx

from aggregator.fetch.headers import Fields, sendable
from aggregator.fetch.limits import FetchError
from aggregator.fetch.urls import Target, read_target, unreadable_redirect
from aggregator.types import Failed, FailureKind, FeedState

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

DELTAS = "feed"
"""The one instance manipulation that is asked for (RFC 3229 with feed): the items that are new, as a feed."""


class Permits(Protocol):
    """Who is asked before a fetch takes more than its first connection; each call waits for the permission."""

    def go_on(self, state: FeedState, url: str) -> None:
        """To ask the host of `url`, to which the feed was redirected."""

    def hold_large(self, state: FeedState) -> None:
        """To hold a body of more than LARGE_BYTES."""


class _Free:
    """Permits everything: for a single fetch."""

    def go_on(self, state: FeedState, url: str) -> None:
        """At once."""

    def hold_large(self, state: FeedState) -> None:
        """At once."""


FREE = _Free()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a feed's server, at each stop of a chain of redirects."""

    state: FeedState
    target: Target
    validators: tuple[tuple[bytes, bytes], ...]
    permits: Permits

    @classmethod
    def of(cls, state: FeedState, permits: Permits) -> Self:
        """The question that a feed's state asks. Raises FetchError if its address is none."""
        target = read_target(state.url)
        if state.move.address:
            target = target.redirected(state.move.address)
        etag, last_modified = sendable(state.etag), sendable(state.last_modified)
        # A delta needs an entity tag to count from (RFC 3229 section 10.5.3).
        asked = (
            (b"If-None-Match", etag),
            (b"If-Modified-Since", last_modified),
            (b"A-IM", DELTAS.encode() if etag else b""),
        )
        return cls(state, target, tuple((name, value) for name, value in asked if value), permits)


@dataclass(frozen=True, slots=True)
class Answer:
    """The response at the end of the redirects, its body not yet read; `target` is where it came from."""

    response: httpx.Response
    fields: Fields
    target: Target
    moved_to: str


WIRE_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)
"""All that the wire below the client raises by itself (ssl.SSLError is an OSError)."""


def location(response: httpx.Response, host: str) -> str:
    """The Location header that `host` sent as text: UTF-8 as browsers read it, else Latin-1.

    Raises FetchError without one.
    """
    for name, value in response.headers.raw:
        if name.lower() == b"location":
            try:
                return value.decode().strip()
            except UnicodeDecodeError:
                return value.decode("latin-1").strip()
    raise FetchError(FailureKind.HTTP, f"{answered(host, response.status_code)} without saying where to go.")


def answered(host: str, status: int) -> str:
    """A sentence without its full stop: who answered, the status and its name."""
    try:
        return f"{host} answered {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{host} answered {status}"


def refusal(answer: Answer, question: Question, wait: int | None, max_age: int | None) -> Failed:
    """What an answer without a feed means; `wait` and `max_age` in seconds, None if unstated."""
    status = answer.response.status_code
    kind = KINDS.get(status, FailureKind.HTTP)
    said = answered(answer.target.host, status)
    sentence = f"{said}."
    if status == HTTPStatus.NOT_MODIFIED:
        sentence = f"{said}, although it was asked for the whole feed."
    elif status == HTTPStatus.GONE:
        if answer.target.url == read_target(question.state.url).url:
            sentence = f"{said}: the feed was taken down for good."
        else:
            # Where a redirect leads today says nothing about the feed's own address.
            kind = FailureKind.HTTP
    return Failed(kind, sentence, wait, max_age, status)


def with_redirect(failed: Failed, own: str, last: str) -> Failed:
    """The failure of a feed that was asked of the host `own` and led to the host `last`, which it names, too."""
    if own == last:
        return failed
    is_named = last in {word.strip(".,:") for word in failed.detail.split()}
    place = "there" if is_named else f"to {last}"
    return replace(failed, detail=f"{failed.detail.removesuffix('.')} ({own} redirects {place}).")


def is_delta(answer: Answer, question: Question) -> bool:
    """Whether the body holds only what is new. Raises FetchError if it can't be read as such (RFC 3229)."""
    if answer.response.status_code != HTTPStatus.IM_USED:
        return False
    host = answer.target.host
    manipulations = [name.strip().lower() for name in answer.fields.joined("im").split(",")]
    if not any(name == b"A-IM" for name, _ in question.validators):
        raise FetchError(
            FailureKind.BROKEN_BODY, f"{host} sent a part of the feed, but was asked for all of it."
        )
    if any(manipulations) and manipulations != [DELTAS]:
        raise FetchError(FailureKind.BROKEN_BODY, f"{host} sent changes in a form that it was not asked for.")
    return True


def without_answer(error: Exception, host: str) -> FetchError:
    """A failure between the request sent to `host` and the end of the response's headers."""
    if isinstance(error, httpx.RemoteProtocolError | httpx.InvalidURL):
        return unreadable_redirect(host)
    if isinstance(error, httpcore.RemoteProtocolError) and "disconnected" not in str(error):
        return FetchError(FailureKind.HTTP, f"The answer of {host} is no valid HTTP.")
    if isinstance(error, httpcore.LocalProtocolError):
        return FetchError(FailureKind.BAD_URL, "The address can't be sent in a request.")
    # httpcore makes an error of its own of whatever the socket below it raises.
    if isinstance(error.__cause__, ssl.SSLError):
        return FetchError(FailureKind.TLS, f"The secure connection to {host} broke.")
    return FetchError(FailureKind.CONNECT, f"{host} closed the connection without an answer.")
