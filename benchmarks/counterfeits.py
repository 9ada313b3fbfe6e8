"""Look-alikes made from real news: the same event told of other people, places and numbers.

Nothing in a labelled set teaches that "Trial of A opens at B court" and "Trial of C opens there" are two events:
its events are all of different kinds. A counterfeit event is a real one with a part of its rare words and numbers
replaced, the same way in each of its entries, by those of other events: everything else that its entries share with
the original they keep.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from wordfreq import zipf_frequency

WORD = re.compile(r"\w+")
RARE, RARE_NAME = 3.5, 4.6
"""Zipf frequency below which a word, and one with a capital, is taken for one that tells its event from others."""

SHARE_OF_EVENTS = 0.4
REPLACED = (0.7, 1.0)
"""Share of an event's rare words that are replaced, chosen anew for each event."""

FEWEST = 2
"""Words of each title that are replaced at the least. Other numbers alone make no other event: tolls rise."""


def counterfeits(
    lines: Sequence[bytes], labels: Mapping[str, str], seed: int
) -> tuple[list[bytes], dict[str, str]]:
    """The lines with counterfeits of some of their events among them, and the labels of both."""
    numbers = random.Random(seed)
    entries = [json.loads(line) for line in lines]
    events: dict[str, list[dict[str, str]]] = defaultdict(list)
    for entry in entries:
        if entry["id"] in labels:
            events[labels[entry["id"]]].append(entry)
    pool = sorted({word for entry in entries for word in WORD.findall(_text(entry)) if _telling(word, entry)})
    names = sorted(events)
    made, made_labels = list(lines), dict(labels)
    for event in numbers.sample(names, round(len(names) * SHARE_OF_EVENTS)):
        words = {w for entry in events[event] for w in WORD.findall(_text(entry)) if _telling(w, entry)}
        share = numbers.choice(REPLACED)
        instead = {word: _other(word, pool, numbers) for word in sorted(words) if numbers.random() < share}
        named = {word for word in instead if not word.isdigit()}
        different = [e for e in events[event] if len(named & set(WORD.findall(e["title"]))) >= FEWEST]
        for entry in different if 2 * len(different) >= len(events[event]) else ():
            copy = dict(entry)
            copy["id"] = f"counterfeit {entry['id']}"
            copy["url"] = ""
            for field in ("title", "text", "summary"):
                if entry.get(field):
                    copy[field] = WORD.sub(lambda found: instead.get(found[0], found[0]), entry[field])  # noqa: B023 (used at once)
            made.append(json.dumps(copy, ensure_ascii=False).encode() + b"\n")
            made_labels[copy["id"]] = f"counterfeit {event}"
    return made, made_labels


def _text(entry: Mapping[str, str]) -> str:
    return f"{entry.get('title') or ''} {entry.get('text') or ''} {entry.get('summary') or ''}"


def _telling(word: str, entry: Mapping[str, str]) -> bool:
    if word.isdigit():
        return True
    frequency = zipf_frequency(word.casefold(), entry.get("lang") or "en")
    return len(word) > 2 and frequency < (RARE_NAME if word[0].isupper() else RARE)


def _other(word: str, pool: Sequence[str], numbers: random.Random) -> str:
    """A number for a number of as many digits, a word for a word, with a capital for one with a capital."""
    if word.isdigit():
        return str(numbers.randrange(10 ** (len(word) - 1), 10 ** len(word)))
    while True:
        found = numbers.choice(pool)
        if not found.isdigit() and found[0].isupper() == word[0].isupper():
            return found
