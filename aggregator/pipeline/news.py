"""What is new in a document: the step between normalising and saving that polling and importing share."""

from __future__ import annotations

from collections.abc import Sequence

from aggregator.cluster.signature import sign
from aggregator.types import Alias, Edit, Entry, EntryId, KnownEntry, News


def find_news(entries: Sequence[Entry], known: Sequence[tuple[str, KnownEntry]]) -> News:
    """What to write of a document, given what the store knows of its items (store.entries.known_entries).

    An item is known by its identity or an alias. One with an unknown identity is still a known item if a stored
    item that is not in this document itself has the same canonical URL and the same title: its guid changed.
    """
    by_name = dict(known)
    by_place = {(item.canonical_url, item.title): item for _, item in known if item.canonical_url}
    present = {by_name[entry.identity].id for entry in entries if entry.identity in by_name}
    new: list[Entry] = []
    edited: dict[EntryId, Entry] = {}
    aliases: list[Alias] = []
    for entry in entries:
        item = by_name.get(entry.identity)
        if item is None:
            item = by_place.get((entry.canonical_url, entry.title))
            if item is None or item.id in present:
                new.append(entry)
                continue
            present.add(item.id)
            aliases.append(Alias(item.id, entry.identity))
        if item.content_hash != entry.content_hash:
            edited.setdefault(item.id, entry)
    signatures = sign([*new, *edited.values()])
    edits = zip(edited.items(), signatures[len(new) :], strict=True)
    return News(
        new=tuple(zip(new, signatures[: len(new)], strict=True)),
        edits=tuple(Edit(number, entry, signature) for (number, entry), signature in edits),
        aliases=tuple(aliases),
    )
