"""Content codings undone with a limit: what a small body inflates to is decided here, not by its sender."""

from __future__ import annotations

import zlib

from aggregator.fetch.headers import quotable
from aggregator.fetch.limits import FetchError, too_large
from aggregator.types import FailureKind

SLICE = 16 * 1024
"""Input per step. What follows the end of a gzip member is copied once for each, so that a body of many tiny
members costs SLICE bytes each and not the whole rest."""

MAX_MEMBERS = 10_000
"""Blocked gzip has a member per 64 KB of output: 500 for the largest body allowed. Ten million bytes of empty
members would still be half a million steps."""

MAX_CODINGS = 3

GZIP = 16 + zlib.MAX_WBITS
GZIP_MAGIC = b"\x1f\x8b"


def decoded(body: bytes, codings: str, limit: int) -> bytes:
    """The body without its content codings, `codings` being the Content-Encoding header (RFC 9110 8.4).

    Knows gzip (of any number of members), deflate (with the zlib wrapper or, as some servers send it, raw)
    and identity. Raises FetchError: TOO_LARGE beyond `limit` bytes, BROKEN_BODY if the body is cut short or
    is not what the header says.
    """
    names = [name for name in (part.strip().lower() for part in codings.split(",")) if name]
    if len(names) > MAX_CODINGS:
        raise FetchError(FailureKind.BROKEN_BODY, "The feed is packed in too many content codings.")
    for name in reversed(names):
        body = _undone(body, name, limit)
    if len(body) > limit:
        raise too_large(limit)
    return body


def _undone(body: bytes, name: str, limit: int) -> bytes:
    if name == "identity" or not body:
        return body
    try:
        if name in {"gzip", "x-gzip"}:
            return _gunzipped(body, limit)
        if name == "deflate":
            return _inflated(body, limit)
    except zlib.error:
        raise FetchError(FailureKind.BROKEN_BODY, f"The packed feed is damaged, or not {name}.") from None
    raise FetchError(
        FailureKind.BROKEN_BODY,
        f"The feed is packed in the content coding {quotable(name, 20)}, which was not offered.",
    )


def _gunzipped(body: bytes, limit: int) -> bytes:
    """All members of a gzip body one after another (RFC 1952 2.2); what else follows them is no content."""
    out = bytearray()
    position = 0
    for _ in range(MAX_MEMBERS):
        position = _unpack(body, position, GZIP, out, limit)
        if not body.startswith(GZIP_MAGIC, position):
            return bytes(out)
    raise FetchError(FailureKind.BROKEN_BODY, "The packed feed is in far too many pieces.")


def _inflated(body: bytes, limit: int) -> bytes:
    out = bytearray()
    try:
        _unpack(body, 0, zlib.MAX_WBITS, out, limit)
    except zlib.error:
        out.clear()
        _unpack(body, 0, -zlib.MAX_WBITS, out, limit)
    return bytes(out)


def _unpack(body: bytes, position: int, window_bits: int, out: bytearray, limit: int) -> int:
    """Appends what the stream at `position` holds to `out`; the position after it."""
    inflater = zlib.decompressobj(window_bits)
    while not inflater.eof:
        piece = body[position : position + SLICE]
        if not piece:
            raise FetchError(FailureKind.BROKEN_BODY, "The packed feed breaks off before its end.")
        out += inflater.decompress(piece, limit + 1 - len(out))
        if len(out) > limit:
            raise too_large(limit)
        position += len(piece) - len(inflater.unused_data)
    return position
