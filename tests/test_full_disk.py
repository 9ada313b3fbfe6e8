"""A disk that fills up in mid-work: it is said, nothing is lost, and all goes on once there is space."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.demo import DemoServer, sample_feeds
from tests.databases import query, sqlite_url
from tests.program import Contents, command, contents, environment, run

TIGHT = 900_000
"""Bytes: enough for an empty database, too few for what the demo's feeds bring."""

LIMIT = (
    "import os, resource as r, sys; "
    f"r.setrlimit(r.RLIMIT_FSIZE, ({TIGHT}, r.getrlimit(r.RLIMIT_FSIZE)[1])); os.execv(sys.argv[1], sys.argv[1:])"
)
LIMITED = [sys.executable, "-c", LIMIT]
"""What stands before a command that may write no file of more than TIGHT bytes, until the limit is lifted."""

PATIENCE = 60.0
"""Seconds that something may take that is sure to come."""


@dataclass(frozen=True)
class Disk:
    """A disk of TIGHT bytes: a file system in memory that a process of its own has mounted."""

    keeper: subprocess.Popen[str]
    folder: Path

    def inside(self, *words: object) -> list[str]:
        """A command line that runs where the disk is mounted."""
        enter = ("nsenter", "--preserve-credentials", "--target", self.keeper.pid, "--user", "--mount")
        return [str(word) for word in (*enter, f"--wd={self.folder}", *words)]

    def enlarge(self) -> None:
        """Makes space."""
        mount = ("mount", "-o", "remount,size=64m", self.folder)
        subprocess.run(self.inside(*mount), check=True, capture_output=True)


BACKUP = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"


def _copied(disk: Disk | None, database: Path, copy: Path) -> Path:
    """A copy of the database that this process can read."""
    words = [sys.executable, "-c", BACKUP, str(database), str(copy)]
    subprocess.run(disk.inside(*words) if disk else words, check=True)
    return copy


@contextmanager
def tight_disk(folder: Path, *, mounted: bool = True) -> Iterator[Disk | None]:
    """A small disk at `folder`; None where the system lets nobody mount one, or none shall be."""
    if not mounted or shutil.which("unshare") is None:
        yield None
        return
    script = f'mount -t tmpfs -o size={TIGHT} tmpfs "$1" && echo ready && cat'
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder)]
    keeper = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert keeper.stdout
        yield Disk(keeper, folder) if keeper.stdout.readline() == "ready\n" else None
    finally:
        keeper.communicate()


pytestmark = pytest.mark.sqlite("the disk of a server is its own affair")


@pytest.fixture(scope="module")
def news() -> Iterator[DemoServer]:
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, news: DemoServer) -> Path:
    """A folder with the list of feeds and an empty one for the database."""
    (tmp_path / "feeds.opml").write_bytes(news.opml())
    (tmp_path / "disk").mkdir()
    return tmp_path


def _settings(place: Path, folder: Path) -> dict[str, object]:
    return {"DATABASE": sqlite_url(folder / "news.db"), "OPML": place / "feeds.opml"}


@pytest.fixture(scope="module")
def calm(news: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What an undisturbed pass stores."""
    place = tmp_path_factory.mktemp("calm")
    (place / "feeds.opml").write_bytes(news.opml())
    run(place, "poll", settings=_settings(place, place))
    return contents(place / "news.db")


@pytest.mark.parametrize("mounted", [True, False], ids=["a small disk", "a limit to the size of files"])
def test_a_pass_on_a_full_disk_says_so_and_the_next_one_has_it_all(
    place: Path, calm: Contents, *, mounted: bool
) -> None:
    folder = place / "disk"
    env = environment(place, _settings(place, folder))
    with tight_disk(folder, mounted=mounted) as disk:
        words = disk.inside(*command("poll")) if disk else [*LIMITED, *command("poll")]
        full = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert "Traceback" not in full.stderr
        assert full.returncode == 1
        assert "can't be opened or written" in full.stderr
        assert ("full" if disk else "I/O error") in full.stderr
        if disk:
            disk.enlarge()
        words = disk.inside(*command("poll")) if disk else command("poll")
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        found = _copied(disk, folder / "news.db", place / "copy.db")
    assert query(found, "PRAGMA integrity_check") == [("ok",)]
    assert contents(found) == calm


def test_a_daemon_on_a_full_disk_goes_on_by_itself_once_there_is_space(place: Path, calm: Contents) -> None:
    folder = place / "disk"
    frequent = {"INTERVAL": 1, "MIN_INTERVAL": 1, "MAX_INTERVAL": 2}
    env = environment(place, _settings(place, folder) | frequent)
    with tight_disk(folder) as disk, (place / "log").open("w") as log:
        words = disk.inside(*command("serve")) if disk else [*LIMITED, *command("serve")]
        daemon = subprocess.Popen(words, env=env, stderr=log)
        try:
            _wait_for(lambda: "can't be opened or written" in (place / "log").read_text())
            assert daemon.poll() is None
            if disk:
                disk.enlarge()
            else:
                resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

            def is_settled() -> bool:
                copy = _copied(disk, folder / "news.db", place / "copy.db")
                counts = query(copy, "SELECT count(*), sum(pending OR event_id IS NULL) FROM entry")
                # Related teasers come last, when nothing is pending.
                left = query(
                    copy, "SELECT 1 FROM event WHERE relate UNION SELECT 1 FROM decision WHERE regroup"
                )
                return counts == [(len(calm.entries), 0)] and not left

            _wait_for(is_settled)
            assert contents(place / "copy.db") == calm
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(PATIENCE) == 0
    assert "Traceback" not in (place / "log").read_text()


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)
