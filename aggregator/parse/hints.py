"""What a feed document says about when to ask for it again: ttl, sy:updatePeriod, skipHours, skipDays."""

from __future__ import annotations

import re

from aggregator.types import PollHints

PERIODS = {"hourly": 3600, "daily": 86_400, "weekly": 604_800, "monthly": 2_629_800, "yearly": 31_557_600}
"""RSS 1.0 module Syndication, in seconds; month and year by the calendar's average."""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

HOURS = 24

LONGEST = 10 * 365 * 86_400
"""Seconds; larger numbers are slips of the pen or worse, and need not be told apart."""

HEAD = 20_000
"""Characters before the first and after the last item in which hours and days to skip are looked for."""

_COUNT = re.compile(r"([0-9]{1,15})(?:\.[0-9]*)?")
_ITEM = re.compile(r"<(?:\w+:)?item[\s>]")
_LAST_ITEM = "</item>"
_SKIPPED = re.compile(r"<skip(hours|days)\s*>([^\0]{0,2000}?)</skip\1\s*>", re.IGNORECASE)
_VALUE = re.compile(r"<(?:hour|day)\s*>\s*(\w{1,9})\s*<", re.IGNORECASE)


def read_hints(text: str, ttl: str, period: str, frequency: str) -> PollHints:
    """The hints of a feed, given its document and the plain values of three elements, "" where absent.

    `ttl` is in minutes, sy:updatePeriod and sy:updateFrequency default to daily and once; the longer wait counts.
    Hours are those of RSS 2.0, 0 to 23 in GMT; 24, which RSS 0.91 allowed, is midnight.
    """
    hours: set[int] = set()
    days: set[int] = set()
    for kind, values in _SKIPPED.findall(_outside_items(text)):
        for value in _VALUE.findall(values):
            if kind.lower() == "days" and value.lower() in DAYS:
                days.add(DAYS.index(value.lower()))
            elif kind.lower() == "hours" and value.isdecimal() and int(value) <= HOURS:
                hours.add(int(value) % HOURS)
    waits = [wait for wait in (ttl_seconds(ttl), _period_seconds(period, frequency)) if wait]
    return PollHints(max(waits, default=None), frozenset(hours), frozenset(days))


def ttl_seconds(minutes: str) -> int | None:
    """Minutes as RSS writes them, in seconds; None if it is no number above 0."""
    count = _COUNT.fullmatch(minutes)
    return min(int(count.group(1)) * 60, LONGEST) or None if count else None


def _period_seconds(period: str, frequency: str) -> int | None:
    if not (period or frequency):
        return None
    seconds = PERIODS.get(period.lower() or "daily")
    if seconds is None:
        return None
    times = _COUNT.fullmatch(frequency)
    return seconds // max(int(times.group(1)) if times else 1, 1) or None


def _outside_items(text: str) -> str:
    first = _ITEM.search(text)
    if first is None:
        return text[:HEAD]
    end = text.rfind(_LAST_ITEM)
    return text[max(0, first.start() - HEAD) : first.start()] + (text[end:][:HEAD] if end > 0 else "")
