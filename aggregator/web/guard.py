"""What stands before every page: who may ask, for what, how often; and what every answer says about itself."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import threading
import time
from collections import OrderedDict
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggregator.config import Settings
from aggregator.web.api import CHANGES, LONGEST_WAIT
from aggregator.web.problems import problem

LONGEST_TARGET = 4000
LONGEST_BODY = 10_000
"""Characters of a path with its query, and bytes of a body: nothing here takes more."""

ANSWER_SECONDS = 15.0
"""How long an answer may take to begin, beside the time for which it was asked to wait."""

BURST, PER_SECOND = 100.0, 20.0
"""Requests that a client from elsewhere may make at once, and then each second. This machine's own are free."""

MOST_CLIENTS = 10_000
COOKIE = "aggregator_token"

OPEN_PATHS = frozenset({"/healthz"})
"""What a service manager asks for: it says nothing about the news."""

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "interest-cohort=()",
}


class Guard:
    """Lets requests through to the pages, or answers them itself."""

    def __init__(
        self, app: ASGIApp, settings: Settings, stopping: threading.Event, *, only_loopback: bool
    ) -> None:
        self._app = app
        self.stopping = stopping
        self._token = settings.token.encode()
        self._only_loopback = only_loopback
        self._names = {
            settings.host.strip("[]").casefold(),
            *(name.casefold() for name in settings.web_hosts),
        }
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        began = asyncio.Event()
        sending = _with_headers(_without_body(send) if request.method == "HEAD" else send)

        async def noted(message: Message) -> None:
            began.set()
            await sending(message)

        # What a GET would be answered with, without its body (RFC 9110 section 9.3.2).
        answer = asyncio.ensure_future(self._app({**scope, "method": "GET"}, receive, noted))
        start = asyncio.ensure_future(began.wait())
        patience = ANSWER_SECONDS + (LONGEST_WAIT if request.url.path == CHANGES else 0)
        await asyncio.wait({answer, start}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        start.cancel()
        if began.is_set() or answer.done():
            await answer
            return
        answer.cancel()
        late = problem(
            request, HTTPStatus.SERVICE_UNAVAILABLE, "The database did not answer in time: ask again."
        )
        await late(scope, receive, _with_headers(send))

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        target = len(request.scope.get("raw_path", b"")) + len(request.scope["query_string"])
        length = headers.get("content-length", "0")
        if not self._is_known(headers):
            return problem(
                request,
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server is not known by that name: add it to WEB_HOSTS.",
            )
        if target > LONGEST_TARGET:
            return problem(request, HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long.")
        if request.method not in {"GET", "HEAD"}:
            refused = problem(
                request, HTTPStatus.METHOD_NOT_ALLOWED, "Everything here is only read: use GET."
            )
            refused.headers["allow"] = "GET, HEAD"
            return refused
        if "transfer-encoding" in headers or not length.isdecimal() or int(length) > LONGEST_BODY:
            return problem(
                request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Nothing here takes a body of that size."
            )
        if not self._has_room(request):
            refused = problem(
                request, HTTPStatus.TOO_MANY_REQUESTS, "Too many requests: wait a second between them."
            )
            refused.headers["retry-after"] = "1"
            return refused
        return self._stranger(request)

    def _is_known(self, headers: Headers) -> bool:
        """Whether the Host header is one of ours: a page of another site may name us by a name of its own."""
        host = headers.get("host", "").casefold()
        name = (
            host.rpartition(":")[0]
            if host.rpartition(":")[2].isdecimal() and not host.endswith("]")
            else host
        )
        name = name.strip("[]")
        if name in self._names or name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._only_loopback

    def _has_room(self, request: Request) -> bool:
        client = request.client.host if request.client else ""
        try:
            if not client or ipaddress.ip_address(client).is_loopback:
                return True
        except ValueError:
            return True
        now = time.monotonic()
        left, then = self._buckets.pop(client, (BURST, now))
        left = min(BURST, left + (now - then) * PER_SECOND)
        self._buckets[client] = (max(0.0, left - 1), now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return left >= 1

    def _stranger(self, request: Request) -> Response | None:
        """The answer to one who does not know the token; None if it is shown, or none is needed."""
        if not self._token or request.url.path in OPEN_PATHS:
            return None
        given = request.query_params.get("token")
        if given is not None and self._is_token(given):
            # Out of the address bar, and of the addresses that are sent on.
            rest = [(name, value) for name, value in parse_qsl(request.url.query) if name != "token"]
            target = request.url.path + (f"?{urlencode(rest)}" if rest else "")
            welcome = RedirectResponse(f"/{target.lstrip('/')}", HTTPStatus.SEE_OTHER)
            welcome.set_cookie(COOKIE, given, max_age=30 * 86_400, httponly=True, samesite="strict")
            return welcome
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        shown = bearer.strip() if kind.casefold() == "bearer" else request.cookies.get(COOKIE, "")
        if self._is_token(shown):
            return None
        refused = problem(
            request,
            HTTPStatus.UNAUTHORIZED,
            "Show the token: as ?token=... once in a browser, or in a header, Authorization: Bearer ...",
        )
        refused.headers["www-authenticate"] = "Bearer"
        return refused

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)


def _without_body(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
