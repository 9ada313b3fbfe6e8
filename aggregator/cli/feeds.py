"""The commands that show how feeds do: feeds list and check."""

from __future__ import annotations

import argparse
import sys

from aggregator.cli.passes import cluster_once, poll_once
from aggregator.cli.screen import age, print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import ListFile, Outdated, feeds_to_ask, put_in_force, read_file
from aggregator.publish import feed_advice, feed_json
from aggregator.store import Store, open_store
from aggregator.store.dialect import hold_polling
from aggregator.store.feeds import end_leases, feed_statuses
from aggregator.types import FeedStatus

TO_DO = 1
"""Exit status of a check that found something to do."""


def list_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    """Every listed feed with its state, as a table or JSON; nothing is fetched."""
    store = open_store(settings.database)
    try:
        with store.read() as db:
            feeds = feed_statuses(db)
    finally:
        store.close()
    if arguments.json:
        print_json([feed_json(feed, feed_advice(feed)) for feed in feeds])
    elif feeds:
        now = utc_now()
        rows = [
            (
                feed.id,
                feed.title or feed.url,
                feed.state,
                feed.entries,
                age(feed.last_success_at, now),
                feed.problem,
            )
            for feed in feeds
        ]
        print_table(("id#", "feed", "state", "entries#", "read#", "problem"), rows)
    else:
        sys.stdout.write("No feeds yet: `poll` reads the list.\n")
    return 0


def check_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    """Polls every feed that may be asked, then says what a person should do; exit status 1 if there is anything."""
    file = read_file(settings)
    listed = file.feeds
    store = open_store(settings.database)
    try:
        _poll(store, settings, file)
        with store.read() as db:
            feeds = feed_statuses(db)
    finally:
        store.close()
    found = [(feed, advice) for feed in feeds if (advice := feed_advice(feed))]
    if arguments.json:
        print_json(
            {
                "feeds": len(feeds),
                "list": list(listed.warnings),
                "to_do": [feed_json(feed, advice) for feed, advice in found],
            }
        )
    else:
        _print_advice(settings, listed.warnings, found, len(feeds))
    return TO_DO if found or listed.warnings else 0


def _poll(store: Store, settings: Settings, listed: ListFile) -> None:
    with hold_polling(store.engine) as held:
        if not held:
            sys.stderr.write("aggregator: another process polls for this database: this is what it found\n")
            return
        with store.write() as db:
            end_leases(db)
        if isinstance(kept := put_in_force(store, listed, settings), Outdated):
            sys.stderr.write(f"aggregator: {kept}\n")
        poll_once(store, settings, feeds_to_ask(store, utc_now(), settings, every=True))
        cluster_once(store, settings)


def _print_advice(
    settings: Settings, warnings: tuple[str, ...], found: list[tuple[FeedStatus, str]], count: int
) -> None:
    for warning in warnings:
        sys.stdout.write(f"{settings.opml}: {warning}\n")
    if found:
        print_table(("feed", "address", "to do"), [(feed.title, feed.url, advice) for feed, advice in found])
    sys.stdout.write(f"{count} feeds, {len(found)} with something to do.\n")
