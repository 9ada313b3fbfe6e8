"""The commands that change the list of feeds: feeds add, remove, import and export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aggregator.cli.screen import print_table
from aggregator.config import Settings
from aggregator.credentials import redacted_text
from aggregator.opml import OpmlError, path_of, read_opml, same_address, titled, usable_url, write_opml
from aggregator.opml.edit import add_feeds, remove_feed
from aggregator.pipeline.editing import change_list
from aggregator.pipeline.lists import read_list
from aggregator.store import open_store
from aggregator.store.feeds import listed_addresses
from aggregator.types import Feed, FeedId


def add_to_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Adds a feed to the OPML file by its address; one that is listed already is said and stays as it is."""
    url = usable_url(arguments.url.strip())
    if not url:
        raise OpmlError("this is no http or https address: give that of the feed.")
    for feed in read_list(settings).feeds:
        if same_address(feed.url) == same_address(url):
            sys.stdout.write(f"{settings.opml} lists it already: {feed.title or 'a feed without a title'}\n")
            return 0
    added = titled(Feed(url, arguments.title, path_of(arguments.category), ""))
    change_list(settings, lambda content: add_feeds(content, [added]), repair=arguments.repair)
    sys.stdout.write(f"{settings.opml}: {added.title} is added; a running daemon polls it within seconds.\n")
    return 0


def remove_from_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Takes a feed out of the OPML file, by address, id or title; its entries stay in the database."""
    feed = _named(settings, arguments.feed.strip())
    change_list(settings, lambda content: remove_feed(content, feed.url), repair=arguments.repair)
    sys.stdout.write(f"{settings.opml}: {feed.title} is taken out; its entries stay.\n")
    return 0


def _named(settings: Settings, name: str) -> Feed:
    """The listed feed that is meant: by its address, its id in the database, or its title if no other has that."""
    feeds = read_list(settings).feeds
    if url := usable_url(name):
        what, found = "this address", [feed for feed in feeds if same_address(feed.url) == same_address(url)]
    elif name.isascii() and name.isdecimal():
        meant = {same_address(address) for number, _, address in _known(settings) if number == int(name)}
        what, found = f"the id {name}", [feed for feed in feeds if same_address(feed.url) in meant]
    else:
        # A feed without a title in the list has its own in the database.
        read = {same_address(address): title for _, title, address in _known(settings)}
        shown = [redacted_text(feed.title) or read.get(same_address(feed.url), "") for feed in feeds]
        found = [feed for feed, title in zip(feeds, shown, strict=True) if title == name]
        what = f'the title "{redacted_text(name)}"'
    if len(found) == 1:
        return titled(found[0])
    count, what_to_do = ("no feed", "`feeds list` shows what it has")
    if found:
        count, what_to_do = f"{len(found)} feeds", "name one by its id, as `feeds list` shows it"
    raise OpmlError(
        f"{settings.opml}: {count} of the list {'have' if found else 'has'} {what}: {what_to_do}."
    )


def _known(settings: Settings) -> list[tuple[FeedId, str, str]]:
    store = open_store(settings.database)
    try:
        with store.read() as db:
            return listed_addresses(db)
    finally:
        store.close()


def import_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Adds the feeds of another program's OPML file to ours, with their categories; `--dry-run` only tells."""
    try:
        theirs = read_opml(Path(arguments.file).read_bytes())
    except OSError as error:
        raise OpmlError(f"{arguments.file}: can't be read ({error.strerror}): name another file.") from None
    except OpmlError as error:
        raise OpmlError(f"{arguments.file}: {error}") from None
    known = {same_address(feed.url) for feed in read_list(settings).feeds}
    added = [titled(feed) for feed in theirs.feeds if same_address(feed.url) not in known]
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
