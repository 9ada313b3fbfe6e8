"""The daemon: it runs without configuration, follows its list, and stops when told to."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.demo import DemoServer, expected_events, sample_feeds
from tests.program import command, count, environment, query, run

PATIENCE_SECONDS = 60


@contextmanager
def _daemon(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    daemon = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    )
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.communicate()


def _wait(until: Callable[[], bool]) -> None:
    """Looks again and again until the promise holds: the only wait there is, bounded."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _grouped(folder: Path) -> Callable[[], bool]:
    def all_grouped() -> bool:
        database = folder / "news.db"
        return (
            database.exists()
            and query(database, "SELECT count(*) FROM sqlite_master WHERE name = 'v1_feed'") == [(1,)]
            and count(database, "v1_event_entry") == len(expected_events())
        )

    return all_grouped


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_polls_groups_and_stops_within_five_seconds(tmp_path: Path, ending: signal.Signals) -> None:
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        (tmp_path / "feeds.opml").write_bytes(server.opml())
        with _daemon(tmp_path) as daemon:
            _wait(_grouped(tmp_path))
            daemon.send_signal(ending)
            _, log = daemon.communicate(timeout=5)
    assert daemon.returncode == 0
    assert "Traceback" not in log
    assert log.rstrip().endswith("stopped")


def test_an_edit_of_the_list_takes_effect_and_a_torn_one_does_not(tmp_path: Path) -> None:
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        whole = server.opml()
        lines = whole.splitlines(keepends=True)
        first = next(n for n, line in enumerate(lines) if b"xmlUrl" in line)
        shorter = b"".join(lines[:first] + lines[first + 1 :])
        opml = tmp_path / "feeds.opml"
        opml.write_bytes(shorter)
        with _daemon(tmp_path, "serve") as daemon:
            _wait(lambda: (tmp_path / "news.db").exists() and _listed(tmp_path) > 0)
            feeds = _listed(tmp_path)
            opml.write_bytes(whole)
            _wait(lambda: _listed(tmp_path) == feeds + 1)
            opml.write_bytes(whole[:-200])
            assert daemon.stderr
            for line in daemon.stderr:
                if "The last good list stays in force" in line:
                    break
            assert _listed(tmp_path) == feeds + 1


def _listed(folder: Path) -> int:
    database = folder / "news.db"
    if query(database, "SELECT count(*) FROM sqlite_master WHERE name = 'v1_feed'") == [(0,)]:
        return 0
    return int(query(database, "SELECT count(*) FROM v1_feed WHERE state <> 'paused'")[0][0])


def test_a_second_daemon_on_one_database_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    with _daemon(tmp_path) as daemon:
        assert daemon.stderr
        for line in daemon.stderr:
            if "running" in line:
                break
        done = run(tmp_path, "serve", status=1)
    assert "another process already polls" in done.stderr


def test_without_a_list_it_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", status=2)
    assert "feeds.opml: can't be read" in done.stderr
