"""Fits the weights that ship with the program, and shows how they group what they have not seen.

`python benchmarks/calibrate.py FOLDER [--write]`: FOLDER holds the labelled sets (NAME.jsonl, NAME.labels.tsv).
Weights are fitted on the first half of the events of each set and on made-up look-alikes; the figures are of the
other halves, at the shipped threshold. `--write` puts the weights into the package.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from counterfeits import counterfeits
from lookalikes import lookalikes

from aggregator.cluster.network import Network, written
from aggregator.pipeline.calibrating import (
    Examples,
    Labelled,
    examples,
    fitted,
    grouping_with,
    halves,
    labelled_entries,
    thinned,
    together,
)
from aggregator.pipeline.evaluating import read_labels

DAYS = 3.0
SETS = {"neus": 0.5, "neus_sparse": 1.0, "uci_part": 1.0, "fr_oneday": 0.5}
"""The sets fitted, and what each of them counts."""

LOOKALIKES, AMONG_NEWS, MIXED = 0.5, 0.5, 0.7
COUNTERFEITS = {"neus_sparse": 0.5, "uci_part": 0.5, "fr_oneday": 0.3}
"""Sets of which counterfeits are made, too, and what these count."""

WEIGHTS = Path(__file__).parent.parent / "aggregator" / "cluster" / "weights.json"


def main() -> None:
    """Fits, prints, and writes if asked to."""
    folder = Path(sys.argv[1])
    sets = {name: halves(_read(folder, name)) for name in SETS}
    disguised = {
        name: tuple(_disguised(folder, name, half, seed) for seed, half in enumerate(sets[name], 1))
        for name in COUNTERFEITS
    }
    made_up = tuple(_lookalikes(suffix) for suffix in "ab")
    judged = _all_examples([first for first, _ in sets.values()], made_up[0])
    judged += [examples(disguised[name][0], DAYS, weight)[0] for name, weight in COUNTERFEITS.items()]
    network = fitted(judged, f"{datetime.now(UTC):%Y-%m-%d}")
    for name, (_, second) in sets.items():
        _report(name, network, second)
        for share in (1 / 3, 1 / 10):
            _report(f"{name}, {share:.0%} of it", network, thinned(second, share))
    _report("all together", network, together([sets[name][1] for name in SETS if name != "neus"]))
    for name in COUNTERFEITS:
        _report(f"{name} and counterfeits", network, disguised[name][1])
    _report("look-alikes", network, made_up[1])
    _report("look-alikes among news", network, _among_news(made_up[1], sets["neus_sparse"][1]))
    if "--write" in sys.argv:
        provenance = (
            f"Fitted by `python benchmarks/calibrate.py FOLDER --write` on the first halves of {', '.join(SETS)}, "
            "on counterfeits of them (benchmarks/counterfeits.py) and on benchmarks/lookalikes.py, set a. "
            "docs/benchmarks.md has the figures of the second halves."
        )
        WEIGHTS.write_text(written(network, provenance), encoding="utf-8")


def _read(folder: Path, name: str) -> Labelled:
    return labelled_entries(_lines(folder, name), read_labels(folder / f"{name}.labels.tsv"))


def _lines(folder: Path, name: str) -> list[bytes]:
    return (folder / f"{name}.jsonl").read_bytes().splitlines(keepends=True)


def _disguised(folder: Path, name: str, half: Labelled, seed: int) -> Labelled:
    """A half of a set, with counterfeits of its events."""
    labels = read_labels(folder / f"{name}.labels.tsv")
    events = set(half.events)
    labels = {entry: event for entry, event in labels.items() if event in events}
    lines = [line for line in _lines(folder, name) if json.loads(line)["id"] in labels]
    return labelled_entries(*counterfeits(lines, labels, seed))


def _lookalikes(suffix: str) -> Labelled:
    lines, labels = lookalikes(suffix)
    return labelled_entries(lines, labels)


def _among_news(made_up: Labelled, news: Labelled) -> Labelled:
    return together([made_up, thinned(news, 1 / 3)])


def _all_examples(first: list[Labelled], made_up: Labelled) -> list[Examples]:
    by_name = dict(zip(SETS, first, strict=True))
    found = [one for name, labelled in by_name.items() for one in examples(labelled, DAYS, SETS[name])]
    found += examples(made_up, DAYS, LOOKALIKES)
    found += examples(_among_news(made_up, by_name["neus_sparse"]), DAYS, AMONG_NEWS)[:1]
    found += examples(together([by_name[name] for name in SETS if name != "neus"]), DAYS, MIXED)[:1]
    return found


def _report(name: str, network: Network, labelled: Labelled) -> None:
    found = grouping_with(network, labelled, DAYS)
    print(
        f"{name:30} {len(labelled.entries):6} entries  pairwise P {found.pairwise.precision:.3f} "
        f"R {found.pairwise.recall:.3f} F1 {found.pairwise.f1:.3f}  B-cubed P {found.bcubed.precision:.3f} "
        f"R {found.bcubed.recall:.3f} F1 {found.bcubed.f1:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
