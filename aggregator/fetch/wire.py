"""The transport below the client: one guarded connection a request, within a deadline and a budget of bytes."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpcore
import httpx

from aggregator.fetch.address import Address, Network, is_permitted
from aggregator.fetch.limits import Deadline, FetchError
from aggregator.fetch.urls import SCHEME_PORTS
from aggregator.types import FailureKind

Resolve = Callable[[str, float], Sequence[Address]]
"""(host, seconds) -> its addresses; see address.look_up."""

PATIENCE = 8.0
"""Seconds for a connection while other addresses of the host are left: Linux repeats a lost SYN after 1, 3 and
7 seconds, so a host that can be reached at all has been by then."""

OVERHEAD = 2
"""How many bytes may cross the wire per byte of body, chunk sizes included."""

HEADER_BYTES = 256 * 1024
"""Room for the header section and interim answers before it, and for as much of the body as comes with the same
read (64 KB); h11 itself refuses a header section beyond 100 KB."""


class GuardedTransport(httpx.BaseTransport):
    """Sends each request over a connection of its own, which `request.extensions["deadline"]` limits.

    No pool: polls of one host are spaced, so a kept connection is rarely met again, and a pool looks through
    all its connections for each request (7.7 ms at 256 at once; without one 1.1 ms).
    Raises FetchError for all that goes wrong until the request is sent, httpcore's errors after that.
    """

    def __init__(self, allowed: Sequence[Network], resolve: Resolve, wire_bytes: int) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._wire_bytes = wire_bytes * OVERHEAD
        # The one thing taken from the environment: SSL_CERT_FILE and SSL_CERT_DIR, an operator's own authorities.
        self._ssl_context = httpx.create_ssl_context()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The response, its body still on the wire; closing it closes the connection."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        budget = _Budget(request.url.raw_host.decode("ascii"), HEADER_BYTES)
        backend = _Backend(self._allowed, self._resolve, request.extensions["deadline"], budget)
        connection = httpcore.HTTPConnection(
            origin=url.origin, ssl_context=self._ssl_context, network_backend=backend
        )
        try:
            answer = connection.handle_request(
                httpcore.Request(request.method, url, headers=request.headers.raw, content=request.read())
            )
        except BaseException:
            connection.close()
            raise
        budget.add(self._wire_bytes)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer, connection),
            extensions=answer.extensions,
        )

    def reach(self, url: httpx.URL, deadline: Deadline) -> None:
        """Connects to the URL's host and hangs up. Raises FetchError if that fails."""
        host = url.raw_host.decode("ascii")
        backend = _Backend(self._allowed, self._resolve, deadline, _Budget(host, 0))
        backend.connect_tcp(host, url.port or SCHEME_PORTS[url.scheme]).close()


class _Body(httpx.SyncByteStream):
    """The raw body of an answer; closes the connection with itself."""

    def __init__(self, answer: httpcore.Response, connection: httpcore.HTTPConnection) -> None:
        self._answer = answer
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


class _Backend(httpcore.NetworkBackend):
    """Connects to an address it has resolved and checked itself: a name can't change its meaning in between."""

    def __init__(
        self, allowed: Sequence[Network], resolve: Resolve, deadline: Deadline, budget: _Budget
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._deadline = deadline
        self._budget = budget
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline knows better)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first of the host's permitted addresses that takes one."""
        try:
            return self._connect(host, port, local_address, socket_options)
        except FetchError as error:
            error.failed = replace(error.failed, is_unasked=True)
            raise

    def _connect(
        self,
        host: str,
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        found = self._resolve(host, self._deadline.rest(host))
        permitted = [address for address in found if is_permitted(address, self._allowed)]
        if not permitted:
            raise _forbidden(host, found[0])
        last_error: Exception | None = None
        for left, address in zip(range(len(permitted) - 1, -1, -1), permitted, strict=True):
            rest = self._deadline.rest(host)
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, min(rest, PATIENCE) if left else rest, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last_error = error
            else:
                return _Stream(stream, host, self._deadline, self._budget)
        raise _unreachable(host, port, last_error)


class _Budget:
    """How many more bytes may come from a host: few until the headers are there, then a body."""

    def __init__(self, host: str, count: int) -> None:
        self._host = host
        self._left = count

    def add(self, count: int) -> None:
        self._left += count

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise FetchError(FailureKind.TOO_LARGE, f"{self._host} sends more than a feed can be.")


class _Stream(httpcore.NetworkStream):
    """A connection on which no single wait outlasts the deadline: a server that drips gains nothing."""

    def __init__(
        self, stream: httpcore.NetworkStream, host: str, deadline: Deadline, budget: _Budget
    ) -> None:
        self._stream = stream
        self._host = host
        self._deadline = deadline
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 (the deadline)
        """The next bytes, b"" at the end."""
        try:
            piece = self._stream.read(max_bytes, self._deadline.rest(self._host))
        except httpcore.ReadTimeout:
            raise self._deadline.missed(self._host) from None
        self._budget.spend(len(piece))
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 (the deadline)
        """Sends all of it."""
        try:
            self._stream.write(buffer, self._deadline.rest(self._host))
        except httpcore.WriteTimeout:
            raise self._deadline.missed(self._host) from None

    def close(self) -> None:
        """Ends the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 (the deadline knows better)
    ) -> httpcore.NetworkStream:
        """The same connection under TLS; certificates never carry the final dot a name may have."""
        name = (server_hostname or self._host).rstrip(".")
        try:
            # The ssl module encodes the name too, but loses the open socket if it can't.
            name.encode("idna")
            stream = self._stream.start_tls(ssl_context, name, self._deadline.rest(self._host))
        except httpcore.ConnectTimeout:
            raise self._deadline.missed(self._host) from None
        except httpcore.ConnectError as error:
            raise FetchError(FailureKind.TLS, _why_no_tls(self._host, error.__cause__)) from None
        except UnicodeError:
            self.close()
            raise FetchError(FailureKind.TLS, f"No certificate can be for the name {self._host}.") from None
        except FetchError:
            self.close()
            raise
        return _Stream(stream, self._host, self._deadline, self._budget)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of the socket below."""
        return self._stream.get_extra_info(info)


def _forbidden(host: str, address: Address) -> FetchError:
    place = f"{address} is" if host == str(address) else f"{host} leads to {address}, which is"
    return FetchError(FailureKind.FORBIDDEN_ADDRESS, f"{place} not a public address.")


def _unreachable(host: str, port: int, error: Exception | None) -> FetchError:
    if isinstance(error, httpcore.ConnectTimeout):
        reason = "no answer"
    else:
        cause = error and error.__cause__
        reason = (cause.strerror if isinstance(cause, OSError) else None) or "it failed"
    return FetchError(FailureKind.CONNECT, f"No connection to {host}, port {port}: {reason}.")


def _why_no_tls(host: str, error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {host} is not valid: {error.verify_message.rstrip('.')}."
    reason = "the server ended it"
    if isinstance(error, ssl.SSLError) and error.reason:
        reason = error.reason.replace("_", " ").lower()
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    return f"No secure connection to {host}: {reason}."
