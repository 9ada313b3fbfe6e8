"""Fits the weights of the pair score, and reports on events it has not seen.

usage: python benchmarks/calibrate_pairs.py DIR [--write]

DIR holds labelled sets: NAME.jsonl with `id, title, text, published, lang, source` and NAME.labels.tsv with
id<TAB>event. Each set is split by event into two halves that share none. Weights are fitted on the first halves of
all sets together, each set weighing the same; every figure printed is of the second halves. --write puts the
weights into aggregator/cluster/weights.py.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.cluster.assign import partition
from aggregator.cluster.index import WindowIndex
from aggregator.cluster.score import Prepared, copy_reason, features, judge, prepare
from aggregator.cluster.signature import sign
from aggregator.normalise import normalise
from aggregator.parse import parse_date
from aggregator.pipeline.cluster import key_entries
from aggregator.types import NO_HINTS, Entry, EntryId, FeedId, Link, ParsedEntry, ParsedFeed, Signed

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WINDOW = timedelta(days=3)
SETS = ("neus", "neus_sparse", "uci_part", "fr_oneday")
THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95)
RIDGE = 1.0
SIGNS = np.array([0, 1, 1, 1, 1, 1, 1, 1, 1, -1])
"""The bias, then each feature of score.features: +1 speaks for the same event, -1 against it."""


@dataclass(frozen=True)
class Half:
    """One half of a set: its entries, the event of each, and the candidate pairs with their features."""

    prepared: Mapping[EntryId, Prepared]
    event: Mapping[EntryId, str]
    pairs: NDArray[np.int64]
    values: NDArray[np.float64]
    copies: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    true_pairs: int


def _read(folder: Path, name: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    opener = gzip.open if (folder / f"{name}.jsonl.gz").exists() else open
    file = folder / f"{name}.jsonl{'.gz' if opener is gzip.open else ''}"
    with opener(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    labels = dict(line.split("\t") for line in (folder / f"{name}.labels.tsv").read_text().splitlines())
    return rows, labels


def _signed(rows: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Signed]]:
    parsed = [
        ParsedEntry(
            guid=row["id"], link="", title=row["title"], title_is_html=False, summary="", summary_is_html=False,
            content=row.get("text") or "", content_is_html=False, base="", author="", lang=row.get("lang") or "",
            source=row.get("source") or "",
            published=parse_date(row["published"]) if row.get("published") else None,
        )
        for row in rows
    ]  # fmt: skip
    entries: list[Entry] = []
    for start in range(0, len(parsed), 4000):
        entries.extend(
            normalise(ParsedFeed("", "", "", NO_HINTS, tuple(parsed[start : start + 4000])), "", NOW).entries
        )
    signatures = sign(entries)
    for number, (entry, signature) in enumerate(zip(entries, signatures, strict=True), 1):
        yield (
            entry.guid,
            Signed(
                EntryId(number),
                FeedId(1),
                entry.source.casefold(),
                entry.lang,
                entry.published_at,
                None,
                signature,
            ),
        )


def _halves(folder: Path, name: str) -> list[Half]:
    rows, labels = _read(folder, name)
    signed = list(_signed(rows))
    events = sorted(set(labels.values()))
    chosen = set(np.random.default_rng(7).permutation(events)[: len(events) // 2].tolist())
    return [
        _half(
            [(s, labels[guid]) for guid, s in signed if guid in labels and (labels[guid] in chosen) is first]
        )
        for first in (True, False)
    ]


def _half(signed: Sequence[tuple[Signed, str]]) -> Half:
    prepared = {s.id: prepare(s) for s, _ in signed}
    event = {s.id: label for s, label in signed}
    index = WindowIndex(WINDOW, lambda _day: key_entries([]))
    keyed = key_entries([s for s, _ in signed])
    index.add(keyed)
    found = index.candidates(keyed)
    found = found[found[:, 0] < found[:, 1]]
    kept = [
        (a, b) for a, b in found.tolist()
        if abs(prepared[a].at - prepared[b].at) <= WINDOW
        and (not prepared[a].lang or not prepared[b].lang or prepared[a].lang == prepared[b].lang)
    ]  # fmt: skip
    values = np.array([list(features(prepared[a], prepared[b]).values()) for a, b in kept])
    copies = np.array([bool(copy_reason(prepared[a], prepared[b])) for a, b in kept])
    truth = np.array([event[a] == event[b] for a, b in kept])
    true_pairs = sum(n * (n - 1) // 2 for n in Counter(event.values()).values())
    return Half(prepared, event, np.array(kept), values, copies, truth, true_pairs)


def _fit(halves: Sequence[Half]) -> tuple[float, NDArray[np.float64]]:
    """Logistic regression by Newton's method on the pairs that are no copies, each set weighing the same."""
    values = np.concatenate([half.values[~half.copies] for half in halves])
    truth = np.concatenate([half.truth[~half.copies] for half in halves]).astype(float)
    weight = np.concatenate(
        [np.full((~h.copies).sum(), 10_000.0 / max(1, (~h.copies).sum())) for h in halves]
    )
    design = np.column_stack((np.ones(len(values)), values))
    ridge = np.diag([0.0] + [RIDGE] * values.shape[1])
    free = np.ones(design.shape[1], dtype=bool)
    while True:
        theta = np.zeros(design.shape[1])
        for _ in range(30):
            chance = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
            gradient = design.T @ (weight * (chance - truth)) + ridge @ theta
            curve = (design * (weight * chance * (1 - chance))[:, None]).T @ design + ridge
            theta[free] -= np.linalg.solve(curve[np.ix_(free, free)], gradient[free])
        # A feature that speaks against its own meaning has learnt how one set differs from another: it is dropped.
        against = free & (theta * SIGNS < 0)
        if not against.any():
            break
        free &= ~against
    return float(theta[0]), theta[1:]


def _clusters(
    half: Half, chances: NDArray[np.float64], threshold: float, bias: float, weights: NDArray[np.float64]
) -> dict[EntryId, int]:
    links = [
        Link(EntryId(a), EntryId(b), float(chance), bool(copy))
        for (a, b), chance, copy in zip(half.pairs.tolist(), chances, half.copies, strict=True)
        if copy or chance >= 0.3
    ]

    def score(a: EntryId, b: EntryId) -> float:
        one, other = half.prepared[a], half.prepared[b]
        if (one.lang and other.lang and one.lang != other.lang) or abs(one.at - other.at) > WINDOW:
            return 0.0
        total = bias + float(np.dot(weights, list(features(one, other).values())))
        return float(1 / (1 + np.exp(-total)))

    groups = partition(
        [EntryId(n) for n in half.prepared], links, threshold, score, lambda n: half.prepared[n].order
    )
    return {entry: number for number, group in enumerate(groups) for entry in group}


def _figures(found: Mapping[EntryId, int], event: Mapping[EntryId, str]) -> tuple[float, float, float, float]:
    """Pairwise precision, recall and F1, and B-cubed F1 (Bagga and Baldwin 1998)."""
    both = Counter((found[n], event[n]) for n in found)
    ours, gold = Counter(found.values()), Counter(event.values())
    together = sum(n * (n - 1) // 2 for n in both.values())
    claimed, true = (sum(n * (n - 1) // 2 for n in c.values()) for c in (ours, gold))
    precision, recall = together / max(1, claimed), together / max(1, true)
    b_precision = sum(n * n / ours[f] for (f, _), n in both.items()) / len(found)
    b_recall = sum(n * n / gold[g] for (_, g), n in both.items()) / len(found)
    pairwise_f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return precision, recall, pairwise_f1, 2 * b_precision * b_recall / (b_precision + b_recall)


def main() -> None:
    """Fits on the first halves and prints the figures of the second."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--fit", nargs="+", default=["neus", "neus_sparse"], help="the sets to fit on")
    arguments = parser.parse_args()
    halves = {
        name: _halves(arguments.folder, name)
        for name in SETS
        if (arguments.folder / f"{name}.labels.tsv").exists()
    }
    bias, weights = _fit([first for name, (first, _) in halves.items() if name in arguments.fit])
    names = list(features(*list(next(iter(halves.values()))[0].prepared.values())[:2]))
    print("bias", round(bias, 3))
    for name, weight in zip(names, weights, strict=True):
        print(f"  {name:40} {weight:8.3f}")
    if arguments.write:
        _write(bias, dict(zip(names, weights.tolist(), strict=True)), arguments.fit)
    for name, (_, half) in halves.items():
        print(f"\n{name}")
        _report(half, bias, weights)
    _speed(next(iter(halves.values()))[1])


def _report(half: Half, bias: float, weights: NDArray[np.float64]) -> None:
    met = half.truth.sum() / max(1, half.true_pairs)
    right_copies = half.truth[half.copies].mean() if half.copies.any() else 1.0
    print(f"  {len(half.prepared)} entries, {half.true_pairs} true pairs")
    print(f"  candidates: {2 * len(half.pairs) / len(half.prepared):.1f} an entry, recall {met:.3f}")
    print(f"  copies: {half.copies.sum()} pairs, precision {right_copies:.4f}")
    print("  threshold  pairs: P      R   | clusters: P      R     F1   B3 F1")
    chances = 1 / (1 + np.exp(-np.clip(bias + half.values @ weights, -30, 30)))
    for threshold in THRESHOLDS:
        chosen = (chances >= threshold) | half.copies
        right = half.truth[chosen].sum()
        precision, recall = right / max(1, chosen.sum()), right / max(1, half.true_pairs)
        figures = _figures(_clusters(half, chances, threshold, bias, weights), half.event)
        shown = " ".join(f"{figure:6.3f}" for figure in figures)
        print(f"  {threshold:9.2f}  {precision:9.3f} {recall:6.3f} |     {shown}")


def _speed(half: Half) -> None:
    prepared = list(half.prepared.values())[:300]
    started = time.perf_counter()
    for a, b in combinations(prepared[:100], 2):
        judge(a, b)
    print(f"\njudge: {(time.perf_counter() - started) / 4950 * 1e6:.1f} us a pair")


def _write(bias: float, weights: Mapping[str, float], sets: Sequence[str]) -> None:
    file = Path(__file__).parent.parent / "aggregator/cluster/weights.py"
    lines = [f"    {json.dumps(name, ensure_ascii=False)}: {weight:.3f}," for name, weight in weights.items()]
    file.write_text(
        '"""The weights of the score: a logistic regression on labelled pairs.\n\n'
        "Fitted by `python benchmarks/calibrate_pairs.py DIR --write` on the first halves of\n"
        f"{', '.join(sets)}"
        " (each set weighs the same; candidate pairs that are no copies; ridge 1). docs/benchmarks.md\n"
        "has the figures of the second halves, whose events the fit has not seen. To be fitted again when\n"
        'features change.\n"""\n\n'
        f"BIAS = {bias:.3f}\nWEIGHTS = {{\n" + "\n".join(lines) + "\n}\n"
    )


if __name__ == "__main__":
    main()
