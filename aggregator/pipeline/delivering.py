"""The flow to the webhook: messages from the outbox -> signed bodies -> the receiver -> what became of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from aggregator.config import Settings
from aggregator.credentials import redacted
from aggregator.fetch import Poster
from aggregator.publish import RESEND_PAUSE_CAP, message_body, signed_headers, wait_to_resend
from aggregator.store import Store
from aggregator.store.outbox import (
    Undelivered,
    claim_messages,
    forget_dead,
    is_due,
    pause_webhook,
    settle_messages,
)
from aggregator.store.reads import event_records
from aggregator.types import Failed, Message

log = logging.getLogger(__name__)

POST_SECONDS = 15.0
"""What the receiver gets to answer in: senders of the Standard Webhooks initiative allow 15 to 30 s."""

AT_ONCE = 8
"""Messages on their way at the same time, each of another event."""

PAUSE_FIRST = 2.0
PAUSE_CAP = 300.0
"""Seconds of rest after a round in which nothing was taken, twice as long after each further such round. While a
receiver is down, messages that wait for their first try keep their tries."""

DEAD_KEPT = timedelta(days=30)
MOST_DEAD = 10_000
"""How long, and how many, messages that were given up are kept to be looked at."""


@dataclass(frozen=True, slots=True)
class Round:
    """What became of the messages of one round."""

    delivered: int
    failed: int
    dead: int


class Courier:
    """Delivers what is in the outbox, at least once, the messages of one event in their order.

    One process at a time runs it, the one that groups. It keeps nothing that the database does not: whatever
    it was about when it ended is sent again, with the same id.
    """

    def __init__(
        self, store: Store, settings: Settings, poster: Poster, now: Callable[[], datetime], chance: Random
    ) -> None:
        self._store = store
        self._poster = poster
        self._place = redacted(settings.webhook_url)
        self._secret = settings.webhook_secret
        self._now = now
        self._chance = chance
        self._vain_rounds = 0

    def deliver(self) -> Round | None:
        """Sends some of the messages that are due; None if there are none, or the receiver rests."""
        now = self._now()
        with self._store.read() as db:
            if not is_due(db, now):
                return None
        with self._store.write() as db:
            messages = claim_messages(db, now, AT_ONCE)
        if not messages:
            return None
        bodies = self._bodies(messages)
        with ThreadPoolExecutor(AT_ONCE, "webhook") as threads:
            answers = list(threads.map(self._post, messages, bodies))
        return self._settle(list(zip(messages, answers, strict=True)))

    def _bodies(self, messages: Sequence[Message]) -> list[bytes]:
        with self._store.read() as db:
            records = event_records(db, [message.event for message in messages])
        return [message_body(message, records[message.event]) for message in messages]

    def _post(self, message: Message, body: bytes) -> Failed | None:
        headers = signed_headers(self._secret, message.id, body, self._now())
        return self._poster.post(body, headers | {"content-type": "application/json"})

    def _settle(self, answered: Sequence[tuple[Message, Failed | None]]) -> Round:
        now = self._now()
        delivered = [message.number for message, failure in answered if failure is None]
        undelivered = [
            self._undelivered(message, failure, now) for message, failure in answered if failure is not None
        ]
        self._vain_rounds = 0 if delivered else self._vain_rounds + 1
        asked = max((failure.retry_after or 0 for _, failure in answered if failure), default=0)
        rest = max(min(asked, RESEND_PAUSE_CAP), self._rest())
        dead = [one for one in undelivered if one.next_at is None]
        with self._store.write() as db:
            settle_messages(db, delivered, undelivered, now)
            pause_webhook(db, now + timedelta(seconds=rest) if rest else None)
            if dead:
                forget_dead(db, now - DEAD_KEPT, MOST_DEAD)
        self._log(undelivered)
        return Round(len(delivered), len(undelivered), len(dead))

    def _undelivered(self, message: Message, failure: Failed, now: datetime) -> Undelivered:
        wait = wait_to_resend(message.tries, failure.retry_after, self._chance.random())
        next_at = None if wait is None else now + timedelta(seconds=wait)
        return Undelivered(message.number, next_at, failure.detail)

    def _rest(self) -> float:
        if not self._vain_rounds:
            return 0.0
        return float(min(PAUSE_FIRST * 2.0 ** min(self._vain_rounds - 1, 16), PAUSE_CAP))

    def _log(self, undelivered: Sequence[Undelivered]) -> None:
        if not undelivered:
            return
        dead = sum(one.next_at is None for one in undelivered)
        log.warning(
            "the webhook %s: %d messages not taken, %d of them for good (`webhook` lists them): %s",
            self._place,
            len(undelivered),
            dead,
            undelivered[0].problem,
            extra={"not_taken": len(undelivered), "given_up": dead, "problem": undelivered[0].problem},
        )
