"""The commands that correct events: event merge, split, pin and unpin."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from aggregator.cli.screen import print_json
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.correcting import Corrected, CorrectionError, merge, pin, release, split
from aggregator.store import Store, find_store
from aggregator.types import EntryId, EventId


def merge_command(settings: Settings, arguments: argparse.Namespace) -> int:
    """Makes two events one; exit status 1 if that can't be."""
    return _correct(
        settings,
        arguments,
        lambda store: merge(store, EventId(arguments.id), EventId(arguments.other), utc_now()),
        "Event {other} is now part of event {event}.",
        "This takes back what an earlier split said of them.",
    )


def split_command(settings: Settings, arguments: argparse.Namespace) -> int:
    """Makes entries of an event one of their own; exit status 1 if that can't be."""
    return _correct(
        settings,
        arguments,
        lambda store: split(
            store, EventId(arguments.id), [EntryId(one) for one in arguments.entries], utc_now()
        ),
        "These entries of event {event} are now event {other}.",
        "This takes back what an earlier merge said of them.",
    )


def pin_command(settings: Settings, arguments: argparse.Namespace) -> int:
    """Makes an entry the record of its event; exit status 1 if it has none."""
    return _correct(
        settings,
        arguments,
        lambda store: pin(store, EntryId(arguments.entry), utc_now()),
        "The entry is now the record of event {event}.",
        "It takes the place of the entry that was pinned before.",
    )


def unpin_command(settings: Settings, arguments: argparse.Namespace) -> int:
    """Lets the record of an event be chosen again; exit status 1 if the entry is not pinned."""
    return _correct(
        settings,
        arguments,
        lambda store: release(store, EntryId(arguments.entry), utc_now()),
        "The record of event {event} is chosen again.",
        "",
    )


def _correct(
    settings: Settings,
    arguments: argparse.Namespace,
    correction: Callable[[Store], Corrected],
    done: str,
    instead: str,
) -> int:
    store = find_store(settings.database)
    try:
        corrected = correction(store)
    except CorrectionError as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1
    finally:
        store.close()
    if arguments.json:
        print_json(
            {
                "event_id": corrected.event,
                "other_event_id": corrected.other,
                "corrections_taken_back": corrected.overruled,
            }
        )
        return 0
    sys.stdout.write(done.format(event=corrected.event, other=corrected.other) + "\n")
    if corrected.overruled:
        sys.stdout.write(instead + "\n")
    return 0
