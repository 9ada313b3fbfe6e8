"""A part of one database copied into another, ids and all: what grouping it anew needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, Table, insert, select
from sqlalchemy.engine import Connection

from aggregator.store.dialect import chunks
from aggregator.store.tables import CORRECTION, DECISION, ENTRY, EVENT, FEED, LINK, SIGNATURE


def copy_since(source: Connection, target: Connection, since: datetime) -> None:
    """Copies the entries published since then, and all others of their events, into an empty database.

    With them what grouping reads: their feeds, events, signatures, decisions, links and corrections; not
    teasers, earlier versions and the change log.
    """
    entries, events = _chosen(source, since)
    feeds = set(_values(source, ENTRY.c.feed_id, ENTRY.c.id, entries))
    for table, key, names in (
        (FEED, FEED.c.id, feeds),
        (EVENT, EVENT.c.id, events),
        (ENTRY, ENTRY.c.id, entries),
        (SIGNATURE, SIGNATURE.c.entry_id, entries),
        (DECISION, DECISION.c.entry_id, entries),
    ):
        for part in chunks(names):
            _copy(source, target, table, select(table).where(key.in_(part)))
    for table in (LINK, CORRECTION):
        for part in chunks(entries):
            rows = source.execute(select(table).where(table.c.a.in_(part))).mappings()
            kept = [dict(row) for row in rows if row["b"] is None or row["b"] in entries]
            if kept:
                target.execute(insert(table), kept)


def _chosen(source: Connection, since: datetime) -> tuple[set[int], set[int]]:
    recent = select(ENTRY.c.id, ENTRY.c.event_id).where(ENTRY.c.published_at >= since)
    rows = source.execute(recent).all()
    entries = {row.id for row in rows}
    events = {row.event_id for row in rows if row.event_id is not None}
    entries.update(_values(source, ENTRY.c.id, ENTRY.c.event_id, events))
    return entries, events


def _values(
    source: Connection, wanted: Column[Any], key: Column[Any], names: Collection[int]
) -> Iterator[int]:
    query: Select[Any] = select(wanted)
    for part in chunks(names):
        yield from (int(row[0]) for row in source.execute(query.where(key.in_(part))))


def _copy(source: Connection, target: Connection, table: Table, query: Select[Any]) -> None:
    rows = [dict(row) for row in source.execute(query).mappings()]
    if rows:
        target.execute(insert(table), rows)
