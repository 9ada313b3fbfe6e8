"""Fits the weights that ship with the program, and shows how they group what they have not seen.

`python benchmarks/calibrate.py FOLDER [--semantic] [--write]`: FOLDER holds the labelled sets (NAME.jsonl and
NAME.labels.tsv). Weights are fitted on the first half of the events of each set and on made-up look-alikes; the
figures are of the other halves, at the shipped threshold. `--write` puts the weights into the package. With
`--semantic` it is about the weights for what texts mean, fitted to made-up events in several languages besides.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from counterfeits import counterfeits
from languages import told_in_languages
from lookalikes import lookalikes

from aggregator.cluster.network import Network, written
from aggregator.pipeline.calibrating import (
    Examples,
    Labelled,
    examples,
    fitted,
    grouping_with,
    groups_with,
    halves,
    labelled_entries,
    thinned,
    together,
)
from aggregator.pipeline.evaluating import read_labels
from aggregator.types import EntryId

DAYS = 3.0
SETS = {"neus": 0.5, "neus_sparse": 1.0, "uci_part": 1.0, "fr_oneday": 0.5}
"""The sets fitted, and what each of them counts."""

LOOKALIKES, AMONG_NEWS, MIXED = 0.5, 0.5, 0.7
COUNTERFEITS = {"neus_sparse": 0.5, "uci_part": 0.5, "fr_oneday": 0.3}
"""Sets of which counterfeits are made, too, and what these count."""

SEMANTIC = "--semantic" in sys.argv
IN_LANGUAGES, FOREIGN_NEWS = 0.5, 0.5
"""What the events in several languages count, alone and among news in two languages of other years."""

WEIGHTS = Path(__file__).parent.parent / "aggregator" / "cluster"


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
    judged += [_examples(disguised[name][0], weight)[0] for name, weight in COUNTERFEITS.items()]
    told = tuple(_told_in_languages(suffix) for suffix in "ab")
    foreign = [_among_foreign(told[half], [sets[name][half] for name in SETS]) for half in (0, 1)]
    if SEMANTIC:
        judged += [
            _examples(told[0], IN_LANGUAGES)[0],
            _examples(foreign[0], FOREIGN_NEWS)[0],
        ]
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
    _report("in several languages", network, told[1])
    _report("in several languages, in news", network, foreign[1])
    _report_foreign(network, foreign[1])
    if "--write" in sys.argv:
        provenance = (
            f"Fitted by `python benchmarks/calibrate.py FOLDER {'--semantic ' if SEMANTIC else ''}--write` on the "
            f"first halves of {', '.join(SETS)}, on counterfeits of them (benchmarks/counterfeits.py) and on "
            f"benchmarks/lookalikes.py, set a{' and benchmarks/languages.toml, half a' if SEMANTIC else ''}. "
            "docs/benchmarks.md has the figures of the second halves."
        )
        file = WEIGHTS / ("weights_semantic.json" if SEMANTIC else "weights.json")
        file.write_text(written(network, provenance), encoding="utf-8")


def _read(folder: Path, name: str) -> Labelled:
    labels = read_labels(folder / f"{name}.labels.tsv")
    return labelled_entries(_lines(folder, name), labels, semantic=SEMANTIC)


def _examples(labelled: Labelled, weight: float) -> list[Examples]:
    return examples(labelled, DAYS, weight, semantic=SEMANTIC)


def _lines(folder: Path, name: str) -> list[bytes]:
    return (folder / f"{name}.jsonl").read_bytes().splitlines(keepends=True)


def _disguised(folder: Path, name: str, half: Labelled, seed: int) -> Labelled:
    """A half of a set, with counterfeits of its events."""
    labels = read_labels(folder / f"{name}.labels.tsv")
    events = set(half.events)
    labels = {entry: event for entry, event in labels.items() if event in events}
    lines = [line for line in _lines(folder, name) if json.loads(line)["id"] in labels]
    return labelled_entries(*counterfeits(lines, labels, seed), semantic=SEMANTIC)


def _lookalikes(suffix: str) -> Labelled:
    lines, labels = lookalikes(suffix)
    return labelled_entries(lines, labels, semantic=SEMANTIC)


def _told_in_languages(suffix: str) -> Labelled:
    return labelled_entries(*told_in_languages(suffix), semantic=SEMANTIC)


def _among_foreign(told: Labelled, news: list[Labelled]) -> Labelled:
    """Events in several languages among news of other years, in English and French, that tell none of them."""
    return together([told, *(thinned(one, 1 / 3) for one in news[1:])])


def _among_news(made_up: Labelled, news: Labelled) -> Labelled:
    return together([made_up, thinned(news, 1 / 3)])


def _all_examples(first: list[Labelled], made_up: Labelled) -> list[Examples]:
    by_name = dict(zip(SETS, first, strict=True))
    found = [one for name, labelled in by_name.items() for one in _examples(labelled, SETS[name])]
    found += _examples(made_up, LOOKALIKES)
    found += _examples(_among_news(made_up, by_name["neus_sparse"]), AMONG_NEWS)[:1]
    found += _examples(together([by_name[name] for name in SETS if name != "neus"]), MIXED)[:1]
    return found


def _report(name: str, network: Network, labelled: Labelled) -> None:
    found = grouping_with(network, labelled, DAYS)
    print(
        f"{name:30} {len(labelled.entries):6} entries  pairwise P {found.pairwise.precision:.3f} "
        f"R {found.pairwise.recall:.3f} F1 {found.pairwise.f1:.3f}  B-cubed P {found.bcubed.precision:.3f} "
        f"R {found.bcubed.recall:.3f} F1 {found.bcubed.f1:.3f}",
        flush=True,
    )


def _report_foreign(network: Network, labelled: Labelled) -> None:
    """Of the pairs in two languages that are put into one event how many belong there, and of those that do."""
    groups = groups_with(network, labelled, DAYS)
    known = {
        entry.id: (entry.lang, event) for entry, event in zip(labelled.entries, labelled.events, strict=True)
    }

    def pairs(parts: Iterable[Iterable[EntryId]]) -> set[tuple[EntryId, EntryId]]:
        ordered = (combinations(sorted(part), 2) for part in parts)
        return {pair for part in ordered for pair in part if known[pair[0]][0] != known[pair[1]][0]}

    events = defaultdict(list)
    for entry, (_, event) in known.items():
        events[event].append(entry)
    found, true = pairs(groups), pairs(events.values())
    print(
        f"pairs in two languages: {len(found & true)} of {len(found)} found are true, of {len(true)} there are"
    )


if __name__ == "__main__":
    main()
