"""A PostgreSQL server that goes away and comes back: the program waits, says so once, and goes on."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from aggregator.store import Store, StoreError, UnreachableError, open_store
from tests.forks import start
from tests.loopback import Answer, LoopbackServer, Request
from tests.program import environment, run
from tests.servers import OwnServer, own_server
from tests.stage import item, ok, rss

pytestmark = pytest.mark.postgresql("SQLite has no server that goes away")

PATIENCE_SECONDS = 90


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _list(folder: Path, loopback: LoopbackServer, paths: list[str]) -> None:
    outlines = "".join(f"<outline xmlUrl='{loopback.url(path)}'/>" for path in paths)
    (folder / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")


def _next(log: Iterator[str], words: str) -> str:
    """The message of the next line of the log that says so."""
    return next(str(json.loads(line)["message"]) for line in log if words in line)


def test_a_daemon_outlives_its_database_and_says_so_once(
    own: OwnServer, tmp_path: Path, loopback: LoopbackServer
) -> None:
    paths = [f"/{number}" for number in range(20)]
    for path in paths:
        loopback.on(path, ok(rss(item(path[1:]))))
    _list(tmp_path, loopback, paths)
    settings = {"DATABASE": own.new_database(), "INTERVAL": 1, "MAX_INTERVAL": 1}
    log = tmp_path / "log"
    with log.open("w") as written, log.open() as told:
        daemon = start(tmp_path, environment(tmp_path, settings), "serve", stderr=written)
        lines = _follow(told)
        try:
            address = _next(lines, "the events are at").rpartition("http://")[2].rstrip("/")
            _next(lines, "grouped")
            reader = http.client.HTTPConnection(address, timeout=PATIENCE_SECONDS)
            reader.request("GET", "/api/v1/changes/stream")
            stream = reader.getresponse()
            assert b"retry" in stream.readline()
            own.crash()
            assert "All else waits" in _next(lines, "check that the server runs")
            assert stream.read() is not None  # to its end: the client comes back with its cursor
            assert _status(address) == 503
            own.start()
            _next(lines, "the database answers again")
            loopback.on("/0", ok(rss(item("0"), item("later"))))
            _next(lines, "1 new entries")
            _next(lines, "grouped")
            assert _status(address) == 200
            daemon.terminate()
            assert daemon.wait(PATIENCE_SECONDS) == 0
        finally:
            daemon.kill()
            daemon.wait()
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert "Traceback" not in log.read_text()
    # A feed that answered too late on a busy machine is no matter here.
    loud = [line for line in said if line["level"] not in {"INFO", "DEBUG"} and "feed" not in line]
    assert [line["level"] for line in loud] == ["ERROR"], loud


def _follow(told: Iterator[str]) -> Iterator[str]:
    """The lines of a file that is being written, each as soon as it is whole."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    begun = ""
    while time.monotonic() < deadline:
        for part in told:
            begun += part
            if begun.endswith("\n"):
                yield begun
                begun = ""
        time.sleep(0.02)
    raise AssertionError("the log never said so")


def _status(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/healthz")
    return connection.getresponse().status


def test_a_pass_that_loses_its_database_ends_with_one_sentence(
    own: OwnServer, tmp_path: Path, loopback: LoopbackServer
) -> None:
    _list(tmp_path, loopback, ["/feed"])

    def answer(_request: Request) -> Answer:
        own.crash()
        return ok(rss(item("one")))

    loopback.on("/feed", answer)
    settings = {"DATABASE": own.new_database(), "MIN_INTERVAL": 0}
    try:
        lost = run(tmp_path, "poll", settings=settings, status=1)
    finally:
        own.start()
    assert lost.stderr.count("check that the server runs") == 1


def test_that_all_connections_are_in_use_is_told_as_such(new_database: str) -> None:
    open_store(new_database).close()
    url = make_url(new_database).set(drivername="postgresql+psycopg")
    small = Store(create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.05))
    with small.read(), pytest.raises(UnreachableError, match="none of its connections came free"):
        small.read().__enter__()
    small.close()


def test_a_statement_that_is_refused_is_no_outage(new_database: str) -> None:
    store = open_store(new_database)
    with pytest.raises(StoreError) as refused, store.write() as db:  # noqa: PT012 (set, then met)
        db.exec_driver_sql("SET LOCAL statement_timeout = 1")
        db.exec_driver_sql("SELECT pg_sleep(5)")
    store.close()
    assert not isinstance(refused.value, UnreachableError)
