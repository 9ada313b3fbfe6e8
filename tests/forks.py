"""Processes of the program that start in no time: forks of one process that has loaded it.

Loading takes a second of computing, and the suite starts the program a thousand times. What it starts here is a
process like any other: it has its own arguments, environment, folder and files, can be killed, and ends as Python
ends, but for the taking apart of what it has loaded. Tests of what is loaded, and when, start the program anew
(`program.command`).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self, TextIO

ROOT = Path(__file__).parent.parent
LONGEST_REQUEST = 150_000
"""Bytes of a request: arguments and environment. The kernel sends more than that in one piece."""

_exit_code = [1]
"""The last is that of this process."""

Target = int | IO[Any]
"""Where a stream of a process goes: subprocess.PIPE or DEVNULL, or a file."""


class Running:
    """A process of the program that was started, and its ends of pipes. As subprocess.Popen, as far as it goes."""

    def __init__(self, pid: int, told: socket.socket, stdout: TextIO | None, stderr: TextIO | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._told = told
        self._readers: dict[TextIO, _Reader] = {}

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, as soon as it has ended; minus the number of the signal that ended it."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(100))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("run.py", timeout or 0) from None
            self._told.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What is left to read of its output and its errors, when it has ended."""
        for stream in (self.stdout, self.stderr):
            if stream is not None and stream not in self._readers:
                self._readers[stream] = _Reader(stream)
        self.wait(timeout)
        return self._rest_of(self.stdout), self._rest_of(self.stderr)

    def _rest_of(self, stream: TextIO | None) -> str:
        return self._readers[stream].finish() if stream is not None else ""

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()


class _Reader(threading.Thread):
    """Reads what is left of a pipe, so that nobody waits for room in it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._text = ""
        self.start()

    def run(self) -> None:
        self._text = self._stream.read()

    def finish(self) -> str:
        """What it was, once the other end is closed."""
        self.join()
        self._stream.close()
        return self._text


def start(
    folder: Path,
    environment: Mapping[str, str],
    *arguments: object,
    stdin: Target = subprocess.DEVNULL,
    stdout: Target = subprocess.DEVNULL,
    stderr: Target = subprocess.DEVNULL,
) -> Running:
    """The program, started in a folder with these arguments; its environment is this one and nothing else."""
    request = {
        "folder": str(folder),
        "environment": dict(environment),
        "arguments": list(map(str, arguments)),
    }
    told, teller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours: list[TextIO | None] = []
    theirs: list[int] = [teller.fileno()]
    opened: list[int] = []
    for target in (stdin, stdout, stderr):
        mine = None
        if target == subprocess.PIPE:
            reading, writing = os.pipe()
            mine = open(reading, encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115 (the caller closes it)
            opened.append(writing)
            theirs.append(writing)
        elif isinstance(target, int):
            opened.append(os.open(os.devnull, os.O_RDWR))
            theirs.append(opened[-1])
        else:
            theirs.append(target.fileno())
        ours.append(mine)
    socket.send_fds(_forking(), [json.dumps(request).encode()], theirs)
    teller.close()
    for number in opened:
        os.close(number)
    return Running(int(told.recv(100)), told, ours[1], ours[2])


@cache
def _forking() -> socket.socket:
    """The connection to the process that forks, which ends when it is closed."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    forking = subprocess.Popen(
        [sys.executable, "-m", "tests.forks", str(far.fileno())],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[far.fileno()],
    )
    far.close()

    def end() -> None:
        near.close()
        forking.wait()

    atexit.register(end)
    return near


def main() -> None:
    """Forks the program at each request, until nobody can ask any more."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    atexit.register(_end)  # the first that is registered is the last that is called
    _load()
    while True:
        request, files, _, _ = socket.recv_fds(asked, LONGEST_REQUEST, 4)
        if not request:
            return
        if not os.fork():
            asked.close()
            _watch(json.loads(request), files)
        for number in files:
            os.close(number)
        _forget_ended()


def _load() -> None:
    """Loads what a run may need, all of it."""
    import aggregator  # noqa: PLC0415 (who starts processes need not load it)

    for module in pkgutil.walk_packages(aggregator.__path__, "aggregator."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
    for name in ("psycopg", "rich.console", "rich.table", "rich.progress"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _forget_ended() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _watch(request: dict[str, Any], files: list[int]) -> None:
    """Starts the program, and tells its number and, when it has ended, its exit code. Only the program returns."""
    teller, *streams = files
    pid = os.fork()
    if not pid:
        os.close(teller)
        _become(request, streams)
    for number in streams:
        os.close(number)
    os.write(teller, str(pid).encode())
    _, status = os.waitpid(pid, 0)
    try:
        os.write(teller, str(os.waitstatus_to_exitcode(status)).encode())
    finally:
        os._exit(0)


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Is `python run.py` from here on."""
    for place, number in enumerate(streams):
        os.dup2(number, place)
    for number in streams:
        os.close(number)
    # Python made its own for other files: it knows whether one can seek.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (they are open until it ends)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # where TMPDIR says
    sys.argv = [str(ROOT / "run.py"), *request["arguments"]]
    # Processes that it starts load this file as its own.
    this = sys.modules["__main__"]
    this.__file__, this.__spec__ = sys.argv[0], None
    from aggregator.cli import main as run  # noqa: PLC0415 (see _load)

    try:
        _exit_code.append(run())
    except SystemExit as end:
        _exit_code.append(end.code if isinstance(end.code, int) else 1)
        raise
    sys.exit(_exit_code[-1])


def _end() -> None:
    """Ends this process without taking its modules apart, which takes longer than most commands."""
    sys.stdout.flush()
    os._exit(_exit_code[-1])


if __name__ == "__main__":
    main()
