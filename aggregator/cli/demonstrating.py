"""The command that shows the program to a newcomer: demo."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from ipaddress import ip_network
from pathlib import Path

from aggregator.cli.events import print_event, print_events
from aggregator.cli.passes import cluster_once, poll_once
from aggregator.config import Settings
from aggregator.demo import DemoServer, sample_feeds
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import OpmlWatch, feeds_to_ask
from aggregator.store import open_store
from aggregator.store.reads import latest_events


def demo(settings: Settings, arguments: argparse.Namespace) -> int:
    """Polls the bundled sample feeds from a server on loopback into a database of its own, and shows the events."""
    folder = Path(tempfile.mkdtemp(prefix="aggregator-demo-"))
    try:
        return _run(settings, folder)
    finally:
        if arguments.keep:
            sys.stdout.write(f"\nThe demo's database: {folder / 'demo.db'}\n")
        else:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


def _run(settings: Settings, folder: Path) -> int:
    started = time.monotonic()
    with DemoServer(sample_feeds(utc_now())) as server:
        list_file = folder / "feeds.opml"
        list_file.write_bytes(server.opml())
        own = settings.model_copy(
            update={
                "database": f"sqlite:///{folder / 'demo.db'}",
                "opml": list_file,
                "allow_addresses": (ip_network("127.0.0.1"),),
                "host_delay": 0.0,
                "host_connections": 8,
            }
        )
        store = open_store(own.database)
        try:
            OpmlWatch(store, own).start()
            reports = poll_once(store, own, feeds_to_ask(store, utc_now(), own, every=False))
            cluster_once(store, own)
            with store.read() as db:
                events = latest_events(db, 1000, "")
            seen = sum(report.seen for report in reports)
            seconds = time.monotonic() - started
            sys.stdout.write(
                f"{len(reports)} feeds, {seen} entries, {len(events)} events in {seconds:.1f} s.\n\n"
            )
            if not events:
                for report in reports:
                    sys.stderr.write(f"aggregator: {report.state.title}: {report.detail}\n")
                return 1
            print_events(events)
            largest = max(events, key=lambda event: (event.entry_count, event.id))
            sys.stdout.write(
                f"\nThe record of event {largest.id}, told by {largest.source_count} sources:\n\n"
            )
            print_event(store, largest.id, "text")
        finally:
            store.close()
    return 0
