"""What is done when the clock is set: all waits go on as they were."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from aggregator.pipeline.clock import Clock
from aggregator.store import Store
from aggregator.store.clocks import doubt_future, move_times

log = logging.getLogger(__name__)


def follow_clock(clock: Clock, store: Store, worker: str) -> bool:
    """Whether the clock was set: each feed that this worker asked now waits for as long as it would have.

    Raises StoreError if that can't be kept: the clock then goes on as if it had not been set, until the next try.
    """

    def move(step: timedelta, now: datetime) -> None:
        with store.write() as db:
            move_times(db, worker, step)
            doubt_future(db, now)

    step = clock.follow(move)
    if step:
        log.warning("the clock was set by %+.0f s: all waits go on as they were", step.total_seconds())
    return bool(step)
