"""What one job may take, and how its end is told."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Self

CPU_SECONDS = 1.5
CPU_PER_MB = 2.0
"""Seconds of computing that a job may take, and more for each MB of its body. Honest feeds took 0.7 a MB, up
to 30 MB; another machine may need three times that. What needs longer feeds on quadratic time. Computing is counted
and not waiting: a busy machine makes no feed hostile."""

WALL = 10.0
"""How many times its seconds of computing a job may last in all: less than a tenth of a core is left to nobody."""

MEMORY = 50_000_000
MEMORY_PER_BYTE = 10
"""Bytes of address space that a job may take beyond those of an idle worker, and more for each byte of its body.
Feeds of 5 to 30 MB took 8 for each byte, or 16 where a single emoji makes every character four bytes wide."""

LARGE_BYTES = 500_000
"""A longer body is large: a few feeds in a hundred. Those are read one at a time, beside the others."""

OUT_OF_MEMORY = 77
"""Exit code of a worker that reached its memory limit."""

NO_STATUS = 255
"""Exit code of a worker whose fork server ended before it and could not tell (multiprocessing.popen_forkserver)."""

TOO_LONG = "it took longer than {:,.0f} seconds"


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What one job may take: seconds of computing, seconds in all, bytes beyond those of an idle worker."""

    computing: float
    seconds: float
    memory: int
    is_large: bool

    @classmethod
    def of(cls, length: int, timeout: float, memory: int) -> Self:
        """The limits for a body of that length."""
        computing = timeout + CPU_PER_MB * length / 1e6
        return cls(computing, WALL * computing, memory + MEMORY_PER_BYTE * length, length > LARGE_BYTES)

    def describe_end(self, exit_code: int | None) -> str:
        """Why a worker ended, told by its exit code; None if it would not go."""
        if exit_code == OUT_OF_MEMORY:
            return f"it needed more than {self.memory / 1e6:,.0f} MB of memory"
        if exit_code == -signal.SIGPROF:
            return f"it took more than {self.computing:,.0f} seconds of computing"
        if exit_code == -signal.SIGALRM:
            return TOO_LONG.format(self.seconds)
        if exit_code in {None, NO_STATUS}:
            return "the parsing process ended, and it is not known why"
        if exit_code is not None and exit_code < 0:
            return f"the parsing process was ended by {signal.Signals(-exit_code).name}"
        return f"the parsing process ended with exit code {exit_code}"
