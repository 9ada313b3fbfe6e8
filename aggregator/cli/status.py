"""The command status: what runs, how far behind it is, what is wrong, how much room it takes, what comes next."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aggregator.cli.screen import age, print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.publish import alarm_words, plain_json
from aggregator.store import Store, find_store
from aggregator.store.activity import find_alarms
from aggregator.store.dialect import role_holder
from aggregator.store.feeds import feed_statuses
from aggregator.store.figures import figures
from aggregator.store.processes import running
from aggregator.store.schema import HEAD
from aggregator.store.space import space
from aggregator.types import FeedStatus, Process

SHOWN = 5
DOES = {"poll": "polls", "cluster": "groups", "standby": "stands by to group", "web": "serves the page"}


def status(settings: Settings, arguments: argparse.Namespace) -> int:
    """How the whole does, from the database alone; nothing is fetched."""
    store = find_store(settings.database)
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
    processes = running(store)
    with store.read() as db:
        numbers, room, feeds = figures(db, now), space(db), feed_statuses(db)
        alarms = find_alarms(db, now)
    asked = [feed for feed in feeds if feed.next_poll_at is not None and not feed.twin]
    worst = sorted((feed for feed in feeds if feed.failures), key=lambda feed: -feed.failures)[:SHOWN]
    coming = sorted(asked, key=lambda feed: feed.next_poll_at or now)[:SHOWN]
    return {
        "running": {role: _who(store, processes, role) for role in ("poll", "cluster")},
        "processes": [plain_json(asdict(process)) for process in processes],
        "schema": HEAD,
        "bytes": room.total,
        "bytes_empty": room.empty,
        "feeds": numbers.feeds,
        "due": numbers.due,
        "pending": numbers.pending,
        "lag_seconds": numbers.lag,
        "last_polled_at": _stamp(max((f.last_polled_at for f in feeds if f.last_polled_at), default=None)),
        "alarms": [
            {"feed": one.name, "alarm": alarm_words(one.kind, one.count), "kind": one.kind} for one in alarms
        ],
        "worst": [{"feed": _name(f), "failures": f.failures, "problem": f.problem} for f in worst],
        "next": [{"feed": _name(f), "next_poll_at": _stamp(f.next_poll_at)} for f in coming],
    }


def _who(store: Store, processes: Sequence[Process], role: str) -> str | None:
    """Who has the role, in words: of a single pass of `poll` on PostgreSQL only its lock is known."""
    live = [f"process {one.pid} on {one.host}" for one in processes if role in one.roles and not one.is_stale]
    return ", ".join(live) or role_holder(store.engine, role) or None


def _name(feed: FeedStatus) -> str:
    return feed.title or feed.url


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _process_row(one: dict[str, Any], now: datetime) -> tuple[str, ...]:
    seen = age(datetime.fromisoformat(one["seen_at"]), now) if one["seen_at"] else "holds its lock"
    return (
        str(one["pid"]),
        one["host"],
        ", ".join(DOES[role] for role in one["roles"]),
        age(datetime.fromisoformat(one["since"]), now),
        f"{seen}: killed or cut off" if one["is_stale"] else seen,
    )


def _next_row(one: dict[str, Any]) -> tuple[str, str]:
    at = one["next_poll_at"]
    return one["feed"], f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else "never"


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
    if found["processes"]:
        sys.stdout.write("\n")
        processes = [_process_row(one, now) for one in found["processes"]]
        print_table(("process", "on", "does", "since", "last seen"), processes, "processes")
    for title, columns, rows in (
        ("alarms", ("feed", "alarm"), [(one["feed"], one["alarm"]) for one in found["alarms"]]),
        ("worst feeds", ("feed", "failures#", "problem"), [tuple(one.values()) for one in found["worst"]]),
        ("next polls", ("feed", "at (UTC)"), [_next_row(one) for one in found["next"]]),
    ):
        if rows:
            sys.stdout.write("\n")
            print_table(columns, rows, title)
