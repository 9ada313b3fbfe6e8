"""The daemon: it runs without configuration, follows its list, and stops when told to."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.config import load_settings
from aggregator.demo import DemoServer, expected_events, sample_feeds
from aggregator.fetch import HostQueue
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.poll import PollWorkers, open_poller
from aggregator.pipeline.reports import Result
from aggregator.store import open_store
from aggregator.store.feeds import listed_feeds, sync_feeds
from aggregator.types import Feed
from tests.loopback import LoopbackServer
from tests.program import command, count, environment, query, run, write_jsonl

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
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["message"] for line in lines][-1] == "stopped"
    fetched = [line for line in lines if "feed_id" in line]
    assert fetched
    assert all(line["outcome"] == "ok" and line["new"] > 0 for line in fetched)
    assert sum(line["entries"] for line in lines if "entries" in line) == len(expected_events())
    assert any(line["logger"].startswith("uvicorn") for line in lines)


def test_at_rest_it_notices_what_another_process_brings(tmp_path: Path) -> None:
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        (tmp_path / "feeds.opml").write_bytes(server.opml())
        with _daemon(tmp_path):
            _wait(_grouped(tmp_path))
            known = count(tmp_path / "news.db", "v1_event_entry")
            entry = {"id": "1", "title": "A ferry reaches the island", "source": "Harbour"}
            run(tmp_path, "import", write_jsonl(tmp_path / "more.jsonl", [entry]))
            _wait(lambda: count(tmp_path / "news.db", "v1_event_entry") == known + 1)
            with closing(sqlite3.connect(tmp_path / "news.db")) as other, other:
                other.execute(
                    "UPDATE feed SET last_polled_at = '2020-01-01 00:00:00.000000', next_poll_at = last_polled_at "
                    "WHERE listed"
                )
            polled_anew = "SELECT count(*) FROM feed WHERE listed AND last_polled_at < '2021'"
            _wait(lambda: query(tmp_path / "news.db", polled_anew) == [(0,)])


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


def test_a_page_without_a_place_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with _daemon(tmp_path, "serve", "--port", str(port)) as daemon:
            assert daemon.stderr
            lines = []
            for line in daemon.stderr:
                lines.append(line)
                if "running" in line:
                    break
        assert any("go on without it" in line and f"PORT={port}" in line for line in lines)
        done = run(tmp_path, "serve", "--no-poll", "--no-cluster", "--port", port, status=1)
    assert "choose another with --host or --port" in done.stderr


def test_a_page_for_everybody_must_be_meant(tmp_path: Path) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    done = run(tmp_path, "serve", "--host", "0.0.0.0", status=1)
    assert "set TOKEN to a secret" in done.stderr


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


def _read_until(daemon: subprocess.Popen[str], words: str) -> None:
    assert daemon.stderr
    for line in daemon.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


def _list_one(folder: Path, url: str) -> None:
    outline = f'<outline text="Slow Paper" xmlUrl="{url}"/>'
    (folder / "feeds.opml").write_text(f'<opml version="2.0"><head/><body>{outline}</body></opml>')


def test_a_server_that_drips_does_not_hold_up_the_end(tmp_path: Path, loopback: LoopbackServer) -> None:
    loopback.on("/rss", lambda _request: loopback.drip(b"HTTP/1.1 200 OK\r\n"))
    _list_one(tmp_path, loopback.url("/rss"))
    with _daemon(tmp_path) as daemon:
        _wait(lambda: bool(loopback.asked("/rss")))
        daemon.send_signal(signal.SIGTERM)
        _, log = daemon.communicate(timeout=5)
    assert daemon.returncode == 0
    assert "Traceback" not in log


def test_a_database_that_another_program_holds_does_not_hold_up_the_end(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'news.db'}").close()
    _list_one(tmp_path, "http://127.0.0.1:9/rss")
    with closing(sqlite3.connect(tmp_path / "news.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with _daemon(tmp_path) as daemon:
            _wait((tmp_path / "news.db.poll.lock").exists)
            daemon.send_signal(signal.SIGTERM)
            _, log = daemon.communicate(timeout=6)
    assert daemon.returncode == 0
    assert "nothing of it is kept" in log


def test_the_log_names_the_feed_that_failed(tmp_path: Path, loopback: LoopbackServer) -> None:
    _list_one(tmp_path, loopback.url("/lost"))
    with _daemon(tmp_path) as daemon:
        _read_until(daemon, "Slow Paper: failed: ")


def test_a_feed_whose_poll_could_not_be_kept_is_not_asked_again_at_once(
    tmp_path: Path, loopback: LoopbackServer
) -> None:
    settings = load_settings({"database": f"sqlite:///{tmp_path / 'news.db'}"})
    store = open_store(settings.database)
    with store.write() as db:
        sync_feeds(db, [Feed(loopback.url("/rss"), "Slow Paper", "", "")], settings, utc_now())
        (state,) = listed_feeds(db)
        db.exec_driver_sql("ALTER TABLE feed RENAME TO taken_away")
    queue = HostQueue([state], settings)
    queue.finish()
    with open_poller(store, settings) as poller:
        workers = PollWorkers(poller, queue, 1)
        (report,) = workers.reports()
    store.close()
    assert report.result is Result.FAILED
    assert "DATABASE=" in report.detail
    assert workers.is_held(state.id)
