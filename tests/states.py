"""The state of a feed that nothing is known of, for tests that need one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aggregator.types import FeedId, FeedState

_NEW = replace(FeedState.unknown("", datetime(2026, 1, 1, tzinfo=UTC)), id=FeedId(1), interval=1800)


def new_state(**known: Any) -> FeedState:
    """A listed feed that was never polled, but for what is `known`."""
    return replace(_NEW, **known)
