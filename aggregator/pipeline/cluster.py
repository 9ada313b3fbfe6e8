"""The cluster flow: pending entries -> candidates -> score -> assign -> save, one batch a transaction."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from aggregator.cluster.assign import NEAR_LINK, SAME_EVENT, Bonds, Group, partition
from aggregator.cluster.copies import copy_reason
from aggregator.cluster.features import FEATURES
from aggregator.cluster.judge import AT_ONCE, Met, Pairs, place, survey, weigh_surveyed
from aggregator.cluster.postings import day_of
from aggregator.cluster.prepared import Prepared, prepare
from aggregator.cluster.rows import Rows
from aggregator.cluster.signature import SCHEME
from aggregator.cluster.window import Window
from aggregator.config import Settings
from aggregator.pipeline.calibrating import network_of
from aggregator.pipeline.encoding import encode_missing
from aggregator.pipeline.grouping import Written, write_groups
from aggregator.pipeline.memory import give_back
from aggregator.pipeline.record import refresh_records, relate
from aggregator.pipeline.reports import ClusterReport
from aggregator.pipeline.signing import sign_missing
from aggregator.store import Store, decisions
from aggregator.store import events as stored
from aggregator.store.corrections import corrections_of
from aggregator.store.dialect import lock_grouping
from aggregator.store.entries import count_pending
from aggregator.types import (
    ChangeKind,
    CorrectionKind,
    EntryId,
    EventId,
    Link,
    Rule,
    Signed,
)

BATCH = 250
"""Entries settled in one transaction: long enough to share the look-ups, short enough (about .3 s) that polls
waiting to write do not notice."""

LEAST_LINK = 0.1
"""Probability from which a pair is kept. What is left out moved the B-cubed F1 of no labelled set by .002,
and is most of all pairs."""

GROWTH = 1.03
"""An entry is weighed anew when its window holds so many times the entries that it held when it was decided
on, or so much fewer: what is rare and who is near has changed. That is often while a new database fills, and
seldom afterwards. With 1.1 five orders of arrival differed by up to 2.1 % of pairs, with this by 1.6 %."""

EXACT_BELOW = 500
"""In a window of fewer entries they are weighed anew whenever anything was added: that takes less than a second."""

MUCH = 500
MOST_TAKEN = 50_000
TAKEN = 500
"""So many pending entries are weighed together with what they make outgrow its decision, instead of settled in
batches first; at most so many at once, read in parts."""

WRITTEN = 8
"""Parts of AT_ONCE entries weighed anew that one transaction writes: some .2 s."""

KEPT_COMPARED = 8
"""Candidates that are kept with a decision."""

LOADED = 5_000
"""Entries read together into memory: some 8 MB."""

MOST_PREPARED = 2_500
"""Prepared entries kept between batches, about 4 kB each."""

FORGOTTEN = 100_000
"""Numbers of removed entries looked up at once: a partition has up to ten million."""

MOST_ROWS = 1_500_000
"""Rows in memory beyond which the window is built anew from the store."""

COPY_SIGNS = (("texts alike", 0.6), ("titles alike", 0.8), ("terms found in the other, better", 0.7))
"""What makes a pair worth comparing word for word: copies reach at least one of these. Those of the labelled sets
have .73 or 1 of the first, or share bands of their MinHash besides."""

FEW = 3_000
"""Entries of a store up to which all of them are in memory: then a restart changes nothing at all."""

EMPTY: Mapping[EntryId, str] = {}
REGROUP = 250
RELATE = 250


class Clusterer:
    """Groups pending entries into events. One process at a time runs it (store.office).

    Its memory (the window, prepared entries) is a cache of the store.
    """

    def __init__(self, store: Store, settings: Settings, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._days = settings.window_days
        self._network = network_of(settings)
        self._prepared: dict[EntryId, Prepared] = {}
        self._all_signed = self._all_encoded = False
        self._is_at_rest = False
        """Whether all was done when last looked: then only the database can bring work."""
        self._start_anew()

    def _start_anew(self) -> None:
        self._window = Window(self._days, semantic=self._network.semantic)
        self._loaded: set[int] = set()

    def work(self) -> Iterator[ClusterReport]:
        """Steps until nothing is left to do; each writes in one transaction, or not at all.

        What is pending comes first. When nothing is, entries whose window has outgrown their decision are
        weighed anew, and then their events are formed anew from all that is known by then: so that it makes
        no difference in which order entries came. The teasers of related events come last.
        """
        has_worked = False
        for report in self._steps():
            has_worked = True
            yield report
        if has_worked:
            # A daemon looks every second whether there is work: giving back takes longer than looking.
            give_back()

    def _steps(self) -> Iterator[ClusterReport]:
        if self._is_at_rest:
            with self._store.read() as db:
                if not stored.awaits_grouping(db):
                    return
        self._is_at_rest = False
        while True:
            yield from self._take_in()
            yield from self.settle_pending()
            outgrown = self._window.outgrown(GROWTH, EXACT_BELOW)
            if len(outgrown):
                yield from self._weigh_anew(outgrown)
                continue
            with self._store.write() as db:
                lock_grouping(db)
                flagged = decisions.to_regroup(db, REGROUP)
                report = self._form_anew(db, flagged) if flagged else self._relate(db)
            if report is None:
                self._is_at_rest = True
                return
            yield report

    def forget(self, entries: Sequence[EntryId]) -> None:
        """The store no longer has these entries: what is in memory is read anew if it has any of them."""
        for start in range(0, len(entries), FORGOTTEN):
            part = entries[start : start + FORGOTTEN]
            for entry in part:
                self._prepared.pop(entry, None)
            if (self._window.entries.find(sorted(part)) >= 0).any():
                self._start_anew()

    def weigh_since(self, since: datetime) -> Iterator[ClusterReport]:
        """Weighs all entries published since then anew, then forms their events anew; steps as `work`."""
        self._is_at_rest = False
        yield from self.settle_pending()
        if self._network.semantic:
            yield from (ClusterReport() for _ in encode_missing(self._store, since))
        with self._store.read() as db:
            counts = stored.count_by_day(db, since)
        for days in _blocks(counts, MOST_ROWS // 2):
            if len(self._window.entries) > MOST_ROWS // 2:
                self._start_anew()
            with self._store.read() as db:
                self._load(db, days, ())
            rows = self._window.rows_on(days)
            yield from self._weigh_anew(rows[self._window.entries.at[rows] >= since.timestamp()])
        yield from self.work()

    def _take_in(self) -> Iterator[ClusterReport]:
        """Weighs what waits, if it is much, together with all that it makes outgrow its decision.

        Settling it batch after batch first, only to weigh most of it anew, would take twice as long. Events
        are formed afterwards, from what `decisions.to_regroup` gives.
        """
        with self._store.read() as db:
            if count_pending(db) < MUCH:
                return
        yield from self._make_ready()
        waiting: dict[EntryId, str] = {}
        with self._store.read() as db:
            # Copies side by side: each is compared with others of the same part, and unpacked once.
            in_order = stored.pending_by_likeness(db, MOST_TAKEN, encoded=self._network.semantic)
            for start in range(0, len(in_order), TAKEN):
                batch = stored.signed_entries(db, in_order[start : start + TAKEN])
                self._load(db, {day_of(entry.at) for entry in batch}, in_order)
                self._window.put(batch)
                waiting |= {entry.id: entry.content_hash for entry in batch}
        rows = self._window.entries.rows_of(waiting)
        outgrown = np.setdiff1d(self._window.outgrown(GROWTH, EXACT_BELOW), rows)
        yield from self._weigh_anew(np.concatenate((rows, outgrown)), waiting)

    def _make_ready(self) -> Iterator[ClusterReport]:
        """Makes room, and sees to it that all entries are signed, and encoded if that is asked for."""
        if len(self._window.entries) > MOST_ROWS:
            self._start_anew()
        while not self._all_signed:
            with self._store.write() as db:
                self._all_signed = not sign_missing(db)
            yield ClusterReport()
        if self._network.semantic:
            yield from self._encode()

    def settle_pending(self) -> Iterator[ClusterReport]:
        """Settles what is pending, a batch a step, and looks at nothing again."""
        while True:
            yield from self._make_ready()
            self._forget_prepared()
            with self._store.write() as db:
                lock_grouping(db)
                batch = stored.pending_entries(db, BATCH, encoded=self._network.semantic)
                if not batch:
                    return
                report = self._settle(db, batch)
            yield report

    def _encode(self) -> Iterator[ClusterReport]:
        """Encodes what waits; at first also what new entries may meet, from before this was asked for."""
        if not self._all_encoded:
            recent = self._now() - timedelta(days=2 * self._days)
            yield from (ClusterReport() for _ in encode_missing(self._store, recent))
            self._all_encoded = True
        yield from (ClusterReport() for _ in encode_missing(self._store))

    # ---- new entries -----------------------------------------------------------------------------

    def _settle(self, db: Connection, batch: Sequence[Signed]) -> ClusterReport:
        numbers = {entry.id for entry in batch}
        self._load(db, {day_of(entry.at) for entry in batch}, numbers)
        rows = self._window.put(batch)
        pairs = place(self._window, self._network, rows)
        self._prepared.update((signed.id, prepare(signed)) for signed in batch)
        copies = self._copies(db, pairs, self._window.same_bands(rows, batch), rows)
        links = self._links(pairs, copies)
        edited = {entry.event_id for entry in batch if entry.event_id is not None}
        before = stored.links_of(db, numbers) if edited else set()
        stored.replace_links(db, numbers, links)
        # An entry may have to part from those to which its old version was linked.
        ends = _near(links) | {end for link in before for end in (link.a, link.b)}
        events = set(stored.events_of(db, ends - numbers).values()) | edited
        current = stored.entries_of(db, events)
        kept = _by_event(current, events - edited)
        entries = self._ordered(numbers | current.keys())
        known = stored.links_of(db, numbers | current.keys())
        bonds = bonds_of(db, entries)
        groups = partition(entries, kept, known, bonds)
        written = write_groups(db, groups, current, self._now())
        stored.settle(db, numbers)
        self._decide(db, rows, pairs, copies, regroup=False)
        decisions.write_rules(db, _rules(groups, numbers, known, bonds))
        touched = {event for group, event in zip(groups, written.event_of, strict=True) if group & numbers}
        self._refresh(db, touched, numbers, written, known)
        return ClusterReport(
            entries=len(batch),
            created=len(written.created),
            grown=len(written.changed - written.created),
            merged=len(written.merged),
        )

    def _links(self, pairs: Pairs, copies: Collection[tuple[EntryId, EntryId]]) -> list[Link]:
        """The pairs that are kept, each once, lower number first."""
        number = self._window.entries.number
        found = {(a, b): Link(a, b, 1.0, is_copy=True) for a, b in copies}
        strong = np.flatnonzero(pairs.chance >= LEAST_LINK)
        ends = np.sort(np.stack((number[pairs.a[strong]], number[pairs.b[strong]]), axis=1), axis=1)
        for (a, b), chance in zip(ends.tolist(), pairs.chance[strong].tolist(), strict=True):
            found.setdefault((EntryId(a), EntryId(b)), Link(EntryId(a), EntryId(b), chance, is_copy=False))
        return list(found.values())

    def _copies(
        self, db: Connection, pairs: Pairs, banded: tuple[NDArray[np.int64], Rows], rows: Rows
    ) -> set[tuple[EntryId, EntryId]]:
        """The pairs that are the same text, lower number first."""
        worth = np.zeros(len(pairs.a), np.bool_)
        for name, least in COPY_SIGNS:
            worth |= pairs.features[:, FEATURES.index(name)] >= least
        one = np.concatenate((pairs.a[worth], rows[banded[0]]))
        other = np.concatenate((pairs.b[worth], banded[1]))
        number = self._window.entries.number
        ends = np.unique(np.sort(np.stack((number[one], number[other]), axis=1), axis=1), axis=0)
        self._fetch(db, np.unique(ends).tolist())
        return {
            (EntryId(a), EntryId(b))
            for a, b in ends.tolist()
            if copy_reason(self._prepared[EntryId(a)], self._prepared[EntryId(b)])
        }

    def _forget_prepared(self) -> None:
        for entry in list(self._prepared)[:-MOST_PREPARED]:
            del self._prepared[entry]

    def _fetch(self, db: Connection, entries: Iterable[EntryId]) -> None:
        missing = [entry for entry in entries if entry not in self._prepared]
        for signed in stored.signed_entries(db, missing):
            self._prepared[signed.id] = prepare(signed)

    # ---- again -----------------------------------------------------------------------------------

    def _weigh_anew(self, rows: Rows, waiting: Mapping[EntryId, str] = EMPTY) -> Iterator[ClusterReport]:
        """Weighs entries in the window as it is now; those of them that are `waiting` for the first time.

        Of the others it stays as it was found whether two are copies.
        """
        with self._store.read() as db:
            self._load(db, set(self._window.entries.day[rows].tolist()), waiting)
        met = yield from _stepwise(survey(self._window, rows))
        weighed: set[EntryId] = set()
        carried: dict[EntryId, list[Link]] = defaultdict(list)
        for start in range(0, len(rows), WRITTEN * AT_ONCE):
            self._forget_prepared()
            part = rows[start : start + WRITTEN * AT_ONCE]
            first = start // AT_ONCE
            numbers = {EntryId(number) for number in self._window.entries.number[part].tolist()}
            new = {number: waiting[number] for number in numbers if number in waiting}
            pairs = weigh_surveyed(self._window, self._network, part, met[first : first + WRITTEN])
            with self._store.write() as db:
                # One that was edited since it was read waits on.
                edited = new.keys() - stored.still_waiting(db, new)
                part, pairs = self._without(edited, part, pairs)
                numbers -= edited
                copies = stored.copies_of(db, numbers - waiting.keys())
                copies |= self._copies_of_new(db, pairs, new.keys() - edited)
                # Two that met from the other's side only stay linked.
                links = {(link.a, link.b): link for number in numbers for link in carried.pop(number, ())}
                links |= {(link.a, link.b): link for link in self._links(pairs, copies)}
                weighed |= numbers
                for link in links.values():
                    for end in (link.a, link.b):
                        if end not in weighed:
                            carried[end].append(link)
                stored.replace_links(db, numbers, links.values())
                stored.settle(db, numbers & waiting.keys())
                self._decide(db, part, pairs, copies, regroup=True)
            yield ClusterReport(entries=len(new) - len(edited), reviewed=len(numbers - waiting.keys()))

    def _without(self, edited: Collection[EntryId], part: Rows, pairs: Pairs) -> tuple[Rows, Pairs]:
        if not edited:
            return part, pairs
        number = self._window.entries.number
        kept = ~np.isin(number[pairs.a], list(edited))
        return part[~np.isin(number[part], list(edited))], pairs.only(kept)

    def _copies_of_new(
        self, db: Connection, pairs: Pairs, new: Collection[EntryId]
    ) -> set[tuple[EntryId, EntryId]]:
        """The pairs of new entries, with one another or with old ones, that are the same text."""
        if not new:
            return set()
        signed = stored.signed_entries(db, new)
        self._prepared.update((entry.id, prepare(entry)) for entry in signed)
        rows = self._window.entries.rows_of(entry.id for entry in signed)
        banded = self._window.same_bands(rows, signed)
        return self._copies(db, pairs.only(np.isin(pairs.a, rows)), banded, rows)

    def _form_anew(self, db: Connection, flagged: Sequence[EntryId]) -> ClusterReport:
        """Forms the events of these entries, and of all that are near to them, from nothing but their links."""
        reached, links, current = _closure(db, flagged)
        entries = self._ordered(reached)
        bonds = bonds_of(db, entries)
        groups = partition(entries, (), links, bonds)
        written = write_groups(db, groups, current, self._now())
        moved = {
            entry
            for group, event in zip(groups, written.event_of, strict=True)
            for entry in group
            if current.get(entry) != event
        }
        decisions.regrouped(db, reached)
        decisions.write_rules(db, _rules(groups, reached, links, bonds))
        self._refresh(db, set(written.event_of), moved, written, links)
        return ClusterReport(
            reviewed=len(flagged),
            created=len(written.created),
            grown=len(written.changed - written.created),
            merged=len(written.merged),
        )

    def _relate(self, db: Connection) -> ClusterReport | None:
        """Makes related teasers anew where something near has changed; None if there is nothing to do."""
        events = stored.to_relate(db, RELATE)
        if not events:
            return None
        changed = relate(db, events)
        stored.add_changes(db, [(event, ChangeKind.UPDATED, None) for event in sorted(changed)], self._now())
        return ClusterReport()

    # ---- memory ----------------------------------------------------------------------------------

    def _load(self, db: Connection, days: Collection[int], without: Collection[EntryId]) -> None:
        """Brings all entries into the window that can meet those of `days`, and those that these can meet."""
        most = 2 * math.ceil(self._days)
        wanted = {day + step for day in days for step in range(-most, most + 1)}
        if not self._loaded and (stored_days := stored.days_of_few(db, FEW)):
            wanted |= set(stored_days)
        missing = wanted - self._loaded
        self._loaded |= missing
        there = np.unique(np.array(stored.signed_on(db, missing), dtype=np.int64))
        there = there[(self._window.entries.find(there) < 0) & ~np.isin(there, list(without))]
        for start in range(0, len(there), LOADED):
            found, among = stored.settled_columns(db, there[start : start + LOADED].tolist(), SCHEME)
            rows = self._window.put_columns(found)
            self._window.remember_among(rows, np.array(among, dtype=np.int64))

    def _ordered(self, entries: Iterable[EntryId]) -> list[EntryId]:
        """The entries in an order made of their content."""
        numbers = sorted(entries)
        rows = self._window.entries.find(numbers)
        keys = np.zeros(len(numbers), np.uint64)
        keys[rows >= 0] = self._window.entries.content[rows[rows >= 0]]
        return [numbers[place] for place in np.argsort(keys, kind="stable").tolist()]

    # ---- writing ---------------------------------------------------------------------------------

    def _decide(
        self,
        db: Connection,
        rows: Rows,
        pairs: Pairs,
        copies: Collection[tuple[EntryId, EntryId]],
        *,
        regroup: bool,
    ) -> None:
        """Keeps what was seen of rows, and among how many entries."""
        among = self._window.surroundings(rows)
        if not regroup:
            # Others came in the same batch, and what is near to the older ones has changed with it.
            among = -among
        self._window.remember_among(rows, among)
        number = self._window.entries.number
        order = np.lexsort((-pairs.chance, pairs.a))
        start = np.searchsorted(pairs.a[order], rows, side="left")
        seen = np.searchsorted(pairs.a[order], rows, side="right") - start
        kept = np.minimum(seen, KEPT_COMPARED)
        before = np.cumsum(kept) - kept
        best = order[np.arange(kept.sum()) + np.repeat(start - before, kept)]
        one, other = number[pairs.a[best]], number[pairs.b[best]]
        is_copy = [
            (min(a, b), max(a, b)) in copies for a, b in zip(one.tolist(), other.tolist(), strict=True)
        ]
        compared = decisions.packed(
            other, pairs.chance[best], np.array(is_copy, np.bool_), pairs.veto[best], pairs.features[best]
        )
        made = [
            decisions.Weighed(EntryId(entry), population, count, compared(first, first + some))
            for entry, population, count, first, some in zip(
                number[rows].tolist(),
                among.tolist(),
                seen.tolist(),
                before.tolist(),
                kept.tolist(),
                strict=True,
            )
        ]
        basis = decisions.Basis(self._now(), SAME_EVENT, self._network.name, pairs.features.shape[1])
        decisions.write_weighed(db, made, basis, regroup=regroup)

    def _refresh(
        self,
        db: Connection,
        touched: Collection[EventId],
        numbers: Collection[EntryId],
        written: Written,
        links: Iterable[Link],
    ) -> None:
        everything = set(touched) | written.changed
        refreshed, _ = refresh_records(db, everything, numbers, written.merged, links)
        updates: list[tuple[EventId, ChangeKind, EventId | None]] = [
            (event, ChangeKind.UPDATED, None)
            for event in sorted((refreshed | written.changed) - written.created)
        ]
        stored.add_changes(db, updates, self._now(), written.grown)


def _stepwise(surveying: Generator[None, None, list[Met]]) -> Generator[ClusterReport, None, list[Met]]:
    """What the survey finds; its steps settle nothing."""
    while True:
        try:
            next(surveying)
        except StopIteration as done:
            return list(done.value)
        yield ClusterReport()


def _blocks(counts: Mapping[int, int], most: int) -> Iterator[list[int]]:
    """The days in blocks that hold at most so many entries, or are one day."""
    block: list[int] = []
    for day in sorted(counts):
        if block and sum(counts[known] for known in block) + counts[day] > most:
            yield block
            block = []
        block.append(day)
    if block:
        yield block


def bonds_of(db: Connection, entries: Collection[EntryId]) -> Bonds:
    """What people said of these entries."""
    said = corrections_of(db, entries)
    together = [(one.a, one.b) for one in said if one.kind is CorrectionKind.TOGETHER and one.b is not None]
    apart = [(one.a, one.b) for one in said if one.kind is CorrectionKind.APART and one.b is not None]
    return Bonds(tuple(together), tuple(apart))


def _by_event(current: Mapping[EntryId, EventId], events: Collection[EventId]) -> list[Group]:
    members: dict[EventId, set[EntryId]] = defaultdict(set)
    for entry, event in current.items():
        if event in events:
            members[event].add(entry)
    return [frozenset(members[event]) for event in sorted(members)]


def _rules(
    groups: Iterable[Group], entries: Collection[EntryId], links: Iterable[Link], bonds: Bonds
) -> dict[EntryId, tuple[Rule, float, int]]:
    """What put each of `entries` into its group, the mean of its links there, and the group's size."""
    group_of = {entry: group for group in groups for entry in group}
    total: dict[EntryId, float] = defaultdict(float)
    copied: set[EntryId] = set()
    for link in links:
        if link.a in group_of and group_of[link.a] is group_of.get(link.b):
            for end in (link.a, link.b):
                total[end] += link.score
                if link.is_copy:
                    copied.add(end)
    said = {end for pair in (*bonds.together, *bonds.apart) for end in pair}
    found: dict[EntryId, tuple[Rule, float, int]] = {}
    for entry in entries:
        size = len(group_of[entry])
        rule = Rule.ALONE if size == 1 else Rule.COPY if entry in copied else Rule.AVERAGE
        rule = Rule.CORRECTED if entry in said else rule
        found[entry] = (rule, total[entry] / max(1, size - 1), size)
    return found


def _near(links: Iterable[Link]) -> set[EntryId]:
    """The entries that are linked closely enough for their events to be settled together."""
    return {end for link in links if link.is_copy or link.score >= NEAR_LINK for end in (link.a, link.b)}


def _closure(
    db: Connection, entries: Iterable[EntryId]
) -> tuple[set[EntryId], list[Link], dict[EntryId, EventId]]:
    """All entries whose event may change with `entries`, their links, and their present events.

    Closed under links of at least NEAR_LINK, under copies, and under membership of an event.
    """
    reached: set[EntryId] = set()
    links: set[Link] = set()
    current: dict[EntryId, EventId] = {}
    known_events: set[EventId] = set()
    frontier = set(entries)
    while frontier:
        reached |= frontier
        found = stored.links_of(db, frontier)
        links |= found
        near = _near(found)
        events = set(stored.events_of(db, frontier).values()) - known_events
        known_events |= events
        members = stored.entries_of(db, events)
        current |= members
        frontier = (near | set(members)) - reached
    return reached, [link for link in links if link.a in reached and link.b in reached], current
