"""One pure function over many values, on all cores: results in the order of the values, whoever made them."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from aggregator.workers.limits import JobLimits
from aggregator.workers.process import Bug, Task, do_job
from aggregator.workers.worker import STARTING, LostError, Worker, start_fork_server, worker_context

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Begun = TypeVar("Begun")

AHEAD = 2
"""Values that are under way for each process, besides the one it works on: it never waits for the next."""

SPENT_BYTES = 600_000_000
"""A process that ever held so much is replaced: little of it goes back to the system."""

ADVICE = "free some memory, or allow this user more processes"

MOST_HELPERS = 4
"""Processes that help one which has much else to do, a daemon above all: each may need 250 MB."""


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


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

    @property
    def is_near(self) -> bool:
        """Whether it works on this machine, in processes that do one job at a time."""

    def prepare(self, job: Callable[[], object]) -> None:
        """Has its processes start, and each load what this job needs, meanwhile: nobody waits for it."""

    def rest(self) -> None:
        """Has processes end that would start again when they are needed: for now they are not."""

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
    is_near = True

    def prepare(self, job: Callable[[], object]) -> None:
        """See Crew: it has all."""

    def rest(self) -> None:
        """See Crew: it has work of its own."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,  # noqa: ARG002 (see above)
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew."""
        for item in items:
            yield item, told(do_job(job, item))


ALONE = Alone()


def each_there(
    crew: Crew, job: Callable[[Any], Any], items: Sequence[Any]
) -> Iterator[tuple[Any, Any | Lost]]:
    """As Crew.each; if no process can be started, all that is left of the items is lost."""
    done = 0
    try:
        for item, found in crew.each(job, items):
            done += 1
            yield item, found
    except CrewError as error:
        for item in items[done:]:
            yield item, Lost(str(error))


def helper_count() -> int:
    """As many processes as help one that has much else to do."""
    return min(core_count(), MOST_HELPERS)


def begun_ahead(
    items: Iterable[Item], cores: int, begin: Callable[[Item], Begun]
) -> Iterator[tuple[Item, Begun]]:
    """Each value with what `begin` made of it, in order; AHEAD more for each core are begun before it is taken."""
    rest = iter(items)
    begun: deque[tuple[Item, Begun]] = deque()
    while True:
        begun.extend((item, begin(item)) for item in islice(rest, cores * (1 + AHEAD) - len(begun)))
        if not begun:
            return
        yield begun.popleft()


class Processes:
    """So many processes, each replaced when its job ends it or it has grown. They end with this one."""

    is_near = True

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._context = worker_context()
        self._is_closed = False
        self._workers: set[Worker] = set()
        self._tasks: queue.SimpleQueue[_UnderWay | None] = queue.SimpleQueue()
        with suppress(OSError):
            start_fork_server()
        # A thread for each process hands over and takes back: while a result is written, no process waits.
        self._threads = [threading.Thread(target=self._employ, daemon=True) for _ in range(cores)]
        for thread in self._threads:
            thread.start()

    def prepare(self, job: Callable[[], object]) -> None:
        """See Crew."""
        for _ in range(self.cores):
            self._tasks.put(_UnderWay(Task(job, (), None)))

    def rest(self) -> None:
        """See Crew: they stay until it is closed."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew. Raises CrewError if no process can be started."""

        def begin(item: Item) -> _UnderWay:
            given = _UnderWay(Task(job, (item,), None if limits_of is None else limits_of(item)))
            self._tasks.put(given)
            return given

        for item, given in begun_ahead(items, self.cores, begin):
            given.done.wait()
            if isinstance(given.answer, CrewError):
                raise given.answer
            yield item, told(given.answer)

    def _employ(self) -> None:
        """Does tasks in one process after another until the crew is closed."""
        worker: Worker | None = None
        while (given := self._tasks.get()) is not None and not self._is_closed:
            try:
                if worker is None or not worker.take(given.task):
                    self._end(worker)
                    worker = None
                    worker = self._start()
                    # A process may have died while it was idle; one that has just come up is there.
                    worker.take(given.task)
                answer = worker.answer(given.task)
                given.answer = answer.result
                if answer.is_spent:
                    self._end(worker)
                    worker = None
            except CrewError as error:
                given.answer = error
            except LostError as lost:
                exit_code = self._end(worker)
                worker = None
                given.answer = Lost(str(lost) or _end_told(given.task.limits, exit_code))
            given.done.set()
        self._end(worker)

    def _start(self) -> Worker:
        with STARTING:
            if self._is_closed:
                raise CrewError("no process is started any more")
            try:
                worker = Worker(self._context, "worker", SPENT_BYTES)
            except (OSError, EOFError) as error:
                raise CrewError(f"no process can be started ({error}): {ADVICE}") from None
            self._workers.add(worker)
        if not worker.is_ready():
            self._end(worker)
            raise CrewError(f"a process that was started ended at once: {ADVICE}")
        return worker

    def _end(self, worker: Worker | None) -> int | None:
        if worker is None:
            return None
        with STARTING:
            self._workers.discard(worker)
            return worker.end()

    def close(self) -> None:
        """Ends all processes at once."""
        self._is_closed = True
        with STARTING:
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


class OnDemand:
    """Processes that are started for the first value, and again after each `rest`: a daemon needs them seldom."""

    is_near = True

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._crew: Processes | None = None

    def prepare(self, job: Callable[[], object]) -> None:
        """See Crew."""
        self._started().prepare(job)

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Processes."""
        return self._started().each(job, items, limits_of)

    def _started(self) -> Processes:
        if self._crew is None:
            self._crew = Processes(self.cores)
        return self._crew

    def rest(self) -> None:
        """See Crew: until the next value."""
        if self._crew is not None:
            self._crew.close()
            self._crew = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()


class _UnderWay:
    """A value under way."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.answer: Any = None
        self.done = threading.Event()


def _end_told(limits: JobLimits | None, exit_code: int | None) -> str:
    if limits is None:
        return f"the process that worked on it ended (exit code {exit_code})"
    return limits.describe_end(exit_code)


def told(answer: Any) -> Any:
    """The result of what `do_job` gave; a bug is logged, and its value is lost."""
    if isinstance(answer, Bug):
        log.error("a bug in a job\n%s", answer.trace)
        return Lost(f"the program met a bug, {answer.name}; its log has the details")
    return answer
