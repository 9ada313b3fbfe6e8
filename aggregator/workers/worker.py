"""This side of a worker process: how it is started, asked and ended; and the fork server that starts them all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

from aggregator.workers.limits import TOO_LONG
from aggregator.workers.process import Answer, Task, work

START_SECONDS = 60.0
"""What a worker gets to start in; the first, for which the fork server loads the parsers, needs about a second."""

END_SECONDS = 5.0
"""How long a killed process may take to be gone; the kernel needs milliseconds unless the disk hangs."""

PRELOADED = ["aggregator.workers.warm"]
"""What the fork server loads once for all workers."""


STARTING = threading.Lock()
"""Around all that starts, kills or ends a worker: multiprocessing's own tables know no threads."""


class LostError(Exception):
    """The worker is of no more use; the text says why, "" = it ended by itself."""


class Worker:
    """A process that does one task after another; who starts, kills or ends one holds STARTING."""

    def __init__(self, context: ForkServerContext, name: str, spent: int) -> None:
        """Starts it; `spent` is how many bytes it may ever have held to be kept. Raises OSError, EOFError."""
        self._connection, far_end = context.Pipe()
        try:
            self._process = context.Process(target=work, args=(far_end, spent), name=name, daemon=True)
            self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            far_end.close()

    def is_ready(self) -> bool:
        """True when the process takes tasks: its start doesn't count as a task's time. False if it never will."""
        try:
            return self._connection.poll(START_SECONDS) and self._connection.recv() is None
        except (EOFError, OSError):
            return False

    def take(self, task: Task) -> bool:
        """False if the process is no longer there to do it."""
        try:
            self._connection.send((replace(task, body=None), task.body is not None))
            if task.body is not None:
                self._connection.send_bytes(task.body)
        except OSError:
            return False
        return True

    def answer(self, task: Task) -> Answer:
        """What the task that it took came to. Raises LostError if there is no answer in time, or never."""
        seconds = task.limits.seconds if task.limits else None
        if not self._connection.poll(seconds):
            raise LostError(TOO_LONG.format(seconds))
        try:
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            raise LostError from None
        return answer

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


def worker_context() -> ForkServerContext:
    """How workers are started: by a fork server that has all that they need in memory."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def start_fork_server() -> None:
    """Starts the process that starts the workers unless it runs. Raises OSError if it can't."""
    # In Python 3.11 it looks for the parsers without knowing the search path of this process. If it can't find them
    # it says nothing, and each worker loads them for itself, which takes a second and 30 MB each time.
    kept = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        if kept is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = kept


def end_fork_server() -> None:
    """Ends it with the 50 MB of parsers it holds, where nothing is to be read for a while.

    Whoever needs a worker next starts it anew; the workers that it started live on.
    """
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)  # noqa: SLF001 (no public way to it)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
