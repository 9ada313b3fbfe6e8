"""A crash at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from aggregator.demo import DemoServer, sample_feeds
from aggregator.store.feeds import LEASE
from tests.databases import Databases
from tests.program import Program

KILLS = 10


def test_killed_at_random_moments_a_pass_ends_as_if_undisturbed(databases: Databases, tmp_path: Path) -> None:
    chance = random.Random(20261123)
    calm, rough = (Program(tmp_path / name, databases.bare()) for name in ("calm", "rough"))
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        for program in (calm, rough):
            program.folder.mkdir()
            (program.folder / "feeds.opml").write_bytes(server.opml())
        started = time.monotonic()
        calm.run("poll")
        whole = time.monotonic() - started
        for _ in range(KILLS):
            broken = rough.start("poll", stderr=subprocess.DEVNULL)
            try:
                broken.wait(chance.uniform(0.1, whole))
            except subprocess.TimeoutExpired:
                broken.send_signal(signal.SIGKILL)
                broken.wait()
        rough.run("poll")
        # Where several processes may poll, what a killed one had just asked stays with it until its lease ends.
        deadline = time.monotonic() + 2 * LEASE.total_seconds()
        while rough.query("SELECT 1 FROM feed WHERE lease_until IS NOT NULL"):
            assert time.monotonic() < deadline, "the lease of a killed process does not end"
            time.sleep(0.5)
            rough.run("poll")
    assert rough.contents() == calm.contents()
