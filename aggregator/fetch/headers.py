"""Header fields as bytes on the wire, and the times and ages that some of them state."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_SECONDS = 2**31
"""What RFC 9111 1.2.2 takes larger numbers of seconds for."""

_DIGITS = re.compile(r"[0-9]+")
_DIRECTIVE = re.compile(r"""([^\s,;="]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?""")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_SENDABLE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]+")

# Expires values that say "already stale" without being dates; RFC 9111 5.3 names the first.
_EXPIRED = frozenset({"0", "-1"})


class Fields:
    """The header fields of a response, names in any case, values as Latin-1 text (byte for byte)."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def first(self, name: str) -> str:
        """The field's value, the first if it was sent twice, "" without one."""
        return self._values.get(name, [""])[0]

    def joined(self, name: str) -> str:
        """The value of a field that is a list, all its lines joined (RFC 9110 5.3)."""
        return ", ".join(self._values.get(name, []))


def sendable(value: str) -> bytes:
    """The stored field value as the bytes it came in, b"" if it could never have come from a server."""
    if value.strip(" \t") != value or not _SENDABLE.fullmatch(value):
        return b""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return b""


def quotable(value: str, most: int) -> str:
    """The beginning of a value from outside, in printable ASCII: fit for a message."""
    return _UNPRINTABLE.sub("?", value[:most])


def retry_after(fields: Fields, now: datetime) -> int | None:
    """Seconds to wait by Retry-After, a number or a date (RFC 9110 10.2.3); None if unstated or garbage.

    A date counts from the server's own Date: its clock may be wrong.
    """
    value = fields.first("retry-after").strip()
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    at = _date(value)
    if at is None:
        return None
    return _between(_date(fields.first("date")) or now, at)


def freshness(fields: Fields, now: datetime) -> int | None:
    """Seconds for which the answer stays fresh (RFC 9111 4.2.1), None if unstated.

    Cache-Control max-age less Age, else Expires less Date; 0 by no-cache or no-store. s-maxage is for shared
    caches and does not count.
    """
    directives = _directives(fields.joined("cache-control"))
    # no-cache="field" is about that field alone (RFC 9111 5.2.2.4).
    if "no-store" in directives or directives.get("no-cache", "field") == "":
        return 0
    max_age = _seconds(directives.get("max-age", ""))
    if max_age is not None:
        return max(0, max_age - (_seconds(fields.first("age").strip()) or 0))
    expires = fields.first("expires").strip()
    if expires in _EXPIRED:
        return 0
    at = _date(expires)
    if at is None:
        return None
    return _between(_date(fields.first("date")) or now, at)


def _directives(value: str) -> dict[str, str]:
    """Directive names in lower case with their arguments; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for name, argument in _DIRECTIVE.findall(value):
        found.setdefault(name.lower(), argument.strip('"'))
    return found


def _seconds(value: str) -> int | None:
    if not _DIGITS.fullmatch(value):
        return None
    return MAX_SECONDS if len(value) > len(str(MAX_SECONDS)) else min(int(value), MAX_SECONDS)


def _date(value: str) -> datetime | None:
    """An HTTP date in any of its three forms (RFC 9110 5.6.7)."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _between(start: datetime, end: datetime) -> int:
    return min(max(0, round((end - start).total_seconds())), MAX_SECONDS)
