"""Events' records and feeds' states as JSON values; names are those of the v1 views."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aggregator.types import EventEntry, EventRecord, EventSummary, FeedStatus, Teaser


def event_json(record: EventRecord) -> dict[str, Any]:
    """The record with its `entries` and `teasers`; times as RFC 3339 in UTC."""
    return {name: plain_json(value) for name, value in event_values(record).items()}


def event_values(record: EventRecord) -> dict[str, Any]:
    """The record as a dict, its `entries` and `teasers` as lists of dicts; times stay datetimes.

    As dataclasses.asdict, in a thirtieth of its time: an export does this a million times.
    """
    values = _values(record)
    return values | {
        "entries": [_values(entry) for entry in record.entries],
        "teasers": [_values(teaser) for teaser in record.teasers],
    }


def _values(row: EventRecord | EventEntry | Teaser) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def summary_json(summary: EventSummary) -> dict[str, Any]:
    """The event's line in a list."""
    return {name: plain_json(value) for name, value in asdict(summary).items()}


def feed_json(status: FeedStatus, advice: str) -> dict[str, Any]:
    """The columns of `v1_feed`, the feed's id, and what to do about the feed ("" = nothing)."""
    beside = {"has_moved", "twin", "quiet_days", "failure", "answer_seconds"}
    columns = {name: value for name, value in asdict(status).items() if name not in beside}
    return {name: plain_json(value) for name, value in columns.items()} | {"advice": advice}


def plain_json(value: Any) -> Any:
    """The value with times as RFC 3339 in UTC, tuples as lists."""
    if isinstance(value, dict):
        return {name: plain_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
