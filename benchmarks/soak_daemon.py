"""The daemon in simulated time, for soak.py: the real program, told another clock before any of it is loaded.

SOAK_CLOCK holds that clock as JSON: `zero` (CLOCK_BOOTTIME at its start), `start` (the time then), `factor`
(simulated seconds in a second) and `steps`: how far the clock is off from which simulated second on. APScheduler
gets it, too. What counts the machine's own seconds goes on at their pace (timeouts of fetches, the tick, turns at
hosts), so a lease in simulated time is made as much longer, and polls after an outage are spread over seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent
TICK_SECONDS = 0.2
RETURN_SECONDS = 20.0
NETWORK_SECONDS = 2.0
LEAST_PACE = 100.0
LEAST_STEP = timedelta(minutes=10)
"""Two seconds of the machine: so long may a thread be kept from its core between two looks at the clocks."""


def main() -> int:
    """Runs the program."""
    sys.path.insert(0, str(ROOT))
    plan: dict[str, Any] = json.loads(os.environ.pop("SOAK_CLOCK"))
    start = datetime.fromisoformat(plan["start"])

    def ran() -> float:
        return float((time.clock_gettime(time.CLOCK_BOOTTIME) - plan["zero"]) * plan["factor"])

    def now() -> datetime:
        true = ran()
        off = [step for since, step in plan["steps"] if since <= true]
        return start + timedelta(seconds=true + (off[-1] if off else 0))

    class Simulated(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(now().timestamp(), tz)

    from aggregator.pipeline import clock  # noqa: PLC0415 (the clock comes first)

    clock.utc_now, clock.running, clock.LEAST_STEP = now, ran, LEAST_STEP
    from aggregator.store import feeds  # noqa: PLC0415

    feeds.LEASE *= plan["factor"]
    from apscheduler.schedulers import base  # noqa: PLC0415

    base.datetime = Simulated
    from aggregator import daemon  # noqa: PLC0415

    daemon.TICK_SECONDS = TICK_SECONDS  # type: ignore[assignment]
    daemon.NETWORK_SECONDS = NETWORK_SECONDS  # type: ignore[assignment]
    daemon.RETURN_SECONDS, daemon.LEAST_PACE = RETURN_SECONDS, LEAST_PACE
    from aggregator.cli import main as run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
