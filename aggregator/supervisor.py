"""What the program tells the service manager that started it (systemd's sd_notify protocol)."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

PARTS = 3
"""Signs of life within the time after which the manager takes the program for dead; it advises two."""


class Supervisor:
    """The service manager, if one listens (NOTIFY_SOCKET; sd_notify(3)); telling never fails or waits.

    `patience`: seconds without a sign of life after which it ends the program; None if it does not look for any.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.patience = int(microseconds) / 1e6 if microseconds.isdecimal() and is_meant else None
        self._told_at = 0.0
        self._has_warned = False

    def ready(self) -> None:
        """All runs."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def report(self, status: str, stuck: str) -> None:
        """To be called every second: now and then tells the status, a line, and that the program is alive.

        It is not if anything is stuck; that is logged once, and the manager left to act.
        """
        now = time.monotonic()
        if now - self._told_at < (self.patience or 30.0) / PARTS:
            return
        self._told_at = now
        if stuck and self.patience is not None:
            if not self._has_warned:
                log.error("%s: no more signs of life, so that the service manager starts this anew", stuck)
            self._has_warned = True
            self._tell(f"STATUS={stuck}")
            return
        self._has_warned = False
        self._tell(f"STATUS={status}" + ("" if self.patience is None else "\nWATCHDOG=1"))

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.setblocking(False)
            try:
                teller.sendto(message.encode(), self._address)
            except OSError as error:
                log.warning("NOTIFY_SOCKET: the service manager could not be told (%s)", error.strerror)
