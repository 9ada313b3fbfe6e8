"""The state of a feed that nothing is known of, for tests that need one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aggregator.types import NO_HINTS, NOT_MOVED, FeedHealth, FeedId, FeedState

_NEW = FeedState(
    id=FeedId(1),
    url="",
    title="",
    category="",
    lang="",
    health=FeedHealth.OK,
    etag="",
    last_modified="",
    body_hash="",
    interval=1800,
    failures=0,
    problem="",
    next_poll_at=datetime(2026, 1, 1, tzinfo=UTC),
    last_polled_at=None,
    last_success_at=None,
    retry_at=None,
    whole_at=None,
    hints=NO_HINTS,
    move=NOT_MOVED,
    set_interval=None,
    set_lang="",
    fence=0,
)


def new_state(**known: Any) -> FeedState:
    """A listed feed that was never polled, but for what is `known`."""
    return replace(_NEW, **known)
