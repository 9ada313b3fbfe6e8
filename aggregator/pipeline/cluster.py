"""The cluster flow: pending entries -> candidates -> score -> assign -> save, one batch a transaction."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

import numpy as np
from sqlalchemy.engine import Connection

from aggregator.cluster.assign import SAME_EVENT, Bonds, Group, near, partition
from aggregator.cluster.links import LINK, Links, each_once, ends_of, positions
from aggregator.cluster.postings import day_of
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
from aggregator.pipeline.shares import LEAST_SHARED, MOST_BESIDE, ready, weigh_shared
from aggregator.pipeline.signing import sign_missing
from aggregator.pipeline.stretches import (
    EXACT_BELOW,
    GROWTH,
    Step,
    Stretch,
    stretches,
    weigh_elsewhere,
    weigh_stretch,
)
from aggregator.pipeline.weighing import Carried, Weigher, Weighing
from aggregator.store import Store, decisions
from aggregator.store import events as stored
from aggregator.store.corrections import corrections_of
from aggregator.store.dialect import lock_grouping
from aggregator.store.entries import are_pending, awaits_grouping, count_pending
from aggregator.store.pairs import links_of, replace_links
from aggregator.types import (
    ChangeKind,
    CorrectionKind,
    EntryId,
    EventId,
    Rule,
    Signed,
)
from aggregator.workers import ALONE, Crew, Lost, each_there

log = logging.getLogger(__name__)

BATCH = 250
"""Entries settled in one transaction: long enough to share the look-ups, short enough (about .3 s) that polls
waiting to write do not notice."""

MUCH = 500
MOST_TAKEN = 50_000
"""So many pending entries are weighed together with what they make outgrow its decision, instead of settled in
batches first; at most so many at once. More are worked through by stretches of time."""

FORGOTTEN = 100_000
"""Numbers of removed entries looked up at once: a partition has up to ten million."""

MOST_ROWS = 1_500_000
"""Rows in memory beyond which the window is built anew from the store, unless it would hold half as many again."""

FEW = 3_000
"""Entries of a store up to which all of them are in memory: then a restart changes nothing at all."""

EMPTY: Mapping[EntryId, str] = {}
REGROUP = 500
RELATE = 1000
"""Entries whose events are formed anew in one transaction, with all that is near to them, and events whose related
teasers are made anew: .15 s and .1 s of computing in a backlog of 10,000 entries."""


class Clusterer:
    """Groups pending entries into events. One process at a time runs it (store.office).

    Its memory (the window, prepared entries) is a cache of the store. A crew weighs what waits on many days, and
    helpers (the crew, if there are no others) what waits within one window.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        now: Callable[[], datetime],
        crew: Crew = ALONE,
        helpers: Crew | None = None,
    ) -> None:
        self._store = store
        self._crew = crew
        self._helpers = helpers or crew
        self._now = now
        self._days = settings.window_days
        self._margin = 3 * math.ceil(self._days)
        self._network = network_of(settings)
        self._all_signed = self._all_encoded = False
        self._is_at_rest = False
        """Whether all was done when last looked: then only the database can bring work."""
        self._start_anew()

    def _start_anew(self) -> None:
        self._weigher = Weigher(self._days, self._network)
        self._loaded: set[int] = set()
        self._most_rows = MOST_ROWS

    @property
    def _window(self) -> Window:
        return self._weigher.window

    @property
    def _is_helped(self) -> bool:
        return self._helpers.is_near and self._helpers.cores > 1

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
                if not awaits_grouping(db):
                    return
        self._is_at_rest = False
        while True:
            yield from self._take_in()
            yield from self.settle_pending()
            outgrown = self._outgrown()
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
            self._weigher.forget(part)
            if (self._window.entries.find(sorted(part)) >= 0).any():
                self._start_anew()

    def weigh_since(self, since: datetime) -> Iterator[ClusterReport]:
        """Weighs all entries published since then anew, then forms their events anew; steps as `work`."""
        self._is_at_rest = False
        yield from self.settle_pending()
        if self._network.semantic:
            yield from (ClusterReport() for _ in encode_missing(self._store, since))
        with self._store.read() as db:
            counts = stored.count_by_day(db, day_of(since) - self._margin)
        recent = [day for day in counts if day >= day_of(since)]
        yield from self._work_through(stretches(counts, recent, self._margin), since)
        yield from self.work()

    def _take_in(self) -> Iterator[ClusterReport]:
        """Weighs what waits, if it is much, together with all that it makes outgrow its decision.

        Settling it batch after batch first, only to weigh most of it anew, would take twice as long. Events
        are formed afterwards, from what `decisions.to_regroup` gives.
        """
        with self._store.read() as db:
            if not are_pending(db, MUCH):
                return
            waiting = count_pending(db)
        yield from self._make_ready()
        with self._store.read() as db:
            days = stored.days_waiting(db)
            if not days:
                return
            # All entries whose surroundings change (see Window.surroundings), and the surroundings of these.
            counts = stored.count_by_day(db, days[0] - 2 * self._margin, days[-1] + 2 * self._margin)
        near = {day + step for day in days for step in range(-self._margin, self._margin + 1)}
        beside = sum(counts.get(day, 0) for day in near)
        if waiting > MOST_TAKEN or beside > MOST_ROWS // 2:
            yield from self._work_through(stretches(counts, near, self._margin))
        else:
            if waiting >= LEAST_SHARED and beside <= MOST_BESIDE and self._is_helped:
                self._helpers.prepare(ready)
            yield from self._take_all_in(days)

    def _take_all_in(self, days: Collection[int]) -> Iterator[ClusterReport]:
        """As `_take_in`, entries of these days: all of them, and all near them, fit into the window."""
        waiting: dict[EntryId, str] = {}
        semantic = self._network.semantic
        with self._store.read() as db:
            # Copies side by side: each is compared with others of the same part, and unpacked once.
            in_order = stored.pending_by_likeness(db, MOST_TAKEN, encoded=semantic)
            self._load(db, set(days), in_order)
            numbers = np.sort(np.array(in_order, dtype=np.int64))
            for found in stored.parts_of(db, numbers, SCHEME, with_waiting=True, encoded=semantic):
                rows = self._window.put_columns(found.columns)
                self._window.remember_among(rows, found.among)
                waiting |= found.waiting
        self._weigher.forget(waiting)  # some were edited
        rows = self._window.entries.rows_of(entry for entry in in_order if entry in waiting)
        outgrown = self._outgrown()
        rows = np.concatenate((rows, outgrown[~np.isin(outgrown, rows)]))
        yield from self._weigh_anew(rows, waiting)

    def _outgrown(self) -> Rows:
        """The rows to be weighed anew, by the numbers of their entries.

        The rows themselves are in the order in which the database told them, which it is free to change.
        """
        rows = self._window.outgrown(GROWTH, EXACT_BELOW)
        return rows[np.argsort(self._window.entries.number[rows])]

    def _work_through(
        self, plan: Sequence[Stretch], since: datetime | None = None
    ) -> Iterator[ClusterReport]:
        """Weighs the entries of stretches of time: those that wait, and those that outgrew their decision.

        `since`: all that were published since then.
        """
        # What is in memory by now would have to be kept in step, and stand beside what a stretch needs.
        self._start_anew()
        job = partial(weigh_stretch, days=self._days, network=self._network, since=since)
        carried = Carried()
        for stretch, found in self._weighed(job, plan):
            carried.begin(stretch.first)
            for _, report in self._kept(found, carried):
                yield report

    def _weighed(
        self, job: Callable[..., Iterator[Step]], plan: Sequence[Stretch]
    ) -> Iterator[tuple[Stretch, Iterable[Step]]]:
        """Each stretch with what weighing it finds: step by step in this process, or by the crew as a whole."""
        if self._crew.is_near and self._crew.cores == 1:
            yield from ((stretch, job(stretch, self._store)) for stretch in plan)
            return
        crew, work = self._crew, partial(weigh_elsewhere, job, self._store.address)
        for stretch, found in each_there(crew, work, plan) if crew.is_near else crew.each(work, plan):
            if isinstance(found, Lost):
                log.warning("%s: this process weighs it: %s", stretch, found.reason)
                yield stretch, job(stretch, self._store)
            else:
                yield stretch, found

    def _make_ready(self) -> Iterator[ClusterReport]:
        """Makes room, and sees to it that all entries are signed, and encoded if that is asked for."""
        if len(self._window.entries) > self._most_rows:
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
        found = self._weigher.place(db, batch)
        edited = {entry.event_id for entry in batch if entry.event_id is not None}
        # An entry may have to part from those to which its old version was linked.
        before = ends_of(links_of(db, numbers)) if edited else set()
        links, _ = _those_there(db, found.links, numbers)
        replace_links(db, numbers, links)
        ends = ends_of(links[near(links)]) | before
        events = set(stored.events_of(db, ends - numbers).values()) | edited
        current = stored.entries_of(db, events)
        kept = _by_event(current, events - edited)
        entries = self._ordered(db, numbers | current.keys())
        known = links_of(db, numbers | current.keys())
        bonds = bonds_of(db, entries)
        groups = partition(entries, kept, known, bonds)
        written = write_groups(db, groups, current, self._now())
        self._decide(db, found, regroup=False)
        decisions.write_rules(db, _rules(groups, numbers, known, bonds))
        touched = {event for group, event in zip(groups, written.event_of, strict=True) if group & numbers}
        self._refresh(db, touched, numbers, written, known)
        stored.settle(db, numbers)
        return ClusterReport(
            entries=len(batch),
            created=len(written.created),
            grown=len(written.changed - written.created),
            merged=len(written.merged),
        )

    # ---- again -----------------------------------------------------------------------------------

    def _weigh_anew(self, rows: Rows, waiting: Mapping[EntryId, str] = EMPTY) -> Iterator[ClusterReport]:
        """Weighs entries in the window as it is now; those of them that are `waiting` for the first time.

        Of the others it stays as it was found whether two are copies.
        """
        with self._store.read() as db:
            self._load(db, set(self._window.entries.day[rows].tolist()), waiting)
        weighed = ((found, waiting) if found else None for found in self._weighings(rows, waiting))
        try:
            for found, report in self._kept(weighed, Carried()):
                if found is not None:
                    numbers = [one.entry for one in found.decided]
                    among = np.array([one.among for one in found.decided], dtype=np.int64)
                    self._window.remember_among(self._window.entries.rows_of(numbers), among)
                yield report
        except Exception:
            # What was being written may be there now, and is not remembered.
            self._start_anew()
            raise

    def _weighings(self, rows: Rows, waiting: Mapping[EntryId, str]) -> Iterator[Weighing | None]:
        """What weighing rows finds, in steps; shared out among the helpers if that is worth it."""
        is_large = len(rows) >= LEAST_SHARED and len(self._window.entries) <= MOST_BESIDE
        if is_large and self._is_helped:
            yield from weigh_shared(self._helpers, self._weigher, self._store, rows, waiting)
            self._helpers.rest()
        else:
            yield from self._weigher.weigh(self._store, rows, waiting)

    def _kept(
        self, steps: Iterable[Step], carried: Carried
    ) -> Iterator[tuple[Weighing | None, ClusterReport]]:
        """Writes what each step found while the next one is worked out; gives what is written, with a report."""
        under_way: tuple[Weighing, Future[ClusterReport]] | None = None
        with ThreadPoolExecutor(1, "writer") as writer:
            for step in chain(steps, (None,)):
                if under_way is not None:
                    found, written = under_way
                    yield found, written.result()
                    under_way = None
                if step is None:
                    yield None, ClusterReport()
                else:
                    under_way = step[0], writer.submit(self._keep, *step, carried)

    def _keep(self, found: Weighing, waiting: Mapping[EntryId, str], carried: Carried) -> ClusterReport:
        """Writes what was found, in one transaction; an entry that was edited since it was read waits on."""
        new = {one.entry: waiting[one.entry] for one in found.decided if one.entry in waiting}
        with self._store.write() as db:
            lock_grouping(db)
            edited = new.keys() - stored.still_waiting(db, new)
            found = found.without(edited)
            numbers = {one.entry for one in found.decided}
            links, there = _those_there(db, carried.with_carried(numbers, found.links), numbers)
            found, numbers = found.without(numbers - there), there
            replace_links(db, numbers, links)
            stored.settle(db, numbers & waiting.keys())
            self._decide(db, found, regroup=True)
        return ClusterReport(entries=len(new) - len(edited), reviewed=len(numbers - waiting.keys()))

    def _decide(self, db: Connection, found: Weighing, *, regroup: bool) -> None:
        """Keeps the decisions."""
        basis = decisions.Basis(self._now(), SAME_EVENT, self._network.name, found.features)
        decisions.write_weighed(db, found.decided, basis, regroup=regroup)

    def _form_anew(self, db: Connection, flagged: Sequence[EntryId]) -> ClusterReport:
        """Forms the events of these entries, and of all that are near to them, from nothing but their links."""
        reached, links, current = _closure(db, flagged)
        entries = self._ordered(db, reached)
        bonds = bonds_of(db, entries)
        groups = partition(entries, (), links, bonds)
        written = write_groups(db, groups, current, self._now())
        decisions.write_rules(db, _rules(groups, reached, links, bonds))
        self._refresh(db, set(written.event_of), written.moves.keys(), written, links)
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
        there = stored.signed_on(db, missing)
        there = there[(self._window.entries.find(there) < 0) & ~np.isin(there, list(without))]
        self._window.reserve(len(there))
        for found in stored.parts_of(db, there, SCHEME):
            rows = self._window.put_columns(found.columns)
            self._window.remember_among(rows, found.among)
        # Where so many may meet that they are more than usual, few of them are more than needed.
        self._most_rows = max(self._most_rows, 2 * len(there))

    def _ordered(self, db: Connection, entries: Iterable[EntryId]) -> list[EntryId]:
        """The entries in an order made of their content."""
        numbers = sorted(entries)
        rows = self._window.entries.find(numbers)
        keys = np.zeros(len(numbers), np.uint64)
        keys[rows >= 0] = self._window.entries.content[rows[rows >= 0]]
        missing = [number for number, row in zip(numbers, rows.tolist(), strict=True) if row < 0]
        known = stored.content_keys_of(db, missing, SCHEME)
        read = np.array([known.get(number, 0) for number in missing], np.int64)
        keys[rows < 0] = read.view(np.uint64)
        return [numbers[place] for place in np.argsort(keys, kind="stable").tolist()]

    # ---- writing ---------------------------------------------------------------------------------

    def _refresh(
        self,
        db: Connection,
        touched: Collection[EventId],
        numbers: Collection[EntryId],
        written: Written,
        links: Links,
    ) -> None:
        everything = set(touched) | written.changed
        refreshed, _ = refresh_records(db, everything, numbers, links, written)
        updates: list[tuple[EventId, ChangeKind, EventId | None]] = [
            (event, ChangeKind.UPDATED, None)
            for event in sorted((refreshed | written.changed) - written.created)
        ]
        stored.add_changes(db, updates, self._now(), written.grown)


def _those_there(db: Connection, links: Links, entries: Collection[EntryId]) -> tuple[Links, set[EntryId]]:
    """Those of the links and entries that no other process has removed by now. After `lock_grouping`.

    Without links to other entries that are still to be weighed for the first time: with these they are written.
    """
    numbers = np.fromiter(entries, np.int64, len(entries))
    there = stored.those_there(db, np.unique(np.concatenate((links["a"], links["b"], numbers))).tolist())
    are_own = np.isin(there["id"], numbers)
    linked = there["id"][are_own | ~there["is_new"]]
    kept = np.isin(links["a"], linked) & np.isin(links["b"], linked)
    return links[kept], {EntryId(number) for number in there["id"][are_own].tolist()}


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
    groups: Sequence[Group], entries: Collection[EntryId], links: Links, bonds: Bonds
) -> dict[EntryId, tuple[Rule, float, int]]:
    """What put each of `entries` into its group, the mean of its links there, and the group's size."""
    size_of = {entry: len(group) for group in groups for entry in group}
    numbers = np.fromiter(size_of, np.int64, len(size_of))
    group = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    one, other = positions(numbers, links["a"]), positions(numbers, links["b"])
    within = (one >= 0) & (other >= 0) & (group[one] == group[other])
    ends = np.concatenate((one[within], other[within]))
    score, is_copy = (np.tile(links[name][within], 2) for name in ("score", "is_copy"))
    total = dict(zip(size_of, np.bincount(ends, score, len(numbers)).tolist(), strict=True))
    copied = set(numbers[ends[is_copy]].tolist())
    said = {end for pair in (*bonds.together, *bonds.apart) for end in pair}
    found: dict[EntryId, tuple[Rule, float, int]] = {}
    for entry in entries:
        size = size_of[entry]
        rule = Rule.ALONE if size == 1 else Rule.COPY if entry in copied else Rule.AVERAGE
        rule = Rule.CORRECTED if entry in said else rule
        found[entry] = (rule, total[entry] / max(1, size - 1), size)
    return found


def _closure(
    db: Connection, entries: Iterable[EntryId]
) -> tuple[set[EntryId], Links, dict[EntryId, EventId]]:
    """All entries whose event may change with `entries`, their links, and their present events.

    Closed under links of at least NEAR_LINK, under copies, and under membership of an event.
    """
    reached: set[EntryId] = set()
    links: Links = np.empty(0, LINK)
    current: dict[EntryId, EventId] = {}
    known_events: set[EventId] = set()
    frontier = set(entries)
    while frontier:
        reached |= frontier
        found = links_of(db, frontier)
        links = np.concatenate((links, found))
        events = set(stored.events_of(db, frontier).values()) - known_events
        known_events |= events
        members = stored.entries_of(db, events)
        current |= members
        frontier = (ends_of(found[near(found)]) | members.keys()) - reached
    inside = np.fromiter(reached, np.int64, len(reached))
    within = np.isin(links["a"], inside) & np.isin(links["b"], inside)
    return reached, each_once(links[within]), current
