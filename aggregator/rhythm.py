"""A feed's own rhythm, from what it brought on which day: when it falls silent, and what is far too much. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from aggregator.types import AlarmKind, Brought

RHYTHM_DAYS = 120
"""How far back a feed's rhythm is looked for: a season."""

FEWEST_DAYS = 4
LONGER = 3
"""A feed's own rhythm: days with new entries from which it has one, and how many times its longest pause so far it
may be quiet before that is strange."""

MANY = 8
"""Entries on each day so far from which a whole day without any is strange."""

FLOOD, LEAST_FLOOD = 5, 50
"""How many times its busiest day so far, and how many entries at least, a feed brings on a day that is strange."""

PART, LEAST_AGAIN = 0.5, 10
"""Which part of its document, and how many items at least, a feed brings again at once when it emits anew. A
page that is edited has one or two such items a poll; a site that changes its addresses, or publishes its archive
anew, has nearly all."""


def silent_from(by_day: Mapping[int, int]) -> int | None:
    """The day on which the feed is silent if it has brought nothing more by then; None while it has no rhythm.

    `by_day`: new entries by day (since 1970).
    """
    days = sorted(day for day, entries in by_day.items() if entries)
    if len(days) < FEWEST_DAYS:
        return None
    longest = max(after - before for before, after in pairwise(days))
    # The first day may have begun in the middle, and the last one have been cut short by the silence.
    is_busy = longest == 1 and min(by_day[day] for day in days[1:-1]) >= MANY
    return days[-1] + (1 if is_busy else LONGER * longest) + 1


def emits_anew(again: int, items: int) -> bool:
    """Whether `again` items of a document of so many, all brought before, are a large part of it."""
    return again >= max(LEAST_AGAIN, PART * items)


def bursts(by_day: Mapping[int, Brought], today: int) -> dict[AlarmKind, int]:
    """What the feed brought today or yesterday that is far beyond its rhythm, with the count.

    Of yesterday, too: otherwise what comes before midnight would be strange for minutes.
    """
    found: dict[AlarmKind, int] = {}
    for day in (today - 1, today):
        now = by_day.get(day, Brought(0, 0))
        before = [brought for earlier, brought in by_day.items() if earlier < day]
        entries = [brought.entries for brought in before if brought.entries]
        if len(entries) < FEWEST_DAYS:
            continue
        if now.entries >= max(LEAST_FLOOD, FLOOD * max(entries)):
            found[AlarmKind.FLOOD] = now.entries
        again = [brought.again for brought in before if brought.again]
        # A feed whose guids are other ones again and again is strange until that is its way.
        usual = FLOOD * max(again) if len(again) >= FEWEST_DAYS else 0
        if now.again >= max(LEAST_AGAIN, usual):
            found[AlarmKind.AGAIN] = now.again
    return found
