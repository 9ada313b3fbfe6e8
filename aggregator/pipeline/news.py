"""What is new in a document: the step between normalising and saving that polling and importing share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from aggregator.cluster.signature import sign
from aggregator.store.entries import entries_saying, known_of_feeds
from aggregator.store.retention import pruned_of_feeds
from aggregator.types import (
    Alias,
    Edit,
    Entry,
    EntryId,
    FeedId,
    KnownEntry,
    News,
    NormalisedFeed,
    Seen,
    SeenItem,
    Signature,
)

Known = tuple[str, KnownEntry]

NOT_SIGNED: Mapping[str, Signature] = {}

ALIKE = 0.75
"""Dice coefficient of the titles' character bigrams from which one is an edit of the other: "kills 10" to
"kills 12" in a headline has about .95, two headlines that begin with the same three words .5 to .7."""

TELLING_TEXT = 200
"""Characters of a text that nobody writes twice: two lines of a page."""


def read_news(
    db: Connection, feed_id: FeedId, feed: NormalisedFeed, *, is_whole: bool, before: Seen | None = None
) -> News:
    """What to write of a document, compared with what the store knows of its feed.

    `is_whole`: the document has all items that the feed has now, not only what is new (RFC 3229). `before`: what
    it held when last read; of removed entries (store.retention) those count as brought again that it did not hold.
    """
    return read_news_of_feeds(db, {feed_id: feed}, is_whole=is_whole, before=before)[feed_id]


def read_news_of_feeds(
    db: Connection,
    feeds: Mapping[FeedId, NormalisedFeed],
    *,
    is_whole: bool = False,
    before: Seen | None = None,
) -> dict[FeedId, News]:
    """As `read_news`, of many feeds in the same few statements, but for whole documents."""
    known = known_of_feeds(db, {number: feed.entries for number, feed in feeds.items()})
    owned = {
        number: _with_own_identities(feed.entries, dict(known[number])) for number, feed in feeds.items()
    }
    changed = {
        number: [
            entry for entry, given in zip(owned[number], feed.entries, strict=True) if entry is not given
        ]
        for number, feed in feeds.items()
    }
    if changed := {number: entries for number, entries in changed.items() if entries}:
        for number, more in known_of_feeds(db, changed).items():
            known[number] += more
    unknown = _unknown(owned, known)
    if is_whole:
        for number, entries in unknown.items():
            known[number] += entries_saying(db, number, entries)
        unknown = _unknown(owned, known)
    gone = pruned_of_feeds(db, unknown)
    news: dict[FeedId, News] = {}
    for number, feed in feeds.items():
        mine = gone.get(number, {})
        there = [entry for entry in owned[number] if entry.identity not in mine]
        skipped = {EntryId(item.entry) for item in feed.seen.items if item.entry}
        signatures = {
            entry.identity: made for entry, made in zip(feed.entries, feed.signatures, strict=False)
        }
        found = find_news(there, known[number], skipped, signatures, is_whole=is_whole)
        news[number] = _with_removed(found, mine, before) if mine else found
    return news


def _with_removed(news: News, gone: Mapping[str, EntryId], before: Seen | None) -> News:
    """The news of a document that has items which were removed for their age."""
    held = {item.identity for item in before.items} if before else set()
    back = [name for name in gone if held and SeenItem.key(name) not in held]
    return replace(news, known={**news.known, **gone}, again=news.again + len(back))


def _unknown(
    owned: Mapping[FeedId, Sequence[Entry]], known: Mapping[FeedId, Sequence[Known]]
) -> dict[FeedId, list[Entry]]:
    names = {number: {name for name, _ in of_feed} for number, of_feed in known.items()}
    return {
        number: [entry for entry in entries if entry.identity not in names[number]]
        for number, entries in owned.items()
    }


def find_news(
    entries: Sequence[Entry],
    known: Sequence[Known],
    skipped: Collection[EntryId] = (),
    signed: Mapping[str, Signature] = NOT_SIGNED,
    *,
    is_whole: bool = True,
) -> News:
    """What to write of a document, given what the store knows of its items.

    `skipped` are stored items that the document has as they were, beside `entries`. `signed` are signatures that
    are made already, by identity.

    An item is known by its identity or an alias. One with an unknown identity is still a known item if a stored
    item that the feed no longer has is at the same address under the same title, or says the same: its guid
    changed. Of a part of a feed nobody can tell what it no longer has.
    """
    by_name = dict(known)
    present = {by_name[entry.identity].id for entry in entries if entry.identity in by_name}
    lost = _Lost(known, present.union(skipped))
    found: dict[str, EntryId] = {}
    new: list[Entry] = []
    edited: dict[EntryId, Entry] = {}
    aliases: list[Alias] = []
    for entry in entries:
        item = by_name.get(entry.identity)
        if item is None:
            item = lost.take(entry) if is_whole else None
            if item is None:
                new.append(entry)
                continue
            aliases.append(Alias(item.id, entry.identity))
        found[entry.identity] = item.id
        if item.content_hash != entry.content_hash:
            edited.setdefault(item.id, entry)
    signatures = _signatures([*new, *edited.values()], signed)
    edits = zip(edited.items(), signatures[len(new) :], strict=True)
    return News(
        new=tuple(zip(new, signatures[: len(new)], strict=True)),
        edits=tuple(Edit(number, entry, signature) for (number, entry), signature in edits),
        aliases=tuple(aliases),
        known=found,
        again=len(edited.keys() | {alias.id for alias in aliases}) + sum(map(lost.says, new)),
    )


def _signatures(entries: Sequence[Entry], signed: Mapping[str, Signature]) -> list[Signature]:
    missing = [entry for entry in entries if entry.identity not in signed]
    made = iter(sign(missing))
    return [signed.get(entry.identity) or next(made) for entry in entries]


class _Lost:
    """Stored items that are not in the document under a name that is known."""

    def __init__(self, known: Iterable[Known], present: set[EntryId]) -> None:
        self._present = present
        self._by_place = {(item.canonical_url, item.title): item for _, item in known if item.canonical_url}
        self._by_text = {(item.title, item.text): item for _, item in known if item.title or item.text}

    def says(self, entry: Entry) -> bool:
        """Whether a stored item, lost or not, has the title and the text of the entry."""
        return (entry.title, entry.text) in self._by_text

    def take(self, entry: Entry) -> KnownEntry | None:
        """The stored item that the entry is under a new name, None if there is none; each is given once."""
        item = self._by_place.get((entry.canonical_url, entry.title))
        if item is None or item.id in self._present:
            item = self._by_text.get((entry.title, entry.text))
            if item is None or not (len(entry.text) >= TELLING_TEXT or _has_no_address(entry, item)):
                return None
        if item.id in self._present:
            return None
        self._present.add(item.id)
        return item


def _has_no_address(entry: Entry, item: KnownEntry) -> bool:
    return not (entry.canonical_url or item.canonical_url)


def _with_own_identities(entries: Sequence[Entry], by_name: dict[str, KnownEntry]) -> list[Entry]:
    """The entries; one whose guid belongs to another story already gets an identity of its own.

    Some feeds number their items from the top, or give the day's story the guid of yesterday's: taken for edits,
    each would push an older story out.
    """
    return [
        replace(entry, identity=entry.second_identity)
        if (item := by_name.get(entry.identity)) is not None and _is_another_story(entry, item)
        else entry
        for entry in entries
    ]


def _is_another_story(entry: Entry, item: KnownEntry) -> bool:
    """Whether address, date and title are all others: an edit leaves one of them alone."""
    return (
        (entry.canonical_url != item.canonical_url or not entry.canonical_url)
        and (entry.date_guessed or entry.published_at != item.published_at)
        and _likeness(entry.title, item.title) < ALIKE
    )


def _likeness(one: str, other: str) -> float:
    """The Dice coefficient of the character bigrams of two titles, 1 if both are empty."""
    first, second = _bigrams(one), _bigrams(other)
    total = len(first) + len(second)
    return 2 * len(first & second) / total if total else 1.0


def _bigrams(text: str) -> set[str]:
    folded = f" {text.casefold()} "
    return {folded[place : place + 2] for place in range(len(folded) - 1)} if text else set()
