"""A web server on 127.0.0.1 that says what a test tells it to, right or wrong, and remembers what it was asked."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from io import BufferedReader
from types import TracebackType
from typing import Self

import trustme

TLS_HANDSHAKE = b"\x16"
"""How a client that expects TLS starts; a plain server takes it for a bad request."""


@lru_cache(maxsize=1)
def authority() -> trustme.CA:
    """Who vouches for the servers that speak TLS; a client trusts it by SSL_CERT_FILE."""
    return trustme.CA()


def _tls_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(name).configure_cert(context)
    return context


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came: header names and values as sent (Latin-1), `at` by time.monotonic."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The value of the first such header, None without one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """A well-formed response; Content-Length is added unless `headers` has one or a Transfer-Encoding."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Raw = bytes | Iterator[bytes]
"""Sent as it is, piece by piece, and the connection closed: for answers that break the rules, or drip."""

Answer = Reply | Raw
Responder = Callable[[Request], Answer]


class LoopbackServer:
    """Serves the answers given to `on`, 404 elsewhere; connections are kept alive after a Reply.

    `requests` has what was asked, in order of arrival. With `certified` it speaks https, with a
    certificate for that name or address by `authority`.
    """

    def __init__(self, *, certified: str = "", address: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.is_closing = threading.Event()
        self._routes: dict[str, Responder] = {}
        self._scheme = "https" if certified else "http"
        tls = _tls_context(certified) if certified else None
        self._server = _Server((address, 0), _Conversation, tls)
        self._server.loopback = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="loopback", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str, *, host: str = "127.0.0.1", login: str = "") -> str:
        """The address of a path; `login` is "user:password"."""
        return f"{self._scheme}://{login + '@' if login else ''}{host}:{self.port}{path}"

    def on(self, path: str, *answers: Answer | Responder) -> None:
        """Answers requests of the path (its query does not count) one after another; the last for good."""
        left = list(answers)
        lock = threading.Lock()

        def respond(request: Request) -> Answer:
            with lock:
                answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(request) if callable(answer) else answer

        self._routes[path] = respond

    def drip(self, piece: bytes, seconds: float = 0.02) -> Iterator[bytes]:
        """The same piece again and again, until the client or the server goes."""
        while not self.is_closing.wait(seconds):
            yield piece

    def asked(self, path: str) -> list[Request]:
        """The requests of one path."""
        return [request for request in self.requests if request.path == path]

    def answer(self, request: Request) -> Answer:
        """What the client gets."""
        self.requests.append(request)
        responder = self._routes.get(request.path)
        return responder(request) if responder else Reply(404, body=b"not here")

    def close(self) -> None:
        """Ends all connections and gives the port back."""
        self.is_closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    loopback: LoopbackServer

    def __init__(
        self,
        address: tuple[str, int],
        conversation: type[socketserver.BaseRequestHandler],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.open_sockets: set[socket.socket] = set()
        self.tls = tls
        super().__init__(address, conversation)

    def hang_up(self) -> None:
        for connection in tuple(self.open_sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                continue


class _Conversation(socketserver.StreamRequestHandler):
    """One connection: request, answer, request, answer, until somebody ends it."""

    server: _Server
    rfile: BufferedReader

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        self.server.open_sockets.add(self.connection)
        try:
            while not self.server.loopback.is_closing.is_set() and (request := self._read()) is not None:
                answer = self.server.loopback.answer(request)
                if not isinstance(answer, Reply):
                    self._send_raw(answer)
                    return
                self._send(answer, is_head=request.method == "HEAD")
                if (request.header("connection") or "").lower() == "close":
                    return
        except OSError:  # the client hung up: some tests are about just that
            return
        finally:
            self.server.open_sockets.discard(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:  # flushing to a client that hung up
            return
        finally:
            if self.server.tls is not None:
                self.request.close()

    def _read(self) -> Request | None:
        if self.rfile.peek(1)[:1] == TLS_HANDSHAKE:
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return None
        first = self.rfile.readline().decode("latin-1").split()
        if len(first) < 2:
            return None
        headers = []
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            headers.append((name, value.strip(" \t")))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        return Request(first[0], first[1], tuple(headers), self.rfile.read(length), time.monotonic())

    def _send(self, reply: Reply, *, is_head: bool) -> None:
        headers = list(reply.headers)
        names = {name.lower() for name, _ in headers}
        is_bodiless = reply.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        if not is_bodiless and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(reply.body))))
        lines = [f"HTTP/1.1 {reply.status} Told So", *(f"{name}: {value}" for name, value in headers)]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head if is_bodiless or is_head else head + reply.body)

    def _send_raw(self, answer: Raw) -> None:
        for piece in (answer,) if isinstance(answer, bytes) else answer:
            self.wfile.write(piece)
