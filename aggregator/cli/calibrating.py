"""The command that makes weights: calibrate."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from aggregator.cli.screen import print_json, print_table, progress_bar
from aggregator.cluster.metrics import Agreement
from aggregator.cluster.network import written
from aggregator.config import Settings
from aggregator.pipeline.calibrating import (
    Labelled,
    examples,
    fitted,
    grouping_with,
    halves,
    labelled_entries,
    network_of,
)
from aggregator.pipeline.evaluating import LabelsError, read_labels
from aggregator.pipeline.learning import Learned, TooFewCorrectionsError, learn
from aggregator.pipeline.sources import UnreadableFileError, open_lines
from aggregator.store import find_store

FEWEST_EVENTS = 20


def calibrate(settings: Settings, arguments: argparse.Namespace) -> int:
    """Moves the weights towards labelled entries, or towards the corrections in the database."""
    try:
        if arguments.file is None:
            return _from_corrections(settings, arguments)
        return _from_labels(settings, arguments)
    except (LabelsError, UnreadableFileError, TooFewCorrectionsError) as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(
            f"aggregator: {arguments.output}: can't be written ({error.strerror}): name another with --output\n"
        )
        return 1


def _from_labels(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.labels is None:
        raise LabelsError("calibrate needs FILE and LABELS, or neither: then it learns from corrections")
    labels = read_labels(Path(arguments.labels))
    with open_lines(arguments.file) as lines:
        entries = list(lines)
    with progress_bar("calibrating", 5) as steps:
        old = network_of(settings)
        labelled = labelled_entries(entries, labels, semantic=old.semantic)
        steps.advance()
        _check(labelled, arguments.file)
        first, second = halves(labelled)
        judged = examples(first, settings.window_days, semantic=old.semantic)
        steps.advance()
        new = fitted(judged, f"{Path(arguments.file).name} {datetime.now(UTC):%Y-%m-%d}", old)
        steps.advance()
        found = []
        for network in (old, new):
            found.append(grouping_with(network, second, settings.window_days))
            steps.advance()
    provenance = f"{old.name}, moved towards {Path(arguments.file).name}"
    Path(arguments.output).write_text(written(new, provenance), encoding="utf-8")
    _print(found[0], found[1], len(second.entries), arguments)
    return 0


def _from_corrections(settings: Settings, arguments: argparse.Namespace) -> int:
    old = network_of(settings)
    name = f"corrections {datetime.now(UTC):%Y-%m-%d}"
    store = find_store(settings.database)
    learned: Learned | None = None
    try:
        with progress_bar("calibrating", 4) as steps:
            for step in learn(store, settings.window_days, old, name):
                learned = step
                steps.advance()
    finally:
        store.close()
    assert learned is not None
    provenance = f"{old.name}, moved towards {learned.cases} corrected events"
    Path(arguments.output).write_text(written(learned.network, provenance), encoding="utf-8")
    _print_learned(learned, arguments)
    return 0


def _check(labelled: Labelled, file: str) -> None:
    if (count := len(set(labelled.events))) < FEWEST_EVENTS:
        raise LabelsError(
            f"{file} has {count} labelled events: at least {FEWEST_EVENTS} are needed, half of them to fit, half "
            "to see whether it helped"
        )


def _print(old: Agreement, new: Agreement, entries: int, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json(
            {
                "entries": entries,
                "weights": str(arguments.output),
                **{
                    name: {
                        measure: {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
                        for measure, scores in (("pairwise", found.pairwise), ("bcubed", found.bcubed))
                    }
                    for name, found in (("before", old), ("after", new))
                },
            }
        )
        return
    sys.stdout.write(f"{entries:,} entries of events that were not used for fitting:\n\n")
    print_table(
        ("weights", "pairwise precision#", "recall#", "B-cubed precision#", "recall#", "F1#"),
        [
            (
                name,
                *(
                    f"{value:.4f}"
                    for value in (
                        found.pairwise.precision,
                        found.pairwise.recall,
                        found.bcubed.precision,
                        found.bcubed.recall,
                        found.bcubed.f1,
                    )
                ),
            )
            for name, found in (("before", old), ("after", new))
        ],
    )
    _say_written(arguments)


def _print_learned(learned: Learned, arguments: argparse.Namespace) -> None:
    told = (("before", learned.before), ("after", learned.after))
    if arguments.json:
        print_json(
            {
                "cases": learned.cases,
                "weights": str(arguments.output),
                **{
                    name: {
                        "corrected_pairs": one.said,
                        "judged_as_corrected": one.right,
                        "pairs_around": one.around,
                        "judged_as_they_stand": one.kept,
                    }
                    for name, one in told
                },
            }
        )
        return
    sys.stdout.write(
        f"{learned.cases:,} separate events that people corrected. Weights fitted to half of them judge the other "
        "half:\n\n"
    )
    print_table(
        ("weights", "corrected pairs judged as people said#", "pairs around them judged as they stand#"),
        [(name, f"{one.right:,} of {one.said:,}", f"{one.kept:,} of {one.around:,}") for name, one in told],
    )
    sys.stdout.write("\nThe weights that are written were fitted to all of them.\n")
    _say_written(arguments)


def _say_written(arguments: argparse.Namespace) -> None:
    sys.stdout.write(
        f"\nWritten to {arguments.output}. To use them: AGGREGATOR_WEIGHTS={arguments.output}, or "
        f"--weights {arguments.output}; `recluster --dry-run` shows what would change.\n"
    )
