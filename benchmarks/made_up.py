"""Made-up news in any amount: English words at their real frequencies, events of many sizes, topics that return.

Each event draws some dozen words of its own, part of them from one of many topics; each telling uses some of these
and fills up with common words. Texts make no sense, but words, sizes and neighbourhoods are those of news.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from wordfreq import iter_wordlist, word_frequency

END = datetime(2026, 11, 23, tzinfo=UTC)
"""A day that is past: what has a date in the future is given the day on which it came."""
COMMON, KNOWN = 150, 40_000
TOPICS, TOPIC_WORDS = 400, 40
SIZES = ((1, 0.55), (2, 0.18), (3, 0.09), (5, 0.08), (8, 0.05), (15, 0.03), (40, 0.02))


def stories(count: int, days: float, seed: int) -> Iterator[tuple[str, bytes]]:
    """(event, line of JSON as for import) of `count` entries published in the `days` days before END, in order."""
    numbers = random.Random(seed)
    words = [word for word, _ in zip(iter_wordlist("en"), range(KNOWN), strict=False) if word.isalpha()]
    common, telling = words[:COMMON], words[COMMON:]
    weights = [word_frequency(word, "en") ** 0.6 for word in telling]
    topics = [numbers.choices(telling, weights, k=TOPIC_WORDS) for _ in range(TOPICS)]
    made: list[tuple[datetime, str, bytes]] = []
    start = END - timedelta(days=days)
    event = 0
    while len(made) < count:
        event += 1
        size = numbers.choices([size for size, _ in SIZES], [share for _, share in SIZES])[0]
        own = numbers.choices(telling, weights, k=9) + numbers.sample(numbers.choice(topics), 6)
        begin = start + timedelta(days=numbers.random() * days)
        for _ in range(min(size, count - len(made))):
            at = begin + timedelta(hours=numbers.expovariate(1 / 6))
            outlet = numbers.randrange(2_000)
            title = _words(numbers, own, common, 6, 4)
            text = _words(numbers, own, common, 9, 20)
            name = f"{seed}-{len(made)}"
            line = {
                "id": name,
                "source": f"Outlet {outlet}",
                "title": title.capitalize(),
                "text": text.capitalize() + ".",
                "url": f"https://outlet-{outlet}.example/{name}",
                "published": at.isoformat(),
                "lang": "en",
            }
            made.append((at, str(event), json.dumps(line).encode() + b"\n"))
    made.sort(key=lambda one: one[0])
    for _, label, told in made:
        yield label, told


def _words(numbers: random.Random, own: list[str], common: list[str], telling: int, filling: int) -> str:
    chosen = numbers.sample(own, min(telling, len(own))) + numbers.choices(common, k=filling)
    numbers.shuffle(chosen)
    return " ".join(chosen)
