"""Messages to a webhook: body, headers that prove where it comes from (Standard Webhooks), when to try again."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime

from aggregator.publish.jsons import event_json, plain_json
from aggregator.types import EventRecord, Message

PREFIX = "whsec_"

RESEND_FIRST = 5.0
RESEND_FACTOR = 4
RESEND_CAP = 12 * 3600.0
RESEND_TRIES = 12
"""Seconds before a message to the webhook is sent again, the factor of each further wait, the longest wait, and
the tries after which it is given up: after two days and a third, so that a receiver may be down over a night."""

RESEND_PAUSE_CAP = 86_400
"""The longest Retry-After of a webhook that is obeyed, in seconds."""


def message_body(message: Message, record: EventRecord) -> bytes:
    """The message as JSON: `id`, `type`, `at`, and the event's record as it is now."""
    told = {"id": message.id, "type": message.type, "at": plain_json(message.at), "event": event_json(record)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def signed_headers(secret: str, message: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of a message with this id, sent now: HMAC-SHA256 over id, time and body (Standard Webhooks 1.0).

    `secret` is "whsec_" and the key in Base64.
    """
    at = str(int(now.astimezone(UTC).timestamp()))
    key = b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": message,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


def wait_to_resend(tries: int, retry_after: int | None, jitter: float) -> float | None:
    """Seconds until a message that failed so many times is sent again; None if it is to be given up.

    The wait grows with each try; `jitter` (0 to 1) takes up to a half of it off, so that many messages that failed
    together do not come back together. Retry-After, up to a day, can only lengthen it.
    """
    if tries >= RESEND_TRIES:
        return None
    wait = min(RESEND_FIRST * float(RESEND_FACTOR) ** (tries - 1), RESEND_CAP)
    return max(wait * (1 - jitter / 2), min(retry_after or 0, RESEND_PAUSE_CAP))
