"""Where a page of a list ends, as readers carry it: opaque, and checked when it comes back."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from aggregator.types import Place


class CursorError(ValueError):
    """No cursor of ours."""


def write_place(place: Place) -> str:
    """The place as a cursor."""
    plain = f"{place.at.isoformat() if place.at else ''}~{place.number}"
    return urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read_place(cursor: str) -> Place | None:
    """The place that a cursor names, None for "". Raises CursorError."""
    if not cursor:
        return None
    try:
        at, _, number = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("~")
        place = Place(datetime.fromisoformat(at) if at else None, int(number))
    except ValueError:
        raise CursorError(cursor) from None
    if not 0 <= place.number < 1 << 63 or (place.at is not None and place.at.tzinfo is None):
        raise CursorError(cursor)
    return place
