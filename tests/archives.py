"""News made up for the clusterer, what it keeps of them, and a crew that can be watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TypeVar

from sqlalchemy import text

from aggregator.store import Store
from aggregator.workers import JobLimits, Lost

FIRST = datetime(2026, 2, 1, 8, tzinfo=UTC)
TOWNS = (
    "Veldmark",
    "Ostrava",
    "Quenby",
    "Marlow",
    "Tindouf",
    "Harbin",
    "Lugano",
    "Sorrento",
    "Uppsala",
    "Kerava",
)
THINGS = ("lighthouse", "tram depot", "fish market", "observatory", "grain silo", "opera house", "canal lock")
DEEDS = ("burns down", "reopens after repairs", "is sold to a brewer", "wins a prize", "floods again")
Kept = list[list[tuple[object, ...]]]
"""The rows of some queries."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def made_up(events: int, days: int) -> list[bytes]:
    """Events told by three outlets each, within two days; they come back in the order of the outlets."""
    made: list[tuple[str, bytes]] = []
    for number in range(events):
        town, thing, deed = TOWNS[number % 10], THINGS[number % 7], DEEDS[number % 5]
        title, at = f"{thing.title()} of {town} {deed}", FIRST + timedelta(days=days * number / events)
        text_of_all = (
            f"The {thing} of {town} {deed}, says Anna{number} Lind{number}: {number} million crowns."
        )
        other_words = f"Mayor Lind{number} spoke of {number} million crowns for the {thing}."
        for outlet, headline, body in (
            ("Morning Post", title, text_of_all),
            ("Evening Echo", title, f"{text_of_all} Nobody was hurt."),
            ("The Wire", f"In {town} the {thing} {deed}: Lind{number}", other_words),
        ):
            entry = {
                "id": f"{number}-{outlet}",
                "source": outlet,
                "title": headline,
                "text": body,
                "published": (at + timedelta(hours=9 * len(made) % 40)).isoformat(),
            }
            made.append((outlet, json.dumps(entry).encode()))
    return [line for _, line in sorted(made)]


def kept_of(store: Store) -> Kept:
    """All that the clusterer keeps: entries with their events, decisions, links."""
    queries = (
        "SELECT guid, event_id, relation, score FROM entry ORDER BY guid",
        "SELECT entry_id, among, seen, rule, mean, size, compared FROM decision ORDER BY entry_id",
        "SELECT a, b, score, is_copy FROM link ORDER BY a, b",
    )
    return rows_of(store, queries)


def rows_of(store: Store, queries: Iterable[str]) -> Kept:
    """The rows of each query."""
    with store.read() as db:
        return [
            [
                tuple(bytes(v) if isinstance(v, memoryview) else v for v in row)
                for row in db.execute(text(query))
            ]
            for query in queries
        ]


def events_of(kept: Kept) -> list[list[object]]:
    """The entries of each event."""
    groups: dict[object, list[object]] = {}
    for guid, event, *_ in kept[0]:
        groups.setdefault(event, []).append(guid)
    return sorted(groups.values())


class Watched:
    """A crew of two threads that work in turn, each as a process would, and that loses some of what it is given."""

    cores = 2
    is_near = True

    def __init__(self, loses: int = 0) -> None:
        self.given: list[object] = []
        self._loses = loses
        self._hands = cycle([ThreadPoolExecutor(1), ThreadPoolExecutor(1)])

    def prepare(self, job: Callable[[], object]) -> None:
        """It is ready."""

    def rest(self) -> None:
        """It needs none."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,  # noqa: ARG002 (as all crews)
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew."""
        for item in items:
            answer = next(self._hands).submit(job, item).result()
            self.given.append(item)
            yield item, Lost("it ended") if len(self.given) <= self._loses else answer
