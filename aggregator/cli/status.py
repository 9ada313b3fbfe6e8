"""The command status: what runs, how far behind it is, what is wrong, how much room it takes, what comes next."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any

from aggregator.cli.screen import age, print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.watching import alarms
from aggregator.store import Store, open_store
from aggregator.store.dialect import role_holder
from aggregator.store.feeds import feed_statuses
from aggregator.store.figures import figures
from aggregator.store.schema import HEAD
from aggregator.store.space import space
from aggregator.types import FeedStatus

SHOWN = 5


def status(settings: Settings, arguments: argparse.Namespace) -> int:
    """How the whole does, from the database alone; nothing is fetched."""
    store = open_store(settings.database)
    try:
        now = utc_now()
        found = _found(store, now)
    finally:
        store.close()
    if arguments.json:
        print_json(found)
    else:
        _print(found, now)
    return 0


def _found(store: Store, now: datetime) -> dict[str, Any]:
    with store.read() as db:
        numbers, room, feeds = figures(db, now), space(db), feed_statuses(db)
    asked = [feed for feed in feeds if feed.next_poll_at is not None and not feed.twin]
    worst = sorted((feed for feed in feeds if feed.failures), key=lambda feed: -feed.failures)[:SHOWN]
    coming = sorted(asked, key=lambda feed: feed.next_poll_at or now)[:SHOWN]
    return {
        "running": {role: role_holder(store.engine, role) or None for role in ("poll", "cluster")},
        "schema": HEAD,
        "bytes": room.total,
        "bytes_empty": room.empty,
        "feeds": numbers.feeds,
        "due": numbers.due,
        "pending": numbers.pending,
        "lag_seconds": numbers.lag,
        "last_polled_at": _stamp(max((f.last_polled_at for f in feeds if f.last_polled_at), default=None)),
        "alarms": [{"feed": name, "alarm": alarm} for name, alarm in alarms(store, now).values()],
        "worst": [{"feed": _name(f), "failures": f.failures, "problem": f.problem} for f in worst],
        "next": [{"feed": _name(f), "next_poll_at": _stamp(f.next_poll_at)} for f in coming],
    }


def _name(feed: FeedStatus) -> str:
    return feed.title or feed.url


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _print(found: dict[str, Any], now: datetime) -> None:
    running = found["running"]
    last = found["last_polled_at"]
    lag = found["lag_seconds"]
    states = ", ".join(f"{count:,} {state}" for state, count in found["feeds"].items()) or "none yet"
    lines = (
        ("polls", running["poll"] or "no process"),
        ("groups", running["cluster"] or "no process"),
        ("last poll", age(datetime.fromisoformat(last) if last else None, now)),
        ("feeds", f"{states}; {found['due']:,} due"),
        ("waiting", f"{found['pending']:,} entries to be grouped"),
        ("lag", "unknown" if lag is None else f"{lag / 60:.0f} minutes from publication to event (median)"),
        ("database", f"{found['bytes']:,} bytes, {found['bytes_empty']:,} empty; schema {found['schema']}"),
    )
    for name, words in lines:
        sys.stdout.write(f"{name:10} {words}\n")
    for title, columns, rows in (
        ("alarms", ("feed", "alarm"), found["alarms"]),
        ("worst feeds", ("feed", "failures#", "problem"), found["worst"]),
        ("next polls", ("feed", "at"), found["next"]),
    ):
        if rows:
            sys.stdout.write("\n")
            print_table(columns, [tuple(row.values()) for row in rows], title)
