"""Rows that are read past SQLAlchemy are the same rows, and what fails there is told in the same way."""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter

import pytest
from sqlalchemy import func, select

from aggregator.cluster.signature import SCHEME
from aggregator.store import Store, StoreError, UnreachableError
from aggregator.store.dialect import plain_rows
from aggregator.store.events import columns_of, signed_on
from aggregator.store.tables import ENTRY, SIGNATURE
from aggregator.types import EntryId
from tests.pages import ENTRIES, bring


def test_the_columns_of_settled_entries_are_what_was_stored(store: Store) -> None:
    bring(store, ENTRIES)
    with store.read() as db:
        stored = db.execute(
            select(ENTRY.c.source, SIGNATURE)
            .join(SIGNATURE, ENTRY.c.id == SIGNATURE.c.entry_id)
            .order_by(ENTRY.c.id)
        ).all()
        ids = [EntryId(row.entry_id) for row in stored]
        told = columns_of(db, ids, SCHEME)
        found, among = told.columns, told.among
        days = {int(row.at.timestamp() // 86_400) for row in stored}
        assert sorted(signed_on(db, days)) == ids
    assert len(ids) == len(ENTRIES)
    assert all(among)
    assert list(found.ids) == ids
    assert [at.astimezone(UTC) for at in found.times] == [row.at for row in stored]
    assert list(found.source_keys) == [row.source.casefold() for row in stored]
    for column, name in (
        (found.minhashes, "minhash"),
        (found.titles, "title"),
        (found.leads, "lead"),
        (found.bodies, "body"),
        (found.terms, "terms"),
        (found.term_marks, "term_marks"),
        (found.term_rarities, "term_rarity"),
        (found.truncated, "truncated"),
        (found.meanings, "meaning"),
    ):
        assert list(column) == list(map(attrgetter(name), stored)), name


def test_times_are_bound_as_those_of_other_queries(store: Store) -> None:
    bring(store, ENTRIES)
    with store.read() as db:
        query = select(ENTRY.c.id).where(ENTRY.c.published_at < datetime(2100, 1, 1, tzinfo=UTC))
        assert len(plain_rows(db, query)) == len(ENTRIES)


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
