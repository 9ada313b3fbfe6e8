"""The command that measures grouping: evaluate."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from aggregator.cli.screen import print_json, print_table, progress_bar
from aggregator.cluster.metrics import Agreement, Scores
from aggregator.config import Settings
from aggregator.pipeline.evaluating import Evaluation, LabelsError, evaluate, read_labels
from aggregator.pipeline.sources import UnreadableFileError, open_lines


def evaluate_file(settings: Settings, arguments: argparse.Namespace) -> int:
    """Groups a file's entries in a scratch database and compares the events with the labels."""
    try:
        labels = read_labels(Path(arguments.labels))
        with open_lines(arguments.file) as lines:
            entries = list(lines)
        runs = 2 + arguments.orders if arguments.orders else 1
        with progress_bar("grouping", runs) as steps:
            evaluation = evaluate(entries, labels, settings, arguments.orders, steps.advance)
    except (LabelsError, UnreadableFileError) as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1
    if arguments.json:
        print_json(_evaluation_json(evaluation))
    else:
        _print_evaluation(evaluation)
    return 0


def _print_evaluation(evaluation: Evaluation) -> None:
    found = evaluation.agreement
    sys.stdout.write(
        f"{evaluation.entries:,} entries ({evaluation.unlabelled:,} without a label, {evaluation.missing:,} labels "
        f"without an entry), {found.groups:,} events, {found.reference_groups:,} labelled, "
        f"{evaluation.per_second:,.0f} entries grouped a second\n\n"
    )
    rows = [
        ("pairwise", *_shown(found.pairwise)),
        ("B-cubed", *_shown(found.bcubed)),
        ("ARI", "", "", f"{found.ari:.4f}"),
    ]
    print_table(("all", "precision#", "recall#", "F1#"), rows)
    sys.stdout.write("\n")
    print_table(
        ("relation", "entries#", "labelled like the canonical entry#"),
        [(name.value, count, f"{right:.4f}") for name, (count, right) in evaluation.by_relation.items()],
    )
    sys.stdout.write("\n")
    print_table(
        ("labelled group of", "entries#", "B-cubed precision#", "recall#", "F1#"),
        [(_range(least, most), count, *_shown(scores)) for least, most, count, scores in evaluation.by_size],
    )
    if len(evaluation.orders) > 1:
        sys.stdout.write("\n")
        print_table(
            ("order of arrival", "pairwise F1#", "B-cubed F1#", "pairs that differ from the first#"),
            [
                (name, f"{run.pairwise.f1:.4f}", f"{run.bcubed.f1:.4f}", f"{apart:.2%}")
                for name, run, apart in evaluation.orders
            ],
        )


def _shown(scores: Scores) -> tuple[str, str, str]:
    return f"{scores.precision:.4f}", f"{scores.recall:.4f}", f"{scores.f1:.4f}"


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} and more"
    return str(least) if least == most else f"{least} to {most}"


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "entries": evaluation.entries,
        "unlabelled": evaluation.unlabelled,
        "missing": evaluation.missing,
        "entries_per_second": round(evaluation.per_second, 1),
        **_agreement_json(evaluation.agreement),
        "by_relation": {
            name.value: {"entries": count, "precision": right}
            for name, (count, right) in evaluation.by_relation.items()
        },
        "by_size": [
            {"least": least, "most": most, "entries": count, "bcubed": _scores_json(scores)}
            for least, most, count, scores in evaluation.by_size
        ],
        "orders": [
            {"order": name, **_agreement_json(run), "pairs_that_differ": apart}
            for name, run, apart in evaluation.orders
        ],
    }


def _agreement_json(found: Agreement) -> dict[str, Any]:
    return {
        "pairwise": _scores_json(found.pairwise),
        "bcubed": _scores_json(found.bcubed),
        "ari": found.ari,
        "clusters": found.groups,
        "gold": found.reference_groups,
    }


def _scores_json(scores: Scores) -> dict[str, float]:
    return {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
