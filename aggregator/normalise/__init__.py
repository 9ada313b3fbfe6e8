"""ParsedFeed -> NormalisedFeed: clean entries, each with its identity. Stands on teaser: it knows how texts end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import xxhash

from aggregator.normalise.characters import cut_length
from aggregator.normalise.entry import TITLE_LENGTH, clean_entry, with_identity
from aggregator.normalise.language import primary_tag
from aggregator.normalise.paragraphs import plain_title
from aggregator.normalise.url import absolute_url, canonical_url
from aggregator.types import NOTHING_SEEN, Entry, NormalisedFeed, ParsedFeed, Seen, SeenItem

__all__ = ["canonical_url", "normalise"]

MOST_ENTRIES = 5000
"""Entries taken of one document, the first ones; the longest real archives in one feed have about 3,000."""

LONGEST_IDENTITY = 500
"""Bytes of a guid that is its own identity, so that an index takes it (see url.LONGEST_CANONICAL); of real ones the
longest have 158."""


def normalise(feed: ParsedFeed, url: str, now: datetime, lang: str = "") -> NormalisedFeed:
    """The feed with clean entries, in document order, each identity once.

    `url`: where the feed came from. `lang`: the language of its entries if it is known, else it is detected.
    """
    cleaned = [clean_entry(item, feed, url, now, lang) for item in feed.entries[:MOST_ENTRIES]]
    entries = _keep_telling_fragments([entry for entry in cleaned if entry is not None])
    site_url = absolute_url(feed.site_url, url)
    home = canonical_url(site_url)
    guids, links = _worthless_guids(entries, home), _worthless_links(entries, home)
    found: dict[str, Entry] = {}
    identities = [_identity(entry, guids, links) for entry in entries]
    for entry, identity in zip(entries, identities, strict=True):
        if identity not in found:
            found[identity] = with_identity(entry, identity)
    return NormalisedFeed(
        title=cut_length(plain_title(feed.title, is_html=True), TITLE_LENGTH),
        site_url=site_url,
        lang=primary_tag(feed.lang),
        hints=feed.hints,
        entries=tuple(found.values()),
        seen=_seen(feed, cleaned, identities),
    )


def _seen(feed: ParsedFeed, cleaned: Sequence[Entry | None], identities: Sequence[str]) -> Seen:
    """What to know the document's items by; none of them if one could be another's, now or at the next poll."""
    if len(feed.contents) != len(cleaned):
        return NOTHING_SEEN
    named = iter(identities)
    fresh = [
        SeenItem(content)
        if entry is None
        else SeenItem(
            content,
            SeenItem.key(entry.guid),
            SeenItem.key(canonical_url(entry.url) if "#" in entry.url else entry.canonical_url),
            SeenItem.key(next(named)),
        )
        for content, entry in zip(feed.contents, cleaned, strict=True)
    ]
    items = {item.content: item for item in (*feed.skipped, *fresh)}
    for column in ("guid", "page", "identity"):
        keys = [key for item in items.values() if (key := getattr(item, column))]
        if len(set(keys)) < len(keys):
            return NOTHING_SEEN
    return Seen(feed.frame, tuple(items.values()))


def _identity(entry: Entry, worthless_guids: set[str], worthless_links: set[str]) -> str:
    """What makes it the same item at the next poll: its guid, else its address, else what it says."""
    if entry.guid and entry.guid not in worthless_guids:
        return f"g:{entry.guid if len(entry.guid.encode()) <= LONGEST_IDENTITY else _hashed(entry.guid)}"
    if entry.canonical_url and entry.canonical_url not in worthless_links:
        return f"l:{entry.canonical_url}"
    said = f"{entry.title}\x00{entry.text}" if entry.title or entry.text else entry.url
    return f"h:{_hashed(said)}"


def _hashed(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


def _worthless_guids(entries: Sequence[Entry], home: str) -> set[str]:
    """Guids that different items share: some feeds give all their items one."""
    by_guid: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_guid[entry.guid].append(entry)
    return {guid for guid, sharing in by_guid.items() if len(sharing) > 1 and _differ(sharing, home)}


def _differ(entries: Sequence[Entry], home: str) -> bool:
    """Whether these are different items: under other titles (texts, if they have none) and other addresses.

    Two with one address are versions of one item, unless that is the site's own page; three are not.
    """
    names = {entry.title or entry.text for entry in entries}
    addresses = {entry.canonical_url for entry in entries}
    return len(names) > 1 and (len(addresses) > 1 or len(names) > 2 or addresses <= {"", home})


def _worthless_links(entries: Sequence[Entry], home: str) -> set[str]:
    """Addresses that tell no items apart: the site's own page, and pages that items without a guid share."""
    titles: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        titles[entry.canonical_url].add(entry.title)
    return {home} | {address for address, sharing in titles.items() if len(sharing) > 1}


def _keep_telling_fragments(entries: list[Entry]) -> list[Entry]:
    """The entries, with the fragment back in the address where it alone tells several of them apart."""
    whole = [
        canonical_url(entry.url, keep_fragment=True) if "#" in entry.url else entry.canonical_url
        for entry in entries
    ]
    sharing: dict[str, set[str]] = defaultdict(set)
    for entry, address in zip(entries, whole, strict=True):
        sharing[entry.canonical_url].add(address)
    return [
        replace(entry, canonical_url=address) if len(sharing[entry.canonical_url]) > 1 else entry
        for entry, address in zip(entries, whole, strict=True)
    ]
