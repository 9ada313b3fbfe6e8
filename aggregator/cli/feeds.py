"""The commands about feeds: feeds list, check, add, remove, import and export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

from aggregator.cli.passes import cluster_once, poll_once
from aggregator.cli.screen import age, print_json, print_table
from aggregator.config import Settings
from aggregator.opml import OpmlError, path_of, read_opml, same_address, usable_url, write_opml
from aggregator.opml.edit import add_feeds, remove_feed
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.editing import change_list
from aggregator.pipeline.lists import ListFile, Outdated, feeds_to_ask, put_in_force, read_file, read_list
from aggregator.publish import feed_advice, feed_json
from aggregator.store import Store, open_store
from aggregator.store.dialect import hold_polling
from aggregator.store.feeds import end_leases, feed_statuses
from aggregator.types import Feed, FeedStatus

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
            (feed.title or feed.url, feed.state, feed.entries, age(feed.last_success_at, now), feed.problem)
            for feed in feeds
        ]
        print_table(("feed", "state", "entries#", "read#", "problem"), rows)
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


def add_to_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Adds a feed to the OPML file by its address; one that is listed already is said and stays as it is."""
    url = usable_url(arguments.url.strip())
    if not url:
        raise OpmlError("this is no http or https address: give that of the feed.")
    for feed in read_list(settings).feeds:
        if same_address(feed.url) == same_address(url):
            sys.stdout.write(f"{settings.opml} lists it already: {feed.title or 'a feed without a title'}\n")
            return 0
    title = " ".join((arguments.title or urlsplit(url).hostname or "").split())
    added = Feed(url, title, path_of(arguments.category), "")
    change_list(settings, lambda content: add_feeds(content, [added]), repair=arguments.repair)
    sys.stdout.write(f"{settings.opml}: {title} is added; a running daemon polls it within seconds.\n")
    return 0


def remove_from_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Takes a feed out of the OPML file; its entries stay in the database."""
    change_list(
        settings, lambda content: remove_feed(content, arguments.url.strip()), repair=arguments.repair
    )
    sys.stdout.write(f"{settings.opml}: the feed is taken out; its entries stay.\n")
    return 0


def import_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Adds the feeds of another program's OPML file to ours, with their categories; `--dry-run` only tells."""
    try:
        theirs = read_opml(Path(arguments.file).read_bytes())
    except OSError as error:
        raise OpmlError(f"{arguments.file}: can't be read ({error.strerror}): name another file.") from None
    except OpmlError as error:
        raise OpmlError(f"{arguments.file}: {error}") from None
    known = {same_address(feed.url) for feed in read_list(settings).feeds}
    added = [
        Feed(feed.url, feed.title or urlsplit(feed.url).hostname or "", feed.category, feed.site_url)
        for feed in theirs.feeds
        if same_address(feed.url) not in known
    ]
    if added and not arguments.dry_run:
        change_list(settings, lambda content: add_feeds(content, added), repair=arguments.repair)
    for warning in theirs.warnings:
        sys.stdout.write(f"{arguments.file}: {warning}\n")
    if added:
        print_table(("feed", "category"), [(feed.title, feed.category) for feed in added])
    done = "would be added" if arguments.dry_run else "are added"
    listed = len(theirs.feeds) - len(added)
    said = f"{len(added)} feeds {done}, {listed} are listed already, {len(theirs.warnings)} warnings"
    sys.stdout.write(f"{settings.opml}: {said}.\n")
    return 0


def export_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Writes the list as it is read, as clean OPML 2.0, to a file or standard output."""
    content = write_opml(read_list(settings))
    if arguments.file == "-":
        sys.stdout.write(content.decode())
    else:
        Path(arguments.file).write_bytes(content)
    return 0
