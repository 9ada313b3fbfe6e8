"""The HTTP server, in a thread of its own beside the daemon's timers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import uvicorn

from aggregator.config import Settings
from aggregator.meters import Meters
from aggregator.store import Store
from aggregator.web.app import make_app

MOST_AT_ONCE = 200
"""Connections served at once; more get 503. Programs that wait for changes hold one each."""

IDLE_SECONDS = 5
STOP_SECONDS = 2
"""How long an idle connection stays open, and how long requests under way may take when the server stops."""

START_SECONDS = 30.0

DATE_SECONDS = 1.0
"""How often the Date header is made anew: it tells seconds."""


class WebError(Exception):
    """The page can't be served; the text says why and what to do."""


class AddressError(WebError):
    """The address can't be had: it is in use, or none of this machine."""


class _Server(uvicorn.Server):
    """uvicorn's server, which wakes up once a second for its Date header, and not ten times to see if it shall end.

    Ten times a second took a quarter of what a daemon at rest computes.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Runs until `end`."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), DATE_SECONDS)

    def end(self) -> None:
        """Ends the loop at once; from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)


class WebServer:
    """Serves until `stop`. Raises WebError if the settings forbid it, AddressError if the address can't be had."""

    def __init__(self, store: Store, settings: Settings, meters: Meters) -> None:
        if not (is_loopback(settings.host) or settings.token or settings.public):
            raise WebError(
                f"HOST={settings.host}: the page would be open to everybody who reaches this address: set TOKEN to "
                "a secret that readers must show, or say --public if it is meant for everybody"
            )
        self._socket = _bound(settings.host, settings.port)
        self._app = make_app(store, settings, meters, only_loopback=is_loopback(settings.host))
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web", daemon=True
        )

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def start(self) -> None:
        """Serves from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Ends all connections, those that wait for changes at once."""
        self._app.stopping.set()
        self._server.end()
        self._thread.join(2 * STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections inherit it. asyncio sets it only where the protocol was named; without it, headers and
            # body being two writes, the second waits some 40 ms for the client's delayed acknowledgement.
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.bind(address)
        except BaseException:
            found.close()
            raise
    except OSError as error:
        raise AddressError(
            f"HOST={host}, PORT={port}: the page can't be served there ({error.strerror or error}): choose another "
            "with --host or --port, stop what uses it, or leave the page out with --no-web"
        ) from None
    return found
