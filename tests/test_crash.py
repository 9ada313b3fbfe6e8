"""A crash at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from aggregator.demo import DemoServer, sample_feeds
from tests.program import command, contents, environment, run

KILLS = 10


def test_killed_at_random_moments_a_pass_ends_as_if_undisturbed(tmp_path: Path) -> None:
    chance = random.Random(20261123)
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    with DemoServer(sample_feeds(datetime.now(UTC))) as server:
        for folder in (calm, rough):
            folder.mkdir()
            (folder / "feeds.opml").write_bytes(server.opml())
        started = time.monotonic()
        run(calm, "poll")
        whole = time.monotonic() - started
        for _ in range(KILLS):
            broken = subprocess.Popen(
                command("poll"),
                cwd=rough,
                env=environment(rough),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                broken.wait(chance.uniform(0.1, whole))
            except subprocess.TimeoutExpired:
                broken.send_signal(signal.SIGKILL)
                broken.wait()
        run(rough, "poll")
    assert contents(rough / "news.db") == contents(calm / "news.db")
