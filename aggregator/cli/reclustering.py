"""The command that groups anew: recluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aggregator.cli.screen import print_json, print_table, progress_bar
from aggregator.config import Settings
from aggregator.pipeline.reclustering import (
    Difference,
    Part,
    difference,
    events_since,
    margin,
    newest,
    regroup,
    scratch_copy,
)
from aggregator.pipeline.shares import LEAST_SHARED
from aggregator.store import Store, find_store
from aggregator.store.office import Office
from aggregator.store.reads import titles_of
from aggregator.types import EntryId
from aggregator.workers import OnDemand, core_count

SHOWN = 20
"""Lines of each kind of change; --json has all."""


def recluster(settings: Settings, arguments: argparse.Namespace) -> int:
    """Groups the newest entries anew, or only says what that would change."""
    store = find_store(settings.database)
    try:
        since = arguments.since or _default_since(store, settings)
        if since is None:
            sys.stderr.write("aggregator: nothing is grouped yet: poll feeds or import a file\n")
            return 1
        if arguments.dry_run:
            with scratch_copy(store, settings, since) as scratch:
                found = _regroup(scratch, settings, since, arguments.cores)
        else:
            with Office(store, "cluster") as office:
                elected = office.seek()
                if elected is None:
                    sys.stderr.write(
                        "aggregator: another process groups the entries of this database: stop it first "
                        "(--dry-run works beside it)\n"
                    )
                    return 1
                found = _regroup(elected, settings, since, arguments.cores)
        with store.read() as db:
            entries = {part.entries[0] for part in (*found.merged, *found.split, *found.moved)}
            titles = titles_of(db, entries)
    finally:
        store.close()
    if arguments.json:
        print_json(_as_json(found, since, dry_run=arguments.dry_run))
    else:
        _print(found, since, titles, dry_run=arguments.dry_run)
    return 0


def _default_since(store: Store, settings: Settings) -> datetime | None:
    last = newest(store)
    return last and last - timedelta(days=settings.window_days)


def _regroup(store: Store, settings: Settings, since: datetime, cores: int | None) -> Difference:
    start = since - margin(settings)
    before = events_since(store, start)
    # Few entries are weighed before a process could help.
    with (
        OnDemand(1 if len(before) < LEAST_SHARED else cores or core_count()) as crew,
        _bar(len(before)) as advance,
    ):
        for count in regroup(store, settings, since, crew):
            advance(count)
    return difference(before, events_since(store, start))


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    with progress_bar("grouping", total) as steps:
        yield steps.advance


def _print(found: Difference, since: datetime, titles: Mapping[EntryId, str], *, dry_run: bool) -> None:
    start = f"{since:%Y-%m-%d %H:%M}"
    sys.stdout.write(
        f"{found.entries:,} entries looked at (published since {start} UTC, or near to those in time): "
        f"{found.before:,} events, {found.after:,} afterwards\n"
    )
    _print_parts("events that end", "goes into event#", found.merged, titles)
    _print_parts("parts that become events", "", found.split, titles)
    _print_parts("entries that move", "to event#", found.moved, titles)
    if not (found.merged or found.split or found.moved):
        sys.stdout.write("Nothing changes.\n" if dry_run else "Nothing has changed.\n")
    elif dry_run:
        sys.stdout.write("\nNothing is changed yet: `recluster` without --dry-run does it.\n")
    else:
        sys.stdout.write("\nThis is done; every change is in the change log (v1_change).\n")


def _print_parts(what: str, where: str, parts: Sequence[Part], titles: Mapping[EntryId, str]) -> None:
    if not parts:
        return
    sys.stdout.write(f"\n{len(parts):,} {what}:\n")
    columns = ["event#", "entries#", "the first of them", *([where] if where else [])]
    print_table(
        columns,
        [
            (part.event, len(part.entries), titles.get(part.entries[0], ""), *([part.other] if where else []))
            for part in parts[:SHOWN]
        ],
    )
    if len(parts) > SHOWN:
        sys.stdout.write(f"... and {len(parts) - SHOWN:,} more (--json has all)\n")


def _as_json(found: Difference, since: datetime, *, dry_run: bool) -> dict[str, Any]:
    def listed(parts: Sequence[Part], other: str) -> list[dict[str, Any]]:
        return [
            {"event_id": part.event, other: part.other, "entry_ids": list(part.entries)} for part in parts
        ]

    split: list[dict[str, Any]] = [
        {
            "event_id": part.event,
            # In a dry run the new event has no id yet.
            "new_event_id": None if dry_run else part.other,
            "entry_ids": list(part.entries),
        }
        for part in found.split
    ]
    return {
        "dry_run": dry_run,
        "since": since.astimezone(UTC).isoformat(),
        "entries": found.entries,
        "events_before": found.before,
        "events_after": found.after,
        "merged": listed(found.merged, "into_event_id"),
        "split": split,
        "moved": listed(found.moved, "to_event_id"),
    }
