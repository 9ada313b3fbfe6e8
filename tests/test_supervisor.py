"""What the service manager is told over NOTIFY_SOCKET: that all runs, that it lives, and that it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from aggregator.supervisor import Supervisor
from tests.forks import Running, start
from tests.loopback import LoopbackServer
from tests.program import environment
from tests.stage import ok

PATIENCE_SECONDS = 90
WATCHDOG_SECONDS = 2


class Manager:
    """Listens as systemd does."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE_SECONDS)
        self.variables = {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000),
        }

    def told(self) -> dict[str, str]:
        """The next message."""
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def wait_for(self, *names: str) -> dict[str, str]:
        """The next message with all of these."""
        while not set(names) <= set(told := self.told()):
            continue
        return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = (
        str(tmp_path / "notify") if request.param == "path" else f"@aggregator-{os.getpid()}-{tmp_path.name}"
    )
    with closing(Manager(path)) as listening:
        yield listening


@contextmanager
def _daemon(folder: Path, manager: Manager, *arguments: str, **settings: object) -> Iterator[Running]:
    variables = environment(folder, settings) | manager.variables
    daemon = start(folder, variables, "serve", *arguments, stderr=subprocess.PIPE)
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.communicate()


def test_it_says_that_it_is_ready_that_it_lives_and_that_it_ends(tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    with _daemon(tmp_path, manager, "--no-cluster") as daemon:
        assert manager.told() == {"READY": "1"}
        for _ in range(2):
            told = manager.told()
            assert told["WATCHDOG"] == "1"
            assert told["STATUS"].startswith("0 polls")
        daemon.send_signal(signal.SIGTERM)
        assert manager.wait_for("STOPPING") == {"STOPPING": "1"}
        daemon.communicate(timeout=PATIENCE_SECONDS)
    assert daemon.returncode == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_its_status_says_what_was_done(tmp_path: Path, manager: Manager, loopback: LoopbackServer) -> None:
    loopback.on("/rss", ok())
    (tmp_path / "feeds.opml").write_text(
        f"<opml version='2.0'><body><outline xmlUrl='{loopback.url('/rss')}'/></body></opml>"
    )
    with _daemon(tmp_path, manager, "--no-web", "--no-cluster"):
        while (status := manager.wait_for("STATUS")["STATUS"]).startswith("0 polls"):
            continue
        assert status == "1 polls (0 failed), 2 entries and 0 events since the start"


@pytest.mark.postgresql("only there can one session lock out those that read")
@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_a_database_that_hangs_ends_the_signs_of_life_until_it_answers(
    tmp_path: Path, manager: Manager, loopback: LoopbackServer, new_database: str
) -> None:
    loopback.on("/rss", ok())
    (tmp_path / "feeds.opml").write_text(
        f"<opml version='2.0'><body><outline xmlUrl='{loopback.url('/rss')}'/></body></opml>"
    )
    chosen = {"DATABASE": new_database, "INTERVAL": 1, "MAX_INTERVAL": 1}
    with _daemon(tmp_path, manager, "--no-web", "--no-cluster", **chosen):
        manager.wait_for("WATCHDOG")
        with psycopg.connect(new_database) as other:
            other.execute("LOCK TABLE feed IN ACCESS EXCLUSIVE MODE")
            while "WATCHDOG" in (told := manager.wait_for("STATUS")):
                continue
            assert "polling has not come to its end" in told["STATUS"]
        manager.wait_for("WATCHDOG")


def test_without_a_manager_nothing_is_told_and_nothing_fails() -> None:
    alone = Supervisor({})
    alone.ready()
    alone.report("all is well", "")
    alone.stopping()
    assert alone.patience is None


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed() -> None:
    assert Supervisor({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).patience is None
    assert Supervisor({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}).patience == 1


def test_a_manager_that_is_gone_is_no_reason_to_end(tmp_path: Path) -> None:
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()
