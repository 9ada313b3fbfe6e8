"""Parsing and normalising in processes that can be killed: a hostile feed costs its own job, nothing else."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import queue
import resource
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from types import TracebackType
from typing import Self

from aggregator.types import Failed, FailureKind, Fetched, NormalisedFeed

log = logging.getLogger(__name__)

Job = Callable[[Fetched, datetime], NormalisedFeed | Failed]
"""What a worker does; a function at the top level of its module, so that its name is enough to send it."""

TIMEOUT = 20.0
"""Seconds for one feed. Measured on one busy core: 10 MB with 4,000 entries 7 s, the largest body that is fetched
(30 MB) 11 s; what needs longer feeds on quadratic time."""

MEMORY = 1_500_000_000
"""Bytes of address space for one worker: five times the 260 MB that it took for the largest body (30 MB)."""

START_SECONDS = 60.0
"""What a worker gets to start in; the first, for which the fork server loads the parsers, needs about a second."""

GRACE_SECONDS = 1.0
"""How much later than the pool a worker ends itself; only one whose pool died in mid-job gets there."""

END_SECONDS = 5.0
"""How long a killed process may take to be gone; the kernel needs milliseconds unless the disk hangs."""

OUT_OF_MEMORY = 77
"""Exit code of a worker that reached its memory limit."""

TOO_LONG = "it took longer than {:g} seconds"

TRACE_FRAMES = 20
"""Innermost frames that the log shows of a bug; runaway recursion has a thousand."""

PRELOADED = ["aggregator.workers", "aggregator.parse", "aggregator.normalise"]


class PoolClosedError(Exception):
    """The pool was closed while, or before, a feed was read: nothing is known about the feed."""


class _LostError(Exception):
    """The worker is of no more use; the text says why, "" = it ended by itself."""


@dataclass(frozen=True, slots=True)
class _Bug:
    """An exception that no code of the job foresaw, as text: not every exception can be pickled."""

    name: str
    trace: str


def read_feed(fetched: Fetched, now: datetime) -> NormalisedFeed | Failed:
    """The clean entries of a fetched body; Failed if it holds no feed. The real job of the workers."""
    # Imported where it runs: the parent stays free of the parsers, the fork server has them loaded already.
    from aggregator.normalise import normalise  # noqa: PLC0415 (see above)
    from aggregator.parse import parse_feed  # noqa: PLC0415 (see above)

    parsed = parse_feed(fetched)
    if isinstance(parsed, Failed):
        return parsed
    return normalise(parsed, fetched.url, now)


class ParserPool:
    """At most `count` worker processes, started when they are first needed and replaced when they fail.

    `timeout` in seconds and `memory` in bytes of address space limit each job. Workers come from a fork server
    that has the parsers loaded. They end with the pool, with the program, and also with a killed program.
    """

    def __init__(
        self, count: int, timeout: float = TIMEOUT, memory: int = MEMORY, *, job: Job = read_feed
    ) -> None:
        self._count = count
        self._timeout = timeout
        self._memory = memory
        self._job = job
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        # Around all that starts, kills or awaits a process: multiprocessing's own tables know no threads.
        self._lock = threading.Lock()
        self._seats = [_Seat() for _ in range(count)]
        # Last in, first out: a worker that is warm is preferred to one that has yet to start.
        self._free: queue.LifoQueue[_Seat] = queue.LifoQueue()
        for seat in self._seats:
            self._free.put(seat)
        self._is_closed = False
        # Workers ignore SIGTERM, by which multiprocessing would end them at exit, and then wait for ever.
        atexit.register(self.close)

    def read(self, fetched: Fetched, now: datetime) -> NormalisedFeed | Failed:
        """The clean entries of the body; waits for a free worker. Thread-safe.

        Failed(PARSER) if the job took too much time or memory, crashed, or met a bug, which is logged.
        Raises PoolClosedError if the pool is closed, now or before the job is done.
        """
        seat = self._free.get()
        try:
            answer = self._ask(seat, fetched, now)
        except _LostError as lost:
            exit_code = self._vacate(seat)
            if self._is_closed:
                raise PoolClosedError from None
            reason = str(lost) or self._describe_end(exit_code)
            return Failed(FailureKind.PARSER, f"The feed could not be parsed: {reason}.")
        except BaseException:
            # The worker may still answer: the next to sit here must not take that for its own feed.
            self._vacate(seat)
            raise
        finally:
            self._free.put(seat)
        if isinstance(answer, _Bug):
            log.error("a bug in parsing %s\n%s", fetched.url, answer.trace)
            reason = f"the program met a bug, {answer.name}; its log has the details"
            return Failed(FailureKind.PARSER, f"The feed could not be parsed: {reason}.")
        return answer

    def close(self) -> None:
        """Ends all workers at once, busy ones too."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for seat in self._seats:
                if seat.worker is not None:
                    seat.worker.kill()
        atexit.unregister(self.close)
        # Threads in `read` give their seats back as soon as they find their worker dead, and then those that
        # wait for a seat find the pool closed.
        seats = [self._free.get() for _ in range(self._count)]
        for seat in seats:
            self._vacate(seat)
            self._free.put(seat)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, seat: _Seat, fetched: Fetched, now: datetime) -> NormalisedFeed | Failed | _Bug:
        worker = seat.worker
        # A worker may have died while it was idle (the machine out of memory): that is not the feed's fault.
        if worker is None or not worker.hand_over(fetched, now):
            self._vacate(seat)
            worker = self._occupy(seat)
            if not worker.hand_over(fetched, now):
                raise _LostError
        return worker.answer(self._timeout)

    def _occupy(self, seat: _Seat) -> _Worker:
        with self._lock:
            if self._is_closed:
                raise PoolClosedError
            try:
                worker = _Worker(self._context, (self._job, self._timeout, self._memory))
            except (OSError, EOFError) as error:
                raise _LostError(f"no process could be started ({error})") from None
            seat.worker = worker
        worker.wait_until_ready()
        return worker

    def _vacate(self, seat: _Seat) -> int | None:
        """Ends the worker in the seat; its exit code if it had one."""
        with self._lock:
            worker, seat.worker = seat.worker, None
            return worker.end() if worker else None

    def _describe_end(self, exit_code: int | None) -> str:
        if exit_code == OUT_OF_MEMORY:
            return f"it needed more than {self._memory / 1e6:,.0f} MB of memory"
        if exit_code == -signal.SIGALRM:
            return TOO_LONG.format(self._timeout)
        if exit_code is not None and exit_code < 0:
            return f"the parsing process was ended by {signal.Signals(-exit_code).name}"
        return f"the parsing process ended with exit code {exit_code}"


class _Worker:
    """The pool's end of one process; who starts, kills or ends it holds the pool's lock."""

    def __init__(self, context: ForkServerContext, arguments: tuple[Job, float, int]) -> None:
        self._connection, far_end = context.Pipe()
        try:
            self._process = context.Process(
                target=_work, args=(far_end, *arguments), name="parser", daemon=True
            )
            self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            far_end.close()

    def wait_until_ready(self) -> None:
        """Returns when the process takes jobs, so that its start doesn't count as a feed's time."""
        if not self._connection.poll(START_SECONDS):
            raise _LostError(f"its process did not start within {START_SECONDS:g} seconds")
        self._receive()

    def hand_over(self, fetched: Fetched, now: datetime) -> bool:
        """False if the process is no longer there to take the job."""
        try:
            self._connection.send((fetched, now))
        except OSError:
            return False
        return True

    def answer(self, timeout: float) -> NormalisedFeed | Failed | _Bug:
        """What the job came to. Raises _LostError if there is no answer in time, or never."""
        if not self._connection.poll(timeout):
            raise _LostError(TOO_LONG.format(timeout))
        return self._receive()

    def kill(self) -> None:
        """Ends the process; whoever waits for its answer sees the end of the pipe."""
        self._process.kill()

    def end(self) -> int | None:
        """Kills the process if need be and gives everything back; the exit code, None if it would not go."""
        self._process.kill()
        self._process.join(END_SECONDS)
        exit_code = self._process.exitcode
        self._connection.close()
        if exit_code is not None:
            self._process.close()
        return exit_code

    def _receive(self) -> NormalisedFeed | Failed | _Bug:
        try:
            answer: NormalisedFeed | Failed | _Bug = self._connection.recv()
        except (EOFError, OSError):
            raise _LostError from None
        return answer


@dataclass(slots=True)
class _Seat:
    """Room for one worker; empty until it is needed, and after it failed."""

    worker: _Worker | None = None


# ---- in the worker process -------------------------------------------------------------------------


def _work(connection: Connection, job: Job, timeout: float, memory: int) -> None:
    """Answers one job after another until the pool closes its end or dies."""
    # Ctrl-C and a service manager signal the whole group: polls under way shall end first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _lower(resource.RLIMIT_AS, memory)
    _lower(resource.RLIMIT_CORE, 0)
    try:
        connection.send(None)
        while True:
            fetched, now = connection.recv()
            # The pool kills at its timeout. If it is gone by then, the alarm does: unlike RLIMIT_CPU it starts
            # anew with each job and counts sleep as well.
            signal.setitimer(signal.ITIMER_REAL, timeout + GRACE_SECONDS)
            connection.send(_answer(job, fetched, now))
            signal.setitimer(signal.ITIMER_REAL, 0)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (EOFError, OSError):
        return


def _answer(job: Job, fetched: Fetched, now: datetime) -> NormalisedFeed | Failed | _Bug:
    try:
        return job(fetched, now)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (bugs of the job are caught here, once, and reported)
        return _Bug(type(error).__name__, traceback.format_exc(-TRACE_FRAMES))


def _lower(limit: int, value: int) -> None:
    """Sets a limit of this process, never above one it has already."""
    _, highest = resource.getrlimit(limit)
    if highest != resource.RLIM_INFINITY:
        value = min(value, highest)
    resource.setrlimit(limit, (value, highest))
