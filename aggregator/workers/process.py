"""The worker process: one job after another, each within its limits, until whoever asks is gone."""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

from aggregator.types import NOTHING_SEEN, Failed, Fetched, NormalisedFeed, Seen
from aggregator.workers.limits import OUT_OF_MEMORY, JobLimits

Job = Callable[[Fetched, datetime, Seen | None], NormalisedFeed | Failed]
"""How a feed is read; a function at the top level of its module, so that its name is enough to send it."""

LARGE_NICE = 10
"""What a worker that reads a large body adds to its niceness: the others get nine tenths of the core they share."""

GRACE_SECONDS = 1.0
"""How much later than it is killed a worker ends itself; only one whose other side died in mid-job gets there."""

TRACE_FRAMES = 20
"""Innermost frames that the log shows of a bug; runaway recursion has a thousand."""


@dataclass(frozen=True, slots=True)
class Bug:
    """An exception that no code of the job foresaw, as text: not every exception can be pickled."""

    name: str
    trace: str


@dataclass(frozen=True, slots=True)
class Task:
    """A job, what it is called with, and what it may take (None = as much as there is).

    `body` goes its own way, as the last argument: pickling would make another copy of it at either end.
    """

    job: Callable[..., Any]
    arguments: tuple[Any, ...]
    limits: JobLimits | None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job came to, and whether its worker has grown too large to be kept."""

    result: Any | Bug
    is_spent: bool


def read_feed(fetched: Fetched, now: datetime, seen: Seen | None) -> NormalisedFeed | Failed:
    """The clean entries of a fetched body; Failed if it holds no feed. The real job of the workers.

    Those of items that were `seen` before, unchanged, are left out; None = nothing was ever read of the feed.
    Where all entries are new, as far as can be told here, they come with their signatures.
    """
    # Imported where it runs: the parent stays free of the parsers, the fork server has them loaded already.
    from aggregator.cluster.signature import sign  # noqa: PLC0415 (see above)
    from aggregator.normalise import normalise  # noqa: PLC0415 (see above)
    from aggregator.parse import parse_feed  # noqa: PLC0415 (see above)

    parsed = parse_feed(fetched, seen or NOTHING_SEEN)
    if isinstance(parsed, Failed):
        return parsed
    feed = normalise(parsed, fetched.url, now, fetched.set_lang)
    known = {item.content for item in seen.items} if seen else set()
    is_rest = any(item.content in known for item in parsed.skipped)
    if is_rest and not feed.seen.items:
        # Something new has the guid or the address of something that was left out.
        return read_feed(fetched, now, NOTHING_SEEN)
    return replace(feed, signatures=tuple(sign(feed.entries))) if is_rest or seen is None else feed


def work(connection: Connection, spent: int) -> None:
    """Answers one task after another until the other side closes its end or dies; `spent` bytes are too many."""
    # Ctrl-C and a service manager signal the whole group: what is under way shall end first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _lower(resource.RLIMIT_CORE, 0)
    idle = _address_space()
    try:
        connection.send(None)
        while True:
            task, has_body = connection.recv()
            _limit(task.limits, idle)
            body = (connection.recv_bytes(),) if has_body else ()
            result = do_job(task.job, *task.arguments, *body)
            is_spent = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > spent
            connection.send(Answer(result, is_spent))
            del task, body, result
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (EOFError, OSError):
        return


def _address_space() -> int:
    """Bytes of address space of this process: on some systems an archive of locales makes up most of it."""
    with open("/proc/self/statm", "rb") as pages:  # noqa: PTH123 (pathlib is not needed for anything else here)
        return int(pages.read().split()[0]) * resource.getpagesize()


def _limit(limits: JobLimits | None, idle: int) -> None:
    """Has this process ended when it takes more for its next job."""
    if limits is None:
        _lower(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        return
    if limits.is_large:
        os.nice(LARGE_NICE)
    _lower(resource.RLIMIT_AS, idle + limits.memory)
    # Unlike RLIMIT_CPU these start anew with each job. The other side kills at the end of `seconds`; if it is gone
    # by then, the alarm does.
    signal.setitimer(signal.ITIMER_PROF, limits.computing)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds + GRACE_SECONDS)


def do_job(job: Callable[..., Any], *arguments: Any) -> Any | Bug:
    """What the job makes of its arguments, or the bug that it met."""
    try:
        return job(*arguments)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (bugs of the job are caught here, once, and reported)
        return Bug(type(error).__name__, traceback.format_exc(-TRACE_FRAMES))


def _lower(limit: int, value: int) -> None:
    """Sets a limit of this process, never above one it has already."""
    _, highest = resource.getrlimit(limit)
    if highest != resource.RLIM_INFINITY:
        value = highest if value == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(limit, (value, highest))
