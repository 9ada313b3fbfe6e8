"""What other programs wait for: `events export` in both forms, and messages to the webhook.

`python benchmarks/programs.py [EVENTS [MESSAGES]]` (default 200000 and 5000): a made-up database of so many events,
each of two entries with 1,100 characters and three teasers, is exported in a process of its own, whose peak memory
is shown; then so many messages go to a receiver on loopback that takes everything.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from runs import ROOT
from sqlalchemy import insert
from sqlalchemy.engine import Connection

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.config import load_settings
from aggregator.fetch import Poster
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.delivering import POST_SECONDS, Courier
from aggregator.store import Store, open_store
from aggregator.store.events import add_changes
from aggregator.store.outbox import switch_webhook
from aggregator.store.tables import ENTRY, EVENT, FEED, TEASER
from aggregator.types import ChangeKind, EventId

START = datetime(2026, 1, 1, tzinfo=UTC)
BODY = "The old bridge over the Wend at Harbury was closed this morning after inspectors found cracks. " * 12
PART = 2000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def main() -> None:
    """Prints a line for each form, and one for the webhook."""
    events, messages = int((sys.argv[1:] or ["200000"])[0]), int((sys.argv[2:] or ["5000"])[0])
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        url = f"sqlite:///{place / 'news.db'}"
        store = open_store(url)
        with store.write() as db:
            db.execute(insert(FEED).values(url="http://a.example/", listed=True, health="ok", **FEED_REST))
            for first in range(0, events, PART):
                _fill(db, range(first, min(first + PART, events)))
        for name in ("events.jsonl", "events.parquet"):
            _export(url, place / name, events)
        _deliver(store, min(messages, events))
        store.close()


FEED_REST = {"interval": 1800, "failures": 0}


def _fill(db: Connection, numbers: range) -> None:
    times = {number: START + timedelta(seconds=number) for number in numbers}
    db.execute(
        insert(EVENT),
        [
            {
                "id": n + 1,
                "canonical_entry_id": 2 * n + 1,
                "first_seen_at": times[n],
                "last_seen_at": times[n],
                "entry_count": 2,
                "source_count": 1,
            }
            for n in numbers
        ],
    )
    db.execute(insert(ENTRY), [row for n in numbers for row in _entries(n, times[n])])
    db.execute(
        insert(TEASER),
        [
            {"event_id": n + 1, "position": p, "kind": "coverage", "text": BODY[:59] + "…", "title": "Bridge"}
            for n in numbers
            for p in range(3)
        ],
    )


def _entries(number: int, at: datetime) -> Iterator[dict[str, Any]]:
    for half, relation in enumerate(("canonical", "copy"), start=1):
        name = f"{number}-{half}"
        yield {
            "id": 2 * number + half,
            "feed_id": 1,
            "identity": name,
            "guid": name,
            "url": f"http://a.example/{name}",
            "title": f"Bridge {number} is closed",
            "text": BODY,
            "lang": "en",
            "source": "Paper",
            "published_at": at,
            "first_seen_at": at,
            "date_guessed": False,
            "truncated": False,
            "text_key": 0,
            "title_key": 0,
            "pending": False,
            "event_id": number + 1,
            "relation": relation,
        }


def _export(url: str, output: Path, events: int) -> None:
    started = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "run.py"),
            "events",
            "export",
            "--database",
            url,
            "--output",
            str(output),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = output.stat().st_size / 1e6
    print(
        f"{output.suffix[1:]}: {events / seconds:,.0f} events/s, {size:,.0f} MB, at most {peak:.0f} MB of memory"
    )


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Takes everything."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Says nothing."""


def _deliver(store: Store, messages: int) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        settings = load_settings({"webhook_url": url, "webhook_secret": SECRET})
        with store.write() as db:
            switch_webhook(db, utc_now(), on=True)
            add_changes(db, [(EventId(n + 1), ChangeKind.CREATED, None) for n in range(messages)], utc_now())
        with Poster(url, "", POST_SECONDS) as poster:
            courier = Courier(store, settings, poster, utc_now, Random())
            started = time.perf_counter()
            delivered = 0
            while (done := courier.deliver()) is not None:
                delivered += done.delivered
        print(f"webhook: {delivered / (time.perf_counter() - started):,.0f} messages/s")
        server.shutdown()


if __name__ == "__main__":
    main()
