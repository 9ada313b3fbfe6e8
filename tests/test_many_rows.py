"""Rows that are written many at once hold what rows written one by one hold, on either database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from aggregator.store import Store, StoreError
from aggregator.store.bulk import insert_many, update_many
from aggregator.store.events import create_events
from aggregator.store.tables import EVENT, SIGNATURE, TEASER
from aggregator.types import TeaserKind
from tests.pages import ENTRIES, bring

AT = datetime(2026, 11, 20, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
TEXTS = (
    "",
    "two\nlines\twith a tab",
    "a back\\slash \\N \\. and 'quotes' \"here\"",
    "žluťoučký 🐎",
    "a\r\nb",
    "%s ? :x {}",
)
COLUMNS = tuple(TEASER.c)


def _rows(event: int) -> list[tuple[Any, ...]]:
    kinds = (TeaserKind.COVERAGE, TeaserKind.RELATED)
    return [
        (event, place, kinds[place % 2], told, told, told, told, told, AT if place % 2 else None, None, event)
        for place, told in enumerate(TEXTS)
    ]


def _stored(store: Store) -> list[Any]:
    with store.read() as db:
        return list(db.execute(select(TEASER).order_by(TEASER.c.event_id, TEASER.c.position)))


def test_many_new_rows_are_as_if_each_was_written_alone(store: Store) -> None:
    with store.write() as db:
        one, other = create_events(db, 2, AT)
        db.execute(insert(TEASER), [dict(zip(TEASER.c.keys(), row, strict=True)) for row in _rows(one)])
        insert_many(db, COLUMNS, _rows(other))
    stored = _stored(store)
    assert len(stored) == 2 * len(TEXTS)
    alone, together = stored[: len(TEXTS)], stored[len(TEXTS) :]
    assert [row[1:-1] for row in together] == [row[1:-1] for row in alone]
    assert {row[8] for row in together} == {None, AT.astimezone(UTC)}


def test_many_changed_rows_are_as_if_each_was_changed_alone(store: Store) -> None:
    values = [(AT + timedelta(days=number), 100 - number) for number in range(5)]
    with store.write() as db:
        ones, others = create_events(db, 5, AT), create_events(db, 5, AT)
        for event, (at, count) in zip(ones, values, strict=True):
            db.execute(update(EVENT).where(EVENT.c.id == event).values(news_at=at, entry_count=count))
        rows = ((event, *row) for event, row in zip(others, values, strict=True))
        update_many(db, EVENT.c.id, (EVENT.c.news_at, EVENT.c.entry_count), rows)
    with store.read() as db:
        query = select(EVENT.c.id, EVENT.c.news_at, EVENT.c.entry_count, EVENT.c.source_count)
        found = {row.id: tuple(row)[1:] for row in db.execute(query)}
    assert [found[event] for event in others] == [found[event] for event in ones]


def test_no_rows_are_no_statement(store: Store) -> None:
    with store.write() as db:
        insert_many(db, COLUMNS, ())
        update_many(db, EVENT.c.id, (EVENT.c.news_at,), ())
    assert not _stored(store)


def test_a_value_can_become_none(store: Store) -> None:
    columns = (TEASER.c.published_at, TEASER.c.related_event_id)
    with store.write() as db:
        (event,) = create_events(db, 1, AT)
        insert_many(db, COLUMNS, _rows(event))
        update_many(db, TEASER.c.event_id, columns, [(event, None, None)])
    assert {row[8:] for row in _stored(store)} == {(None, None, None)}


def test_texts_of_any_kind_can_be_written_into_many_rows(store: Store) -> None:
    with store.write() as db:
        (event,) = create_events(db, 1, AT)
        insert_many(db, COLUMNS, [row[:3] + ("",) * 5 + row[8:] for row in _rows(event)])
        told = ((place, text, f"{text}{text}") for place, text in enumerate(TEXTS))
        update_many(db, TEASER.c.position, (TEASER.c.text, TEASER.c.title), told)
    stored = [(row.text, row.title) for row in _stored(store)]
    assert stored == [(text, f"{text}{text}") for text in TEXTS]


def test_bytes_can_be_written_into_many_rows(store: Store) -> None:
    bring(store, ENTRIES)
    with store.write() as db:
        numbers = sorted(db.execute(select(SIGNATURE.c.entry_id)).scalars())
        told = {number: bytes([0, 255, 92, 34, place]) for place, number in enumerate(numbers)}
        update_many(db, SIGNATURE.c.entry_id, (SIGNATURE.c.title,), told.items())
        found = db.execute(select(SIGNATURE.c.entry_id, SIGNATURE.c.title)).all()
    assert {number: bytes(title) for number, title in found} == told


@pytest.mark.postgresql("COPY goes past SQLAlchemy there")
def test_a_server_that_goes_away_meanwhile_is_told_as_such(store: Store) -> None:
    with pytest.raises(StoreError, match="DATABASE="):
        _write_over_a_connection_that_breaks(store)


def _write_over_a_connection_that_breaks(store: Store) -> None:
    with store.write() as db:
        (event,) = create_events(db, 1, AT)
        own = db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with store.read() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        insert_many(db, COLUMNS, _rows(event))
