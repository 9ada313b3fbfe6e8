"""Answers that are made once for each state of the database, and told apart by their ETag."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from aggregator.store import Store
from aggregator.store.listing import latest_cursor

MOST_KEPT = 256
MOST_BYTES = 200_000
"""Answers kept, and the longest of them."""


@dataclass(frozen=True, slots=True)
class Made:
    """A body and its media type."""

    body: bytes
    media: str


class Answers:
    """Makes answers, and remembers them until a change is announced or, if they tell ages, a minute is over."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._kept: OrderedDict[str, tuple[tuple[int, int], Made]] = OrderedDict()
        self._lock = threading.Lock()

    def of_events(
        self, request: Request, make: Callable[[Connection, datetime], Made], *, ages: bool = False
    ) -> Response:
        """The answer to a request about events; another one only after a change."""
        now = self._now()
        key = f"{request.headers.get('host', '')} {request.url.path}?{request.url.query}"
        with self._store.read() as db:
            state = (latest_cursor(db), int(now.timestamp() // 60) if ages else 0)
            kept = self._kept.get(key)
            made = kept[1] if kept is not None and kept[0] == state else make(db, now)
        if len(made.body) <= MOST_BYTES:
            with self._lock:
                self._kept[key] = (state, made)
                self._kept.move_to_end(key)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return answer(request, made)

    def of_now(self, request: Request, make: Callable[[Connection, datetime], Made]) -> Response:
        """The answer to a request about what changes all the time, made anew."""
        with self._store.read() as db:
            made = make(db, self._now())
        return answer(request, made)


def answer(request: Request, made: Made) -> Response:
    """The body, or 304 if the client has it (RFC 9110 section 13.1.2)."""
    tag = f'W/"{blake2b(made.body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding, cookie"}
    known = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if tag.removeprefix("W/") in known or known == {"*"}:
        return Response(status_code=304, headers=headers)
    return Response(made.body, media_type=made.media, headers=headers)
