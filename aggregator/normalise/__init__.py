"""ParsedFeed -> NormalisedFeed: clean entries, each with its identity. Stands on teaser: it knows how texts end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import xxhash

from aggregator.normalise.entry import clean_entry, with_identity
from aggregator.normalise.html import plain_title
from aggregator.normalise.language import primary_tag
from aggregator.normalise.url import canonical_url
from aggregator.types import Entry, NormalisedFeed, ParsedFeed

__all__ = ["canonical_url", "normalise"]

MOST_ENTRIES = 5000
"""Entries taken of one document, the first ones; the longest real archives in one feed have about 3,000."""


def normalise(feed: ParsedFeed, url: str, now: datetime) -> NormalisedFeed:
    """The feed with clean entries, in document order, each identity once. `url`: where the feed came from."""
    cleaned = (clean_entry(item, feed, url, now) for item in feed.entries[:MOST_ENTRIES])
    entries = _keep_telling_fragments([entry for entry in cleaned if entry is not None])
    worthless = _worthless_guids(entries)
    found: dict[str, Entry] = {}
    for entry in entries:
        identity = _identity(entry, worthless)
        if identity not in found:
            found[identity] = with_identity(entry, identity)
    return NormalisedFeed(
        title=plain_title(feed.title, is_html=True)[:500],
        site_url=feed.site_url,
        lang=primary_tag(feed.lang),
        ttl=feed.ttl,
        entries=tuple(found.values()),
    )


def _identity(entry: Entry, worthless: set[str]) -> str:
    """What makes it the same item at the next poll: its guid, else its address, else what it says."""
    if entry.guid and entry.guid not in worthless:
        return f"g:{entry.guid}"
    if entry.canonical_url:
        return f"l:{entry.canonical_url}"
    said = f"{entry.title}\x00{entry.text}"
    return f"h:{xxhash.xxh3_128_hexdigest(said.encode())}"


def _worthless_guids(entries: Sequence[Entry]) -> set[str]:
    """Guids that items of other addresses and other titles share: some feeds give all their items one."""
    by_guid: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_guid[entry.guid].append(entry)
    return {
        guid
        for guid, sharing in by_guid.items()
        if len({entry.canonical_url for entry in sharing}) > 1 and len({entry.title for entry in sharing}) > 1
    }


def _keep_telling_fragments(entries: list[Entry]) -> list[Entry]:
    """The entries, with the fragment back in the address where it alone tells several of them apart."""
    shared = Counter(entry.canonical_url for entry in entries if entry.canonical_url)
    kept: list[Entry] = []
    for entry in entries:
        whole = canonical_url(entry.url, keep_fragment=True)
        telling = shared[entry.canonical_url] > 1 and whole != entry.canonical_url
        kept.append(replace(entry, canonical_url=whole) if telling else entry)
    return kept
