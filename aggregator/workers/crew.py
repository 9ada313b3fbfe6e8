"""One pure function over many values, on all cores: results in the order of the values, whoever made them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import resource
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from aggregator.workers.limits import OUT_OF_MEMORY, TOO_LONG, JobLimits
from aggregator.workers.pool import END_SECONDS, PRELOADED, START_SECONDS, start_fork_server
from aggregator.workers.process import TRACE_FRAMES, Bug, address_space, limit_job

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Values that are under way for each process, besides the one it works on: it never waits for the next."""

SPENT_BYTES = 600_000_000
"""A process that ever held so much is replaced: little of it goes back to the system."""


ADVICE = "free some memory, or use --cores 1"


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no result: why, as part of a sentence."""

    reason: str


class CrewError(Exception):
    """Nobody can be put to work; the text says why and what to do."""


class Crew(Protocol):
    """Who computes: this process, some processes of this machine, or a cluster."""

    @property
    def cores(self) -> int:
        """How many values are worked on at once."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """Each value with its result, in order; few are taken from `items` before they are needed.

        The job is a function that any process can load by its name, or a partial of one. `limits_of` says what a
        value's job may take, where that can be held.
        """


class Alone:
    """This process, one value after another. It has no limits of its own."""

    cores = 1

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,  # noqa: ARG002 (see above)
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew."""
        for item in items:
            yield item, _told(do_job(job, item))


class Processes:
    """So many processes, each replaced when its job ends it or it has grown. They end with this one."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        # Around all that starts or ends a process: multiprocessing's own tables know no threads.
        self._lock = threading.Lock()
        self._is_closed = False
        self._workers: set[_Worker] = set()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        with suppress(OSError):
            start_fork_server()
        # A thread for each process hands over and takes back: while a result is written, no process waits.
        self._threads = [threading.Thread(target=self._employ, daemon=True) for _ in range(cores)]
        for thread in self._threads:
            thread.start()

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew. Raises CrewError if no process can be started."""
        rest = iter(items)
        under_way: deque[_Task] = deque()
        while True:
            for item in islice(rest, self.cores * (1 + AHEAD) - len(under_way)):
                task = _Task(item, job, None if limits_of is None else limits_of(item))
                under_way.append(task)
                self._tasks.put(task)
            if not under_way:
                return
            task = under_way.popleft()
            task.done.wait()
            if isinstance(task.answer, CrewError):
                raise task.answer
            yield task.item, _told(task.answer)

    def _employ(self) -> None:
        """Does tasks in one process after another until the crew is closed."""
        worker: _Worker | None = None
        while (task := self._tasks.get()) is not None and not self._is_closed:
            try:
                if worker is None or not worker.take(task):
                    self._end(worker)
                    worker = self._start()
                    # A process may have died while it was idle; one that has just come up is there.
                    worker.take(task)
                task.answer, is_spent = worker.bring(task)
            except CrewError as error:
                task.answer, is_spent, worker = error, False, None
            except _LostError as lost:
                exit_code = self._end(worker)
                task.answer, is_spent, worker = Lost(str(lost) or _end_told(task, exit_code)), False, None
            if is_spent:
                self._end(worker)
                worker = None
            task.done.set()
        self._end(worker)

    def _start(self) -> _Worker:
        with self._lock:
            worker = _Worker(self._context)
            self._workers.add(worker)
            return worker

    def _end(self, worker: _Worker | None) -> int | None:
        if worker is None:
            return None
        with self._lock:
            self._workers.discard(worker)
            return worker.end()

    def close(self) -> None:
        """Ends all processes at once."""
        self._is_closed = True
        with self._lock:
            for worker in self._workers:
                worker.kill()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _LostError(Exception):
    """The process is of no more use; the text says why, "" = it ended by itself."""


class _Task:
    """A value under way."""

    def __init__(self, item: Any, job: Callable[[Any], Any], limits: JobLimits | None) -> None:
        self.item = item
        self.job = job
        self.limits = limits
        self.answer: Any = None
        self.done = threading.Event()


def _end_told(task: _Task, exit_code: int | None) -> str:
    if task.limits is None:
        return f"the process that worked on it ended (exit code {exit_code})"
    return task.limits.describe_end(exit_code)


class _Worker:
    """This side of a process."""

    def __init__(self, context: ForkServerContext) -> None:
        self._connection, far_end = context.Pipe()
        try:
            self._process = context.Process(target=_serve, args=(far_end,), name="worker", daemon=True)
            self._process.start()
        except (OSError, EOFError) as error:
            self._connection.close()
            raise CrewError(f"no process can be started ({error}): {ADVICE}") from None
        finally:
            far_end.close()
        if not self._is_ready():
            self.end()
            raise CrewError(f"a process that was started ended at once: {ADVICE}")

    def _is_ready(self) -> bool:
        try:
            return self._connection.poll(START_SECONDS) and self._connection.recv() is None
        except (EOFError, OSError):
            return False

    def take(self, task: _Task) -> bool:
        """False if the process is no longer there to do it."""
        try:
            self._connection.send((task.job, task.item, task.limits))
        except OSError:
            return False
        return True

    def bring(self, task: _Task) -> tuple[Any, bool]:
        """The answer to its task, and whether the process has grown too large. Raises _LostError without one."""
        seconds = task.limits.seconds if task.limits else None
        if not self._connection.poll(seconds):
            assert seconds is not None
            raise _LostError(TOO_LONG.format(seconds))
        try:
            answer: tuple[Any, bool] = self._connection.recv()
        except (EOFError, OSError):
            raise _LostError from None
        return answer

    def kill(self) -> None:
        """Ends the process; whoever waits for its answer sees the end of the pipe."""
        self._process.kill()

    def end(self) -> int | None:
        """Ends the process if need be; its exit code."""
        self._process.kill()
        self._process.join(END_SECONDS)
        exit_code = self._process.exitcode
        self._connection.close()
        return exit_code


@dataclass(frozen=True, slots=True)
class _Done:
    """A job's result, told apart from a Bug and from None."""

    result: Any


def do_job(job: Callable[[Any], Any], item: Any) -> _Done | Bug:
    """What the job makes of the value, or the bug that it met."""
    try:
        return _Done(job(item))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (bugs of the job are caught here, once, and reported)
        return Bug(type(error).__name__, traceback.format_exc(-TRACE_FRAMES))


def _told(answer: Any) -> Any:
    if isinstance(answer, Bug):
        log.error("a bug in a job\n%s", answer.trace)
        return Lost(f"the program met a bug, {answer.name}; its log has the details")
    return answer.result if isinstance(answer, _Done) else answer


def _serve(connection: Connection) -> None:
    """Does one job after another until the other side closes its end or dies."""
    # Ctrl-C and a service manager signal the whole group: the other side ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    idle = address_space()
    try:
        connection.send(None)
        while True:
            job, item, limits = connection.recv()
            if limits is None:
                _, highest = resource.getrlimit(resource.RLIMIT_AS)
                resource.setrlimit(resource.RLIMIT_AS, (highest, highest))
            else:
                limit_job(limits, idle)
            answer = do_job(job, item)
            is_spent = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > SPENT_BYTES
            connection.send((answer, is_spent))
            del item, answer
            if limits is not None:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.setitimer(signal.ITIMER_REAL, 0)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (EOFError, OSError):
        return
