"""A first and an unchanged pass over generated feeds: seconds, what was stored, and how well copies were found.

usage: python benchmarks/load.py DIR

DIR/feed/*.xml are the feeds, DIR/truth.json maps each file to a list of [guid, event, kind], kind "copy", "light"
(edited lightly) or "rewrite". RDF items have no guid: they are known by their address, in the order of the file.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

from runs import rows, run_timed, serving, write_list


def main() -> None:
    """Runs both passes and prints the figures."""
    folder = Path(sys.argv[1])
    names = sorted(file.name for file in (folder / "feed").glob("*.xml"))
    with tempfile.TemporaryDirectory() as scratch, serving(folder) as base:
        place = Path(scratch)
        write_list(place / "feeds.opml", base, [f"/feed/{name}" for name in names])
        first, summary = run_timed(place, "poll", "--json")
        print(f"first pass:     {first:6.2f} s  {summary}")
        second, summary = run_timed(place, "poll", "--all", "--json")
        print(f"unchanged pass: {second:6.2f} s  {summary}")
        print(f"ratio: {second / first:.3f}")
        _figures(place / "news.db", json.loads((folder / "truth.json").read_text()))


def _figures(database: Path, truth: dict[str, list[tuple[str, int, str]]]) -> None:
    known: dict[tuple[str, str], tuple[int, str]] = {}
    for name, items in truth.items():
        for guid, event, kind in items:
            known[name, guid] = (event, kind)
    stored = rows(database, "SELECT feed_url, guid, url, event_id FROM v1_entry")
    missing = 0
    by_event: dict[int, list[tuple[int, str]]] = defaultdict(list)
    ours: dict[int, list[int]] = defaultdict(list)
    for feed_url, guid, url, event_id in stored:
        name = feed_url.rsplit("/", 1)[-1]
        number = url.rsplit("-", 1)[-1].split(".html")[0]
        item = known.get((name, guid)) or known.get((name, f"{url.split('/2026')[0]}/?p={number}"))
        if item is None:
            missing += 1
            continue
        by_event[item[0]].append((event_id, item[1]))
        ours[event_id].append(item[0])
    expected = sum(map(len, truth.values()))
    print(f"entries stored: {len(stored)} of {expected}; not in truth: {missing}")
    together: Counter[tuple[str, str]] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for members in by_event.values():
        for (one, kind), (other, other_kind) in combinations(members, 2):
            name_of = (min(kind, other_kind), max(kind, other_kind))
            pairs[name_of] += 1
            together[name_of] += one == other
    for name_of in sorted(pairs):
        recall = together[name_of] / pairs[name_of]
        print(f"  {name_of[0]:8} {name_of[1]:8} recall {recall:.4f} of {pairs[name_of]} pairs")
    claimed = sum(len(events) * (len(events) - 1) // 2 for events in ours.values())
    right = sum(n * (n - 1) // 2 for events in ours.values() for n in Counter(events).values())
    print(f"pairs together: {claimed}, precision {right / max(1, claimed):.5f}; events: {len(ours)}")


if __name__ == "__main__":
    main()
