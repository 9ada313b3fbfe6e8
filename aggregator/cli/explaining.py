"""The command that says why: explain."""

from __future__ import annotations

import argparse
import sys

from aggregator.cli.screen import print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.explaining import Explanation, Pair, explain_entry, explain_pair
from aggregator.store import find_store
from aggregator.types import EntryId


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """Prints why an entry is in its event, or why two entries are together or not."""
    entry = EntryId(arguments.entry)
    store = find_store(settings.database)
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
    entry, decision = explanation.entry, explanation.decision
    sys.stdout.write(f"Entry {entry.id}: {entry.title or entry.text[:80]} ({entry.source})\n")
    if explanation.event_id is None or decision is None:
        sys.stdout.write(f"is in no event yet: {explanation.rule}.\n")
        return
    entries = "1 entry" if decision.size == 1 else f"{decision.size} entries"
    sys.stdout.write(f"is in event {explanation.event_id} ({entries}) because {explanation.rule}.\n")
    sys.stdout.write(
        f"\nDecided at {decision.at:%Y-%m-%d %H:%M} UTC among {abs(decision.among):,} entries in the window; "
        f"{decision.seen} of them share telling words with it (weights: {decision.model}).\n"
    )
    if explanation.pairs:
        sys.stdout.write(
            "The likeliest are below, with the likelihood of telling the same event: "
            f"{decision.threshold:.0%} is enough for two entries to be put together.\n\n"
        )
        print_table(
            ("entry#", "likelihood#", "in its event", "source", "title", "why"),
            [
                (
                    pair.other.id,
                    _percent(pair.probability),
                    "yes" if pair.together else "no",
                    pair.other.source,
                    pair.other.title,
                    pair.reason,
                )
                for pair in explanation.pairs
            ],
        )


def _percent(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.0%}"


def _print_pair(pair: Pair) -> None:
    for entry in (pair.entry, pair.other):
        sys.stdout.write(f"Entry {entry.id}: {entry.title or entry.text[:80]} ({entry.source})\n")
    sys.stdout.write(
        f"\nThey are {pair.verdict}.\n{pair.reason}.\nPublished {pair.hours_apart:g} hours apart; "
        f"their beginnings share {pair.shared_words:.0%} of all words and pairs of words.\n"
    )
    if pair.told:
        sys.stdout.write(
            "\nWhat the likelihood was weighed from, as it was at the time: each figure, its usual value among "
            "candidates, and how much it spoke for (+) or against (-) the same event, in log-odds:\n\n"
        )
        print_table(
            ("figure", "value#", "usual#", "speaks#"),
            [
                (one.feature, f"{one.value:.2f}", f"{one.usual:.2f}", f"{one.weight:+.2f}")
                for one in pair.told
            ],
        )


def _explanation_json(explanation: Explanation) -> dict[str, object]:
    decision = explanation.decision
    found: dict[str, object] = {
        "entry_id": explanation.entry.id,
        "title": explanation.entry.title,
        "event_id": explanation.event_id,
        "rule": explanation.rule,
    }
    if decision is not None:
        found |= {
            "decided_at": decision.at.isoformat(),
            "decided_by": decision.rule,
            "entry_count": decision.size,
            "mean_probability": decision.mean,
            "threshold": decision.threshold,
            "entries_in_window": abs(decision.among),
            "candidates": decision.seen,
            "weights": decision.model,
        }
    return found | {"compared": [_pair_json(pair) for pair in explanation.pairs]}


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
        "shared_words": pair.shared_words,
        "features": dict(pair.features),
        "weights": {one.feature: one.weight for one in pair.told},
    }
