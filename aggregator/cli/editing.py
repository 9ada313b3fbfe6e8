"""The commands that change the list of feeds: feeds add, remove, import and export."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.screen import age, print_table
from aggregator.config import Settings
from aggregator.credentials import redacted, redacted_text
from aggregator.opml import (
    OpmlError,
    nearly_same_address,
    path_of,
    read_opml,
    same_address,
    titled,
    usable_url,
    write_opml,
)
from aggregator.opml.edit import add_feeds, remove_feed
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.editing import change_list
from aggregator.pipeline.exporting import whole_file
from aggregator.pipeline.lists import read_list
from aggregator.publish import failure_words
from aggregator.store import NoDatabaseError, find_store
from aggregator.store.feeds import listed_addresses
from aggregator.types import Failed, Feed, FeedId

if TYPE_CHECKING:
    from aggregator.pipeline.discovering import FoundFeed


def add_to_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Adds a feed to the OPML file: the one at the address, or of the site there; with `--no-fetch` as given."""
    given = arguments.url.strip()
    url = usable_url(given) or ("" if "://" in given else usable_url(f"https://{given}"))
    if not url:
        named = redacted_text(given) or "nothing"
        raise OpmlError(f"{named} is no http or https address: give that of the feed, or of its site.")
    feeds = read_list(settings).feeds
    if _said_to_be_listed(settings, same_address, feeds, url):
        return 0
    added = Feed(url, arguments.title, path_of(arguments.category), "")
    if not arguments.no_fetch:
        found = _found_feed(settings, url, arguments.pick)
        if isinstance(found, str):
            sys.stderr.write(f"aggregator: {found}\n")
            return 1
        if _said_to_be_listed(settings, nearly_same_address, feeds, found.url):
            return 0
        title = redacted_text(arguments.title or found.title)
        added = Feed(found.url, title, added.category, found.site_url)
    added = titled(added)
    change_list(settings, lambda content: add_feeds(content, [added]), repair=arguments.repair)
    then = "a running daemon polls it within seconds"
    for feed in read_list(settings).feeds:
        if same_address(feed.url) == same_address(added.url) and not feed.settings.enabled:
            then = f'it is not polled, as its category {feed.category} has agg:enabled="false"'
    sys.stdout.write(f"{settings.opml}: {added.title} is added; {then}.\n")
    return 0


def _said_to_be_listed(
    settings: Settings, in_common: Callable[[str], str], feeds: Iterable[Feed], url: str
) -> bool:
    """Whether the list has the feed already, under an address that has that in common; then this is said."""
    for feed in feeds:
        if in_common(feed.url) == in_common(url):
            title, address = redacted_text(feed.title) or "a feed without a title", redacted(feed.url)
            sys.stdout.write(f"{settings.opml} lists it already: {title}, {address}\n")
            return True
    return False


def _found_feed(settings: Settings, url: str, pick: int | None) -> FoundFeed | str:
    """The feed that is meant by the address, shown with the others of its site; why there is none."""
    from aggregator.pipeline.discovering import find_feeds  # noqa: PLC0415 (not before something is fetched)
    from aggregator.workers import ParserPool, end_fork_server  # noqa: PLC0415

    parsers = ParserPool(1)
    try:
        found = find_feeds(settings, url, parsers)
    finally:
        parsers.close()
        end_fork_server()
    if isinstance(found, Failed):
        return (
            f"{redacted(url)}: {failure_words(found)} Nothing is added; --no-fetch adds the address as it is."
        )
    now = utc_now()
    rows = [
        (number, feed.title, redacted(feed.url), feed.entries, age(feed.newest, now), feed.kind)
        for number, feed in enumerate(found, 1)
    ]
    print_table(("#", "feed", "address", "entries#", "newest#", "kind"), rows)
    if pick is None and len(found) > 1 and sys.stdin.isatty() and sys.stdout.isatty():
        pick = _asked_for(len(found))
    if pick is None and len(found) > 1:
        return f"{redacted(url)} has {len(found)} feeds, none is added: say which by --pick NUMBER or its address."
    if not 1 <= (pick or 1) <= len(found):
        return f"--pick {pick}: there are only {len(found)} feeds to pick from. None is added."
    return found[(pick or 1) - 1]


def _asked_for(count: int) -> int | None:
    """The number that somebody at the terminal types; None for anything else."""
    try:
        answer = input(f"Which one, 1 to {count}? ").strip()
    except EOFError:
        return None
    return int(answer) if answer.isascii() and answer.isdecimal() and len(answer) < 5 else None


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
    try:
        store = find_store(settings.database)
    except NoDatabaseError:
        return []
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
    added, otherwise = _new_to(read_list(settings).feeds, theirs.feeds)
    if added and not arguments.dry_run:
        change_list(settings, lambda content: add_feeds(content, added), repair=arguments.repair)
    for warning in theirs.warnings:
        sys.stdout.write(f"{arguments.file}: {warning}\n")
    for address, known in otherwise:
        sys.stdout.write(f"{arguments.file}: {address} is not added: it is {known} in another form\n")
    if added:
        print_table(("feed", "category"), [(feed.title, feed.category) for feed in added])
    done = "would be added" if arguments.dry_run else "are added"
    listed = len(theirs.feeds) - len(added)
    said = f"{len(added)} feeds {done}, {listed} are listed already, {len(theirs.warnings)} warnings"
    sys.stdout.write(f"{settings.opml}: {said}.\n")
    return 0


def _new_to(listed: Iterable[Feed], theirs: Iterable[Feed]) -> tuple[list[Feed], list[tuple[str, str]]]:
    """Those of their feeds that the list lacks; both addresses, as shown, of those it has in another form."""
    known = {nearly_same_address(feed.url): feed.url for feed in listed}
    added, otherwise = [], []
    for feed in theirs:
        key = nearly_same_address(feed.url)
        if key not in known:
            known[key] = feed.url
            added.append(titled(feed))
        elif same_address(known[key]) != same_address(feed.url):
            otherwise.append((redacted(feed.url), redacted(known[key])))
    return added, otherwise


def export_list(settings: Settings, arguments: argparse.Namespace) -> int:
    """Writes the list as it is read, as clean OPML 2.0, to a new file or standard output.

    The file can be read by no more people than the list: addresses may hold passwords.
    """
    content = write_opml(read_list(settings))
    if arguments.file == "-":
        sys.stdout.write(content.decode())
        return 0
    target = Path(arguments.file)
    if target.is_file():
        what = "is the list itself" if target.samefile(settings.opml) else "is there already"
        sys.stderr.write(f"aggregator: {target}: {what}: name a new file\n")
        return 1
    with whole_file(target, settings.opml.stat().st_mode & 0o666) as file:
        file.write(content)
    return 0
