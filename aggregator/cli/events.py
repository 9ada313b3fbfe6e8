"""The commands that show events: events, and event show."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from aggregator.cli.screen import age, print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.publish import event_json, event_text, summary_json
from aggregator.store import Store, find_store
from aggregator.store.reads import event_record, latest_events
from aggregator.types import EventId, EventSummary


def list_events(settings: Settings, arguments: argparse.Namespace) -> int:
    """A table (or JSON) of events, those that grew last first."""
    store = find_store(settings.database)
    try:
        with store.read() as db:
            events = latest_events(db, arguments.limit, " ".join(arguments.words))
    finally:
        store.close()
    if arguments.json:
        print_json([summary_json(event) for event in events])
    elif events:
        print_events(events)
    else:
        found = (
            "No event has these words." if arguments.words else "No events yet: poll feeds or import a file."
        )
        sys.stdout.write(f"{found}\n")
    return 0


def print_events(events: Sequence[EventSummary]) -> None:
    """The events as a table."""
    now = utc_now()
    rows = [
        (
            event.id,
            age(event.published_at, now),
            event.lang,
            event.entry_count,
            event.source_count,
            event.source,
            event.title or "(no title)",
        )
        for event in events
    ]
    print_table(("id#", "age#", "lang", "entries#", "sources#", "source", "title"), rows)


def show_event(settings: Settings, arguments: argparse.Namespace) -> int:
    """One event's record on standard output; exit status 1 if there is no event of that id."""
    store = find_store(settings.database)
    try:
        return print_event(store, EventId(arguments.id), arguments.format)
    finally:
        store.close()


def print_event(store: Store, event: EventId, form: str) -> int:
    """The record as text or JSON; of a merged event, where it went."""
    with store.read() as db:
        record = event_record(db, event)
    if record is None:
        sys.stderr.write(f"aggregator: there is no event {event}: see `events` for their ids\n")
        return 1
    if form == "json":
        print_json(event_json(record))
        return 0
    if record.merged_into is not None:
        sys.stderr.write(f"aggregator: event {event} was merged into event {record.merged_into}\n")
    sys.stdout.write(event_text(record))
    return 0
