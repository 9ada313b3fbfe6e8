"""Rows that are read past SQLAlchemy are the same rows, and what fails there is told in the same way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, func, select, update

from aggregator.cluster.links import each_once, links_from
from aggregator.cluster.meaning import MEANING
from aggregator.cluster.postings import day_of
from aggregator.cluster.rows import Entries
from aggregator.cluster.signature import SCHEME
from aggregator.cluster.window import Window
from aggregator.store import Store, StoreError, UnreachableError
from aggregator.store.dialect import plain_rows
from aggregator.store.events import (
    columns_of,
    days_of_few,
    parts_of,
    signed_entries,
    signed_on,
)
from aggregator.store.pairs import copies_of, links_of, replace_links
from aggregator.store.tables import ENTRY, SIGNATURE
from aggregator.types import EntryId
from tests.pages import ENTRIES, bring
from tests.test_corrections import NOON

EARLIER = (NOON - timedelta(days=2)).isoformat()
MUTE = ENTRIES[0] | {"id": "mute", "url": "", "source": "", "title": "!", "text": "", "published": EARLIER}
"""An entry without words."""


def test_the_columns_of_settled_entries_are_what_was_stored(store: Store) -> None:
    bring(store, ENTRIES)
    with store.read() as db:
        rows = db.execute(
            select(ENTRY.c.source, SIGNATURE).join(SIGNATURE, ENTRY.c.id == SIGNATURE.c.entry_id)
        ).all()
        ids = sorted(row.entry_id for row in rows)
        told = columns_of(db, np.array(ids), SCHEME)
        found, among = told.columns, told.among
        stored = sorted(rows, key=lambda row: found.ids.tolist().index(row.entry_id))
        days = {int(row.at.timestamp() // 86_400) for row in stored}
        assert signed_on(db, days).tolist() == ids
    assert len(ids) == len(ENTRIES)
    assert all(among)
    assert sorted(found.ids.tolist()) == ids
    assert found.times.tolist() == [row.at.timestamp() for row in stored]
    assert found.source_keys == [row.source.casefold() for row in stored]
    assert found.content_keys.tolist() == [row.content_key for row in stored]
    assert found.term_counts.tolist() == [len(row.terms) // 4 for row in stored]
    assert not found.encoded.any()
    for column, name in (
        (found.minhashes, "minhash"),
        (found.terms, "terms"),
        (found.term_marks, "term_marks"),
        (found.term_rarities, "term_rarity"),
    ):
        assert column == b"".join(map(attrgetter(name), stored)), name


def test_entries_are_read_whether_their_numbers_are_in_a_row_or_far_apart(store: Store) -> None:
    bring(store, ENTRIES)
    with store.read() as db:
        ids = signed_on(db, days_of_few(db, 100))
        for chosen in (ids, ids[1:-1], ids[::2], np.delete(ids, 3), ids[[0, -1]], ids[:1]):
            assert sorted(columns_of(db, chosen, SCHEME).columns.ids.tolist()) == chosen.tolist()


def test_a_window_read_from_the_store_is_the_one_that_its_entries_make(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, over several days, with entries that have no words, no outlet and no meaning, and edited ones."""
    monkeypatch.setattr("aggregator.store.events.LOADED", 3)
    bring(store, [*ENTRIES, MUTE])
    bring(store, [ENTRIES[0] | {"title": "Something else altogether"}])
    with store.write() as db:
        some = SIGNATURE.c.entry_id % 3 == 0
        db.execute(update(SIGNATURE).where(some).values(meaning=bytes(range(256)) * (MEANING // 256)))
    read, put = Window(3, semantic=True), Window(3, semantic=True)
    with store.read() as db:
        there = signed_on(db, days_of_few(db, 100))
        for part in parts_of(db, there, SCHEME, with_waiting=True):
            read.remember_among(read.put_columns(part.columns), part.among)
        entries = signed_entries(db, there.tolist())
    in_order = read.entries.number.tolist()
    entries.sort(key=lambda entry: in_order.index(entry.id))
    for entry in entries:
        put.put([entry])
    rows = np.arange(len(ENTRIES) + 1)
    assert len({day_of(entry.at) for entry in entries}) > 1
    assert read.has_meaning(rows).any()
    assert not read.has_meaning(rows).all()
    for name, cls_property in vars(Entries).items():
        if isinstance(cls_property, property):
            one, other = getattr(read.entries, name), getattr(put.entries, name)
            assert np.array_equal(one, other), name
    for one, other in (
        (read.entries.spread(rows), put.entries.spread(rows)),
        (read.meet(rows), put.meet(rows)),
        (read.same_bands(rows), put.same_bands(rows)),
        (read.meet_foreign(rows), put.meet_foreign(rows)),
        ((read.weigh(rows).weight(),), (put.weigh(rows).weight(),)),
        ((read.surroundings(rows),), (put.surroundings(rows),)),
    ):
        assert all(len(column) for column in one)
        assert all(map(np.array_equal, one, other))


def test_pairs_are_read_as_they_were_written_to_the_last_bit(store: Store) -> None:
    bring(store, ENTRIES)
    with store.write() as db:
        first, *others = signed_on(db, days_of_few(db, 100)).tolist()
        pairs = ((first, other, 1 / place, place == 1) for place, other in enumerate(others, start=1))
        written = links_from(pairs)
        replace_links(db, [first, *others], written)
        assert np.array_equal(each_once(links_of(db, [first])), written)
        assert np.array_equal(each_once(links_of(db, [*others, first])), written)
        assert np.array_equal(links_of(db, others[:1]), written[:1])
        assert not len(links_of(db, []))


def test_pairs_are_found_however_many_are_asked_for_and_however_far_apart_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.pairs.MOST_LOOKED_UP", 2)
    bring(store, ENTRIES)
    with store.write() as db:
        there = [EntryId(number) for number in signed_on(db, days_of_few(db, 100)).tolist()]
        every = [
            (a, b, (a + b) / 100, (a + b) % 3 == 0) for a, b in combinations(there, 2) if (a * b) % 4 != 1
        ]
        replace_links(db, there, links_from(every))
        some = (
            there,
            there[:3],
            there[1:-1],
            there[:: len(there) - 1],
            there[::4],
            there[-1:],
            [EntryId(9_000)],
        )
        for asked in (*some, []):
            named = [pair for pair in every if pair[0] in asked or pair[1] in asked]
            assert sorted(links_of(db, asked).tolist()) == named
            assert sorted(links_of(db, asked, 0.12).tolist()) == [pair for pair in named if pair[2] >= 0.12]
            assert copies_of(db, asked) == {pair[:2] for pair in named if pair[3]}
        replace_links(db, there[1:3], links_from(()))
        left = [pair for pair in every if not {*pair[:2]} & {*there[1:3]}]
        assert sorted(links_of(db, there).tolist()) == left


def test_times_are_bound_as_those_of_other_queries(store: Store) -> None:
    bring(store, ENTRIES)
    with store.read() as db:
        query = select(ENTRY.c.id).where(ENTRY.c.published_at < datetime(2100, 1, 1, tzinfo=UTC))
        assert len(plain_rows(db, query)) == len(ENTRIES)


@pytest.mark.postgresql("SQLite's driver knows one form")
def test_rows_come_in_binary_and_those_of_other_queries_as_text(store: Store) -> None:
    told = []

    @event.listens_for(store.engine, "after_cursor_execute")
    def note(*said: Any) -> None:
        told.append(said[1].pgresult.fformat(0))

    query = select(ENTRY.c.id)
    with store.read() as db:
        for _ in range(8):  # from the sixth time on as a prepared statement
            plain_rows(db, query)
            db.execute(query).all()
    assert told == [1, 0] * 8


@pytest.mark.postgresql("SQLite has no such limit")
def test_a_refusal_is_told_as_of_other_statements(store: Store) -> None:
    with pytest.raises(StoreError, match="statement timeout") as refused, store.read() as db:  # noqa: PT012
        db.exec_driver_sql("SET LOCAL statement_timeout = 1")
        plain_rows(db, select(func.pg_sleep(5)))
    assert not isinstance(refused.value, UnreachableError)


@pytest.mark.postgresql("SQLite has no server that could end a session")
def test_a_session_that_ends_meanwhile_is_an_outage(store: Store) -> None:
    with pytest.raises(UnreachableError), store.read() as db:
        plain_rows(db, select(func.pg_terminate_backend(func.pg_backend_pid())))
    with store.read() as db:
        assert list(map(tuple, plain_rows(db, select(func.count()).select_from(ENTRY)))) == [(0,)]
