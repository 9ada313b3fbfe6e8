"""The record of an event, made anew from its entries: canonical entry, relations, coverage and related teasers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
from sqlalchemy.engine import Connection

from aggregator.cluster.links import Links, Numbers, ends_of, positions
from aggregator.pipeline.grouping import NOTHING_WRITTEN, Written
from aggregator.store import events as stored
from aggregator.store.corrections import corrections_of
from aggregator.store.events import StoredEvent
from aggregator.store.pairs import links_of
from aggregator.teaser import choose_canonical, coverage, starts_like, truncate
from aggregator.types import (
    CorrectionKind,
    EntryId,
    EventId,
    ListedItem,
    Member,
    Relation,
    Teaser,
    TeaserKind,
)

MOST_NEIGHBOURS = 6
"""Neighbouring events shown beside one: as many as the sample record lists."""

RELATED = 0.35
"""Probability of a pair from which their events are worth showing beside one another."""


def refresh_records(
    db: Connection,
    touched: Collection[EventId],
    entries: Collection[EntryId],
    links: Links,
    written: Written = NOTHING_WRITTEN,
) -> tuple[set[EventId], set[EventId]]:
    """The events of `touched` whose record is different now, and those whose related teasers may be: `relate` them.

    `entries` are the entries that came or changed, `links` all that the entries of `touched` are part of, and
    maybe more. The moves of `written`, into events of `touched`, are made with it: a row that is written once
    costs half of one that is written twice. What is written depends only on the entries, links and
    groups that stand in the store, so the order in which they came leaves no trace.
    """
    event_of = {**stored.entries_of(db, set(touched) - written.created), **written.moves}
    assert set(event_of.values()) <= set(touched), "an entry moves to an event that is not looked at"
    one, other = _events_at(event_of, links)
    changed = _refresh_members(db, event_of, written, links[(one == other) & (one > 0)])
    leading_away = links[(links["score"] >= RELATED) & ((one > 0) != (other > 0))]
    neighbours = set(stored.events_of(db, ends_of(leading_away) - event_of.keys()).values())
    known = {*touched, *written.merged} - written.created
    pointing = stored.teasing_events(db, known) | stored.listing_events(db, entries)
    doubtful = neighbours.union(pointing, touched) - written.merged
    stored.ask_to_relate(db, doubtful)
    return changed, doubtful


def _events_at(event_of: Mapping[EntryId, EventId], links: Links) -> tuple[Numbers, Numbers]:
    """The events of the first and the second entry of each pair, 0 = unknown."""
    entries = np.fromiter(event_of, np.int64, len(event_of))
    events = np.array([*event_of.values(), 0], dtype=np.int64)
    return events[positions(entries, links["a"])], events[positions(entries, links["b"])]


# ---- members: canonical entry, relations, coverage -----------------------------------------------


def _refresh_members(
    db: Connection, event_of: Mapping[EntryId, EventId], written: Written, links: Links
) -> set[EventId]:
    """Writes the records of the events that these entries are in from now on; those that are different."""
    known = set(event_of.values()) - written.created
    before = stored.stored_events(db, known)
    relations_before = stored.relations_of(db, event_of.keys() - written.moves.keys())
    members: dict[EventId, list[Member]] = defaultdict(list)
    for member in stored.members(db, event_of):
        members[event_of[member.id]].append(member)
    versions = stored.versions_of(db, event_of)
    copies = _copy_groups(links[links["is_copy"]])
    pins = _pins(db, event_of)
    canonical_of = {
        event: _pinned(group, pins) or choose_canonical(group) for event, group in members.items()
    }
    scores = _scores_of(links, [canonical.id for canonical in canonical_of.values()])
    rows: list[StoredEvent] = []
    relations: dict[EntryId, tuple[Relation, float | None]] = {}
    shown: dict[EventId, Sequence[Teaser]] = {}
    for event, group in members.items():
        canonical = canonical_of[event]
        row = _event_row(event, group, canonical)
        if row != before.get(event):
            rows.append(row)
        for member in group:
            relation = _relation(canonical, member, copies, scores)
            if member.id in written.moves or relation != relations_before.get(member.id):
                relations[member.id] = relation
        others = [member for member in group if member.id != canonical.id]
        shown[event] = coverage(canonical, others, versions.get(canonical.id, []))
    stored.write_events(db, rows)
    stored.write_relations(db, relations, written.moves)
    return {row.id for row in rows} | _show(db, TeaserKind.COVERAGE, shown, known)


def _show(
    db: Connection, kind: TeaserKind, teasers: Mapping[EventId, Sequence[Teaser]], known: AbstractSet[EventId]
) -> set[EventId]:
    """Makes the events' teasers of one kind these; the events that had others. `known`: those that had any."""
    before = stored.teasers_of(db, known, kind)
    changed = {event: list(shown) for event, shown in teasers.items() if list(shown) != before.get(event, [])}
    there = stored.teasers_of(db, changed.keys() & known)
    others = {event: [one for one in there.get(event, []) if one.kind is not kind] for event in changed}
    first, then = (changed, others) if kind is TeaserKind.COVERAGE else (others, changed)
    stored.write_teasers(db, {event: first[event] + then[event] for event in changed})
    return set(changed)


def _scores_of(links: Links, entries: Sequence[EntryId]) -> dict[tuple[EntryId, EntryId], float]:
    """The scores of those pairs that one of these entries is part of: most pairs have no need of an object."""
    chosen = links[np.isin(links["a"], entries) | np.isin(links["b"], entries)]
    ends = zip(chosen["a"].tolist(), chosen["b"].tolist(), strict=True)
    return dict(zip(ends, chosen["score"].tolist(), strict=True))


def _pins(db: Connection, entries: Collection[EntryId]) -> dict[EntryId, int]:
    """The entries that people pinned, the newest with the highest number."""
    said = [one for one in corrections_of(db, entries) if one.kind is CorrectionKind.PIN]
    return {one.a: number for number, one in enumerate(said)}


def _pinned(group: Sequence[Member], pins: Mapping[EntryId, int]) -> Member | None:
    pinned = [member for member in group if member.id in pins]
    return max(pinned, key=lambda member: pins[member.id], default=None)


def _event_row(event: EventId, group: Sequence[Member], canonical: Member) -> StoredEvent:
    seen = [member.first_seen_at for member in group]
    # A date in the future is a mistake, or an announcement: either was news when it came.
    news = max(min(member.published_at, member.first_seen_at) for member in group)
    sources = {member.source.casefold() or member.feed_url for member in group}
    return StoredEvent(event, canonical.id, min(seen), max(seen), news, len(group), len(sources))


def _relation(
    canonical: Member,
    member: Member,
    copies: Mapping[EntryId, EntryId],
    scores: Mapping[tuple[EntryId, EntryId], float],
) -> tuple[Relation, float | None]:
    if member.id == canonical.id:
        return Relation.CANONICAL, None
    # Members of one event that never met are there by way of others.
    pair = min(canonical.id, member.id), max(canonical.id, member.id)
    probability = round(scores.get(pair, 0.0), 4)
    if member.id in copies and copies[member.id] == copies.get(canonical.id):
        return Relation.COPY, probability
    same_outlet = member.feed_id == canonical.feed_id or (
        member.source != "" and member.source.casefold() == canonical.source.casefold()
    )
    return (Relation.UPDATE if same_outlet else Relation.SAME_EVENT), probability


def _copy_groups(copies: Links) -> dict[EntryId, EntryId]:
    """For every entry with a copy, one entry that stands for its group of copies."""
    parent: dict[EntryId, EntryId] = {}

    def root(entry: EntryId) -> EntryId:
        while (above := parent.setdefault(entry, entry)) != entry:
            parent[entry] = parent.setdefault(above, above)
            entry = above
        return entry

    for a, b, *_ in copies.tolist():
        parent[root(a)] = root(b)
    return {entry: root(entry) for entry in list(parent)}


# ---- related: what the source listed, and neighbouring events ------------------------------------


def relate(db: Connection, events: Collection[EventId]) -> set[EventId]:
    """Makes the related teasers of events anew; those whose teasers are different now."""
    stored.related(db, events)
    rows = stored.stored_events(db, events)
    canonical_of = {event: row.canonical_entry_id for event, row in rows.items() if row.canonical_entry_id}
    listed = stored.listed_of(db, canonical_of.values())
    resolved = _resolve(db, listed)
    nearest = _nearest(db, rows)
    shown_entries = _canonical_members(db, {event for near in nearest.values() for event in near})
    teasers: dict[EventId, list[Teaser]] = {}
    for event, canonical in canonical_of.items():
        related = [
            _listed_teaser(item, resolved.get((canonical, position)))
            for position, item in enumerate(listed.get(canonical, []))
        ]
        teasers[event] = related + _neighbour_teasers(nearest.get(event, {}), shown_entries, related)
    return _show(db, TeaserKind.RELATED, teasers, rows.keys())


def _resolve(
    db: Connection, listed: Mapping[EntryId, Sequence[ListedItem]]
) -> dict[tuple[EntryId, int], tuple[Member, EventId | None]]:
    """For each listed item that is a known entry (the earliest, if several start so): that entry and its event."""
    by_key = stored.starting_with(db, {item.start_key for items in listed.values() for item in items})
    known = {
        member.id: member for member in stored.members(db, {n for some in by_key.values() for n in some})
    }
    event_of = stored.events_of(db, known)
    resolved: dict[tuple[EntryId, int], tuple[Member, EventId | None]] = {}
    for lister, items in listed.items():
        for position, item in enumerate(items):
            begins = item.text or item.teaser
            fitting = [
                member
                for number in by_key.get(item.start_key, [])
                if number != lister and (member := known.get(number)) is not None
                if starts_like(begins, member.text) or starts_like(begins, member.title)
            ]
            if fitting:
                first = min(fitting, key=lambda m: (m.published_at, m.source, m.feed_url, m.identity))
                resolved[lister, position] = (first, event_of.get(first.id))
    return resolved


def _listed_teaser(item: ListedItem, resolved: tuple[Member, EventId | None] | None) -> Teaser:
    bare = Teaser(TeaserKind.RELATED, item.teaser, item.text, "", item.url, "", None, None, None)
    if resolved is None:
        return bare
    member, event = resolved
    return replace(
        bare,
        title=member.title,
        url=item.url or member.url,
        source=member.source,
        published_at=member.published_at,
        entry_id=member.id,
        related_event_id=event,
    )


def _nearest(db: Connection, events: Collection[EventId]) -> dict[EventId, dict[EventId, float]]:
    """For each event the other events that its entries have links to, with the best score."""
    own = stored.entries_of(db, events)
    links = links_of(db, own, RELATED)
    event_of = own | stored.events_of(db, ends_of(links) - own.keys())
    one, other = _events_at(event_of, links)
    between = (one != other) & (one > 0) & (other > 0)
    found: dict[EventId, dict[EventId, float]] = defaultdict(dict)
    for here, there, score in zip(
        *(column[between].tolist() for column in (one, other, links["score"])), strict=True
    ):
        for event, neighbour in ((here, there), (there, here)):
            found[event][neighbour] = max(score, found[event].get(neighbour, 0.0))
    return found


def _canonical_members(db: Connection, events: Collection[EventId]) -> dict[EventId, Member]:
    rows = stored.stored_events(db, events)
    known = {
        m.id: m
        for m in stored.members(db, [r.canonical_entry_id for r in rows.values() if r.canonical_entry_id])
    }
    return {
        event: known[row.canonical_entry_id] for event, row in rows.items() if row.canonical_entry_id in known
    }


def _neighbour_teasers(
    near: Mapping[EventId, float], canonical: Mapping[EventId, Member], listed: Sequence[Teaser]
) -> list[Teaser]:
    shown_events = {teaser.related_event_id for teaser in listed}
    shown_texts = {teaser.text for teaser in listed}
    ranked = sorted(
        ((score, canonical[event], event) for event, score in near.items() if event in canonical),
        key=lambda found: (
            -found[0],
            found[1].published_at,
            found[1].source,
            found[1].feed_url,
            found[1].identity,
        ),
    )
    teasers: list[Teaser] = []
    for _, member, event in ranked:
        text = truncate(member.text or member.title)
        if event in shown_events or text in shown_texts or len(teasers) == MOST_NEIGHBOURS:
            continue
        shown_texts.add(text)
        teasers.append(
            Teaser(
                kind=TeaserKind.RELATED,
                text=text,
                full_text="",
                title=member.title,
                url=member.url,
                source=member.source,
                published_at=member.published_at,
                entry_id=member.id,
                related_event_id=event,
            )
        )
    return teasers
