"""How well events are found: the whole flow, with the shipped weights, on halves that these were not fitted to.

`python benchmarks/events.py FOLDER`: FOLDER holds the labelled sets (NAME.jsonl, NAME.labels.tsv). The second half
of each set is imported and grouped as a stream; then in five random orders of arrival; then at other thresholds, to
see what choosing one for each set would gain. Copies are checked by themselves. With AGGREGATOR_SEMANTIC=1 it does
the same by the extra [semantic].
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import text

from aggregator.cluster.assign import SAME_EVENT
from aggregator.config import load_settings
from aggregator.pipeline.calibrating import groupings_with, halves, labelled_entries, network_of
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.evaluating import evaluate, read_labels
from aggregator.pipeline.importing import import_lines
from aggregator.store import open_store

SETS = ("neus", "neus_sparse", "uci_part", "fr_oneday")
THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
ORDERS = 5


def main() -> None:
    """Prints a line or two for each set."""
    folder = Path(sys.argv[1])
    settings = load_settings({})
    for name in SETS:
        lines = (folder / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        labels = read_labels(folder / f"{name}.labels.tsv")
        _, second = halves(labelled_entries(lines, labels, semantic=settings.semantic))
        events = set(second.events)
        labels = {entry: event for entry, event in labels.items() if event in events}
        lines = [line for line in lines if json.loads(line)["id"] in labels]
        found = evaluate(lines, labels, settings, ORDERS, lambda: None)
        pairs, cubed = found.agreement.pairwise, found.agreement.bcubed
        print(
            f"{name:12} {found.entries:6} entries  pairwise P {pairs.precision:.3f} R {pairs.recall:.3f} "
            f"F1 {pairs.f1:.3f}  B-cubed P {cubed.precision:.3f} R {cubed.recall:.3f} F1 {cubed.f1:.3f}"
        )
        print(
            "    orders of arrival: "
            + ", ".join(f"{run} {one.bcubed.f1:.3f} ({apart:.2%})" for run, one, apart in found.orders)
        )
        print("    B-cubed F1 by size of the labelled group: " + ", ".join(
            f"{least}-{most or ''} {scores.f1:.3f} ({count})" for least, most, count, scores in found.by_size
        ))  # fmt: skip
        tried = groupings_with(network_of(settings), second, settings.window_days, THRESHOLDS)
        by_threshold = {least: one.bcubed.f1 for least, one in zip(THRESHOLDS, tried, strict=True)}
        best = max(by_threshold, key=lambda least: by_threshold[least])
        print(
            f"    at once, by threshold: {', '.join(f'{t} {f1:.3f}' for t, f1 in by_threshold.items())}; "
            f"{SAME_EVENT} loses {by_threshold[best] - by_threshold[SAME_EVENT]:.3f}"
        )
        count, right = _copies(lines, labels)
        print(f"    pairs called copies: {count}, labelled alike {right / max(1, count):.4f}", flush=True)


def _copies(lines: list[bytes], labels: dict[str, str]) -> tuple[int, int]:
    """How many pairs are called copies, and how many of them are of one labelled event."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/scratch.db")
        for _ in import_lines(store, lines, utc_now()):
            continue
        for _ in Clusterer(store, load_settings({}), utc_now).work():
            continue
        query = (
            "SELECT one.guid, other.guid FROM link JOIN entry one ON one.id = link.a "
            "JOIN entry other ON other.id = link.b WHERE link.is_copy"
        )
        with store.read() as db:
            pairs = db.execute(text(query)).all()
        store.close()
    return len(pairs), sum(labels[one] == labels[other] for one, other in pairs)


if __name__ == "__main__":
    main()
