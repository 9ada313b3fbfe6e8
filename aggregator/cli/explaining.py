"""The command that says why: explain."""

from __future__ import annotations

import argparse
import sys

from aggregator.cli.screen import print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.explaining import Explanation, Pair, explain_entry, explain_pair
from aggregator.store import open_store
from aggregator.types import EntryId


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """Prints why an entry is in its event, or why two entries are together or not."""
    entry = EntryId(arguments.entry)
    store = open_store(settings.database)
    try:
        with store.read() as db:
            if arguments.other is None:
                explanation = explain_entry(db, entry, settings)
                pair = None
            else:
                explanation = None
                pair = explain_pair(db, entry, EntryId(arguments.other), settings)
    finally:
        store.close()
    if explanation is not None:
        print_json(_explanation_json(explanation)) if arguments.json else _print_explanation(explanation)
        return 0
    if pair is not None:
        print_json(_pair_json(pair)) if arguments.json else _print_pair(pair)
        return 0
    missing = (
        f"no entry {entry}" if arguments.other is None else f"no entry {entry} or no entry {arguments.other}"
    )
    sys.stderr.write(
        f"aggregator: there is {missing}: `event show ID --format json` lists an event's entries\n"
    )
    return 1


def _print_explanation(explanation: Explanation) -> None:
    entry = explanation.entry
    sys.stdout.write(f"Entry {entry.id}: {entry.title or entry.text[:80]} ({entry.source})\n")
    if explanation.event_id is not None:
        entries = "1 entry" if explanation.entry_count == 1 else f"{explanation.entry_count} entries"
        sys.stdout.write(f"is in event {explanation.event_id} ({entries}) because {explanation.rule}.\n")
    else:
        sys.stdout.write(f"is in no event yet: {explanation.rule}.\n")
    if explanation.pairs:
        sys.stdout.write(
            "\nIt was compared with these entries. The likelihood is that of telling the same event: "
            f"{explanation.threshold:.0%} is enough for two entries to be put together.\n\n"
        )
        print_table(
            ("entry#", "likelihood#", "in its event", "source", "title", "why"),
            [
                (
                    pair.other.id,
                    f"{pair.probability:.0%}",
                    "yes" if pair.together else "no",
                    pair.other.source,
                    pair.other.title,
                    pair.reason,
                )
                for pair in explanation.pairs
            ],
        )


def _print_pair(pair: Pair) -> None:
    for entry in (pair.entry, pair.other):
        sys.stdout.write(f"Entry {entry.id}: {entry.title or entry.text[:80]} ({entry.source})\n")
    sys.stdout.write(
        f"\nThey are {pair.verdict}.\n{pair.reason}; published {pair.hours_apart:g} hours apart.\n\n"
    )
    sys.stdout.write("What the likelihood was weighed from (0: nothing in common, 1: all in common):\n\n")
    print_table(("feature", "value#"), [(name, f"{value:.2f}") for name, value in pair.features.items()])


def _explanation_json(explanation: Explanation) -> dict[str, object]:
    return {
        "entry_id": explanation.entry.id,
        "title": explanation.entry.title,
        "event_id": explanation.event_id,
        "entry_count": explanation.entry_count,
        "rule": explanation.rule,
        "threshold": explanation.threshold,
        "compared": [_pair_json(pair) for pair in explanation.pairs],
    }


def _pair_json(pair: Pair) -> dict[str, object]:
    return {
        "entry_id": pair.entry.id,
        "other_entry_id": pair.other.id,
        "other_title": pair.other.title,
        "other_source": pair.other.source,
        "together": pair.together,
        "verdict": pair.verdict,
        "probability": pair.probability,
        "is_copy": pair.is_copy,
        "reason": pair.reason,
        "hours_apart": pair.hours_apart,
        "features": dict(pair.features),
    }
