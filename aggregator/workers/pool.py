"""The pool of worker processes: who reads which feed, and what becomes of those that fail."""

from __future__ import annotations

import atexit
import logging
import queue
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self

from aggregator.types import NOTHING_SEEN, Failed, FailureKind, Fetched, NormalisedFeed, Seen
from aggregator.workers.limits import CPU_SECONDS, MEMORY, JobLimits
from aggregator.workers.process import Answer, Bug, Job, Task, read_feed
from aggregator.workers.worker import (
    START_SECONDS,
    STARTING,
    LostError,
    Worker,
    start_fork_server,
    worker_context,
)

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
RETRY_PAUSE_SECONDS = 0.05
"""How long, and how often, a fork server that does not answer is asked for a worker: one that was killed may take a
tenth of a second until it is found dead, and then a new one is started."""

SPENT_BYTES = 110_000_000
"""A worker that ever held so much is replaced: little of it goes back to the system. Small feeds take it to 82."""

NOT_STARTED = "no process could be started for it ({})"
NOT_READY = f"it ended at once, or was not ready within {START_SECONDS:g} seconds"
NO_FORK_SERVER = "the fork server, the part of this program that starts them, ended at once"
NO_SOCKET = "the fork server's socket in the folder for temporary files is gone: start this program again"
LONG_TMPDIR = "the name of the folder for temporary files is too long: set TMPDIR to a shorter one"


class PoolClosedError(Exception):
    """The pool was closed while, or before, a feed was read: nothing is known about the feed."""


class _StartError(Exception):
    """No worker came into being, but the next try may do better; the text says why."""


class ParserPool:
    """At most `count` worker processes and one more for large bodies, each replaced when it fails or has grown.

    `timeout` in seconds of computing and `memory` in bytes of address space limit each job, and more of both is
    allowed for each byte of its body. Workers are started when they are first needed, by a fork server that has the
    parsers loaded and that is itself started anew if it dies. They end with the pool, with the program, and also
    with a killed program.
    """

    def __init__(
        self, count: int, timeout: float = CPU_SECONDS, memory: int = MEMORY, *, job: Job = read_feed
    ) -> None:
        self._timeout = timeout
        self._memory = memory
        self._job = job
        self._context = worker_context()
        # Last in, first out: a worker that is warm is preferred to one that has yet to start.
        self._small: queue.LifoQueue[_Seat] = queue.LifoQueue()
        self._large: queue.LifoQueue[_Seat] = queue.LifoQueue()
        self._seats = [_Seat(self._small) for _ in range(count)] + [_Seat(self._large)]
        for seat in self._seats:
            seat.free.put(seat)
        self._is_closed = False
        # Workers ignore SIGTERM, by which multiprocessing would end them at exit, and then wait for ever.
        atexit.register(self.close)
        # It loads the parsers while the first feeds are fetched. A failure is told by the first that needs it.
        with STARTING, suppress(OSError):
            start_fork_server()

    def read(
        self, fetched: Fetched, now: datetime, seen: Seen | None = NOTHING_SEEN
    ) -> NormalisedFeed | Failed:
        """The clean entries of the body, as process.read_feed has it; waits for a free worker. Thread-safe.

        Failed(PARSER) if the job took too much time or memory or crashed, Failed(BUG) if it met a bug, which is
        logged.
        Raises PoolClosedError if the pool is closed, now or before the job is done.
        """
        limits = JobLimits.of(len(fetched.body), self._timeout, self._memory)
        seat = (self._large if limits.is_large else self._small).get()
        try:
            head = replace(fetched, body=b"")
            answer = self._ask(
                seat, Task(partial(_on_body, self._job), (head, now, seen), limits, fetched.body)
            )
            if limits.is_large or answer.is_spent:
                self._vacate(seat)
        except LostError as lost:
            exit_code = self._vacate(seat)
            if self._is_closed:
                raise PoolClosedError from None
            reason = str(lost) or limits.describe_end(exit_code)
            return Failed(FailureKind.PARSER, f"The feed could not be parsed: {reason}.")
        except BaseException:
            # The worker may still answer: the next to sit here must not take that for its own feed.
            self._vacate(seat)
            raise
        finally:
            seat.free.put(seat)
        if isinstance(answer.result, Bug):
            log.error("a bug in parsing %s\n%s", fetched.url, answer.result.trace)
            reason = f"the program met a bug, {answer.result.name}"
            return Failed(FailureKind.BUG, f"The feed could not be parsed: {reason}.")
        result: NormalisedFeed | Failed = answer.result
        return result

    def close(self) -> None:
        """Ends all workers at once, busy ones too."""
        with STARTING:
            if self._is_closed:
                return
            self._is_closed = True
            for seat in self._seats:
                if seat.worker is not None:
                    seat.worker.kill()
        atexit.unregister(self.close)
        # Threads in `read` give their seats back as soon as they find their worker dead, and then those that
        # wait for a seat find the pool closed.
        seats = [seat.free.get() for seat in self._seats]
        for seat in seats:
            self._vacate(seat)
            seat.free.put(seat)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, seat: _Seat, task: Task) -> Answer:
        worker = seat.worker
        # A worker may have died while it was idle (the machine out of memory): that is not the feed's fault.
        if worker is None or not worker.take(task):
            self._vacate(seat)
            worker = self._occupy(seat)
            if not worker.take(task):
                raise LostError
        return worker.answer(task)

    def _occupy(self, seat: _Seat) -> Worker:
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return self._start_worker(seat)
            except _StartError as error:
                self._vacate(seat)
                if time.monotonic() > deadline:
                    raise LostError(NOT_STARTED.format(error)) from None
            time.sleep(RETRY_PAUSE_SECONDS)
            with STARTING, suppress(OSError):
                start_fork_server()

    def _start_worker(self, seat: _Seat) -> Worker:
        with STARTING:
            if self._is_closed:
                raise PoolClosedError
            try:
                worker = Worker(self._context, "parser", SPENT_BYTES)
            except (EOFError, ConnectionError):
                raise _StartError(NO_FORK_SERVER) from None
            except FileNotFoundError:
                raise LostError(NOT_STARTED.format(NO_SOCKET)) from None
            except OSError as error:
                # The fork server listens at a socket in there, whose name may have 107 bytes.
                why = LONG_TMPDIR if "path too long" in str(error) else error.strerror or str(error)
                raise LostError(NOT_STARTED.format(why)) from None
            seat.worker = worker
        if not worker.is_ready():
            if self._is_closed:
                raise PoolClosedError
            raise _StartError(NOT_READY)
        return worker

    def _vacate(self, seat: _Seat) -> int | None:
        """Ends the worker in the seat; its exit code if it had one."""
        with STARTING:
            worker, seat.worker = seat.worker, None
            return worker.end() if worker else None


def _on_body(
    job: Job, fetched: Fetched, now: datetime, seen: Seen | None, body: bytes
) -> NormalisedFeed | Failed:
    """What the job makes of a document whose body went its own way."""
    return job(replace(fetched, body=body), now, seen)


@dataclass(slots=True)
class _Seat:
    """Room for one worker; empty until it is needed, and after it failed. `free` is where it stands when free."""

    free: queue.LifoQueue[_Seat]
    worker: Worker | None = None
