"""When there is no network, no feed is blamed for it; when it is back, nobody is met by all feeds at once."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from aggregator.config import load_settings
from aggregator.daemon import AHEAD, LEAST_PACE, RETURN_SECONDS, Ramp
from aggregator.fetch import Fetcher
from aggregator.pipeline.network import Network
from aggregator.types import Failed, FailureKind, FetchResult, NotModified
from tests.databases import query
from tests.forks import start
from tests.program import environment, run
from tests.stage import FEED

ANSWER = NotModified("", "", None, "")
DNS = Failed(FailureKind.DNS, "No name server answered.")
SITES = [f"https://paper{number}.example/feed" for number in range(9)]
PATIENCE_SECONDS = 90


class World:
    """Sites that can be reached or not."""

    def __init__(self, *up: str) -> None:
        self.up = set(up)
        self.tried: list[str] = []

    def reach(self, url: str) -> bool:
        self.tried.append(url)
        return url in self.up

    def network(self, listed: list[str]) -> Network:
        return Network(self.reach, lambda: listed, Random(1))


def _blames(network: Network, result: FetchResult, url: str) -> bool:
    return network.is_to_blame(result, url, time.monotonic())


def test_a_site_that_fails_while_others_can_be_reached_is_to_blame_itself() -> None:
    world = World(*SITES[1:])
    network = world.network(SITES)
    assert not _blames(network, DNS, SITES[0])
    assert not network.is_gone
    assert len(world.tried) == 1


def test_a_site_that_fails_while_others_answer_costs_no_look_at_them() -> None:
    world = World()
    network = world.network(SITES)
    asked_at = time.monotonic()
    network.is_to_blame(ANSWER, SITES[1], asked_at)
    assert not network.is_to_blame(DNS, SITES[0], asked_at)
    assert not world.tried


def test_when_none_can_be_reached_it_is_the_networks_fault_until_one_can() -> None:
    world = World()
    network = world.network(SITES)
    assert _blames(network, DNS, SITES[0])
    assert network.is_gone
    tried = len(world.tried)
    assert _blames(network, DNS, SITES[1])
    assert len(world.tried) == tried, "what is known is not found out again"
    network.look()
    assert network.is_gone
    world.up.update(SITES)
    network.look()
    assert not network.is_gone
    assert network.returns == 1


def test_any_answer_ends_it() -> None:
    network = World().network(SITES)
    assert _blames(network, DNS, SITES[0])
    _blames(network, ANSWER, SITES[5])
    assert not network.is_gone


@pytest.mark.parametrize("listed", [SITES[:1], SITES[:2]])
def test_with_too_few_sites_to_compare_the_site_is_to_blame(listed: list[str]) -> None:
    assert not _blames(World().network(listed), DNS, SITES[0])


@pytest.mark.parametrize("why", [FailureKind.HTTP, FailureKind.GONE, FailureKind.BAD_URL])
def test_a_failure_that_has_nothing_to_do_with_the_network_is_the_feeds(why: FailureKind) -> None:
    assert not _blames(World().network(SITES), Failed(why, "It failed."), SITES[0])


def test_those_that_answered_last_are_asked_first() -> None:
    world = World(*SITES)
    network = world.network([])
    for url in SITES:
        network.is_to_blame(ANSWER, url, time.monotonic())
    assert not _blames(network, DNS, SITES[-1])
    assert world.tried == [SITES[-2]]


def test_one_thread_finds_out_for_all_that_fail_at_once() -> None:
    world = World()
    network = world.network(SITES)
    asked_at = time.monotonic()
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda url=url: found.append(network.is_to_blame(DNS, url, asked_at)))
        for url in SITES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * len(SITES)
    assert len(world.tried) == 3


def test_a_host_is_reached_by_a_connection_over_which_nothing_is_sent() -> None:
    settings = load_settings({"allow_addresses": "127.0.0.1"})
    with closing(socket.create_server(("127.0.0.1", 0))) as server, Fetcher(settings) as fetcher:
        port = server.getsockname()[1]
        assert fetcher.reaches(f"http://127.0.0.1:{port}/feed")
        connection, _ = server.accept()
        with closing(connection):
            assert connection.recv(1) == b""
    with Fetcher(settings) as fetcher:
        assert not fetcher.reaches(f"http://127.0.0.1:{port}/feed")
        assert not fetcher.reaches("nonsense")


@pytest.mark.parametrize(("due", "seconds"), [(10_000, RETURN_SECONDS), (80, 80 / LEAST_PACE)])
def test_after_its_return_feeds_begin_evenly_over_minutes_or_at_a_modest_pace(
    due: int, seconds: float
) -> None:
    ramp = Ramp(due, 0.0)
    begun = [ramp.allowed(float(second)) for second in range(1, int(seconds))]
    pace = due / seconds
    assert abs(sum(begun) - due) <= 2 * pace
    assert max(begun) <= pace + 1
    assert ramp.allowed(seconds) == AHEAD


# ---- the program ------------------------------------------------------------------------------------


class _Paper(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(FEED)

    def log_message(self, *_: object) -> None:
        pass


HOSTS = [f"127.0.0.{number}" for number in range(1, 6)]


def _serve(stack: ExitStack, port: int = 0) -> int:
    """Feeds on all hosts, at one port, until the stack ends."""
    for host in HOSTS:
        server = ThreadingHTTPServer((host, port), _Paper)
        port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
    return port


SETTINGS = {"ALLOW_ADDRESSES": "127.0.0.0/8"}


@pytest.fixture
def listed(tmp_path: Path) -> tuple[Path, int]:
    """A list of a feed on each host, all read once."""
    with ExitStack() as stack:
        port = _serve(stack)
        outlines = "".join(f"<outline xmlUrl='http://{host}:{port}/'/>" for host in HOSTS)
        (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
        run(tmp_path, "poll", settings=SETTINGS)
    return tmp_path, port


def _health(folder: Path) -> set[tuple[str, int, int]]:
    return set(query(folder / "news.db", "SELECT state, failures, entries FROM v1_feed"))


def test_a_pass_without_a_network_says_so_once_and_blames_no_feed(listed: tuple[Path, int]) -> None:
    folder, _ = listed
    done = run(folder, "poll", "--all", "--json", settings=SETTINGS)
    assert done.stderr.count("the network is gone") == 1
    assert '"feeds_not_asked": 5' in done.stdout
    assert _health(folder) == {("ok", 0, 2)}


POLLS = "SELECT last_polled_at, next_poll_at FROM feed ORDER BY id"


def test_a_pass_without_a_network_leaves_on_record_when_feeds_were_asked(listed: tuple[Path, int]) -> None:
    folder, _ = listed
    before = query(folder / "news.db", POLLS)
    run(folder, "poll", "--all", settings=SETTINGS)
    assert query(folder / "news.db", POLLS) == before


def test_a_check_without_a_network_says_that_it_could_not_look(tmp_path: Path) -> None:
    outlines = "".join(f"<outline xmlUrl='http://{host}:9/'/>" for host in HOSTS)
    (tmp_path / "feeds.opml").write_text(f"<opml version='2.0'><body>{outlines}</body></opml>")
    settings = SETTINGS | {"MIN_INTERVAL": 600}
    said = run(tmp_path, "feeds", "check", status=1, settings=settings).stdout
    assert "5 feeds could not be asked: there is no network." in said
    found = json.loads(run(tmp_path, "feeds", "check", "--json", status=1, settings=settings).stdout)
    assert (found["not_asked"], found["to_do"]) == (5, [])
    assert query(tmp_path / "news.db", "SELECT count(*) FROM feed WHERE last_polled_at IS NULL") == [(5,)]


@pytest.mark.sqlite("the network is the same with either; its table is written by hand here")
def test_the_daemon_waits_for_the_network_and_goes_on_when_it_is_back(listed: tuple[Path, int]) -> None:
    folder, port = listed
    polled = "UPDATE feed SET next_poll_at = '2020-01-01 00:00:00.000000', last_polled_at = next_poll_at"
    with closing(_connect(folder)) as db, db:
        db.execute(polled)
    variables = environment(folder, SETTINGS)
    daemon = start(folder, variables, "serve", "--no-web", "--no-cluster", stderr=subprocess.PIPE)
    try:
        assert daemon.stderr
        read = partial(next, iter(daemon.stderr))
        _read_until(read, "the network is gone")
        assert _health(folder) == {("ok", 0, 2)}
        with ExitStack() as stack:
            _serve(stack, port)
            _read_until(read, "the network is back")
            deadline = time.monotonic() + PATIENCE_SECONDS
            asked = (
                "SELECT count(*) FROM feed WHERE last_success_at < next_poll_at AND last_success_at > '2021'"
            )
            while query(folder / "news.db", asked) != [(5,)]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert _health(folder) == {("ok", 0, 2)}
    finally:
        daemon.kill()
        daemon.communicate()


def _connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "news.db")


def _read_until(read: Callable[[], str], words: str) -> None:
    while words not in read():
        continue
