"""What a list says of single feeds beyond their address: attributes of the project's own XML namespace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from aggregator.types import FeedSettings

NAMESPACE = "urn:news-event-aggregator:opml:1"
FAMILY = "urn:news-event-aggregator"
PREFIX = "agg"

LONGEST_INTERVAL = 31 * 86_400
MOST_DAYS = 36_500
HEAVIEST = 100.0

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = re.compile(r"(\d{1,9})\s*([smhd]?)", re.ASCII)
LANGUAGE = re.compile(r"([a-z]{2,3})(?:-[a-z0-9]{1,8})*", re.ASCII)
WEIGHT = re.compile(r"\d{1,4}(?:\.\d{1,6})?", re.ASCII)
WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
LONGEST_SHOWN = 40
UNSHOWN = re.compile(r"[^\w.:+-]+")


def _interval(text: str) -> int | None:
    found = DURATION.fullmatch(text)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    return seconds if 0 < seconds <= LONGEST_INTERVAL else None


def _enabled(text: str) -> bool | None:
    return WORDS.get(text)


def _language(text: str) -> str | None:
    found = LANGUAGE.fullmatch(text)
    return found[1] if found else None


def _weight(text: str) -> float | None:
    weight = float(text) if WEIGHT.fullmatch(text) else 0.0
    return weight if 0 < weight <= HEAVIEST else None


def _keep_days(text: str) -> int | None:
    days = int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(MOST_DAYS)) + 1 else -1
    return days if 0 <= days <= MOST_DAYS else None


READERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    "interval": ("interval", _interval, 'seconds, or as "15m", "2h", "1d", up to 31 days'),
    "enabled": ("enabled", _enabled, '"true" or "false"'),
    "language": ("language", _language, 'a language tag such as "en" or "pt-BR"'),
    "weight": ("weight", _weight, f'a number above 0 up to {HEAVIEST:g}, such as "2" or "0.5"'),
    "keep-days": ("keep_days", _keep_days, f"days from 1 to {MOST_DAYS:,}, or 0 for ever"),
}
"""For each attribute: the field of FeedSettings, what reads it (None = bad), and what to write."""


LIMITS: Mapping[str, tuple[str, str]] = {
    "interval": ("MIN_INTERVAL", "s"),
    "keep_days": ("WINDOW_DAYS", "days"),
}
"""For fields that can't be as low as one likes: which setting of the program says so, and its unit."""


class Prefixes:
    """What the prefixes of attributes stand for: for each the declaration that came last before them.

    That an element ends takes nothing back, so whatever is nested costs nothing. The usual prefix counts
    undeclared, too: it is easily forgotten, and no other meaning is known.
    """

    def __init__(self) -> None:
        self.ours = {PREFIX}
        self.others = {"xml", "xmlns"}

    def declare(self, attributes: Mapping[str, str]) -> list[str]:
        """Takes what an element declares, and says what is wrong with it."""
        declared = {
            name.removeprefix("xmlns:"): uri.strip()
            for name, uri in attributes.items()
            if name.startswith("xmlns:")
        }
        for prefix, uri in declared.items():
            these, those = (self.ours, self.others) if uri == NAMESPACE else (self.others, self.ours)
            these.add(prefix)
            those.discard(prefix)
        return [
            f"xmlns:{_shown(prefix)} is not the namespace of the settings, so those with this prefix don't count: "
            f'write xmlns:{_shown(prefix)}="{NAMESPACE}"'
            for prefix, uri in declared.items()
            if (uri != NAMESPACE and uri.lower().startswith(FAMILY)) or (prefix == PREFIX and not self.ours)
        ]

    def misplaced(self, attributes: Mapping[str, str]) -> list[str]:
        """What is wrong with the attributes of an element that is no outline."""
        return [
            f"{_shown(name)} counts on outlines only: put all feeds that it is for into one, and write it there"
            for name in attributes
            if ":" in name and name.partition(":")[0] in self.ours
        ]


def read_settings(
    attributes: Mapping[str, str], prefixes: Prefixes, around: FeedSettings, least: Mapping[str, int]
) -> tuple[FeedSettings, list[str]]:
    """The settings of an outline within one whose settings are `around`, and what is wrong with its attributes.

    `attributes` have names in lower case. What is wrong says what to write instead; the rest stands. What
    is below the `least` of its field in FeedSettings, 0 aside, becomes that.
    """
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in attributes.items():
        prefix, colon, local = name.partition(":")
        if not colon or prefix in prefixes.others:
            continue
        known = READERS.get(local)
        if prefix not in prefixes.ours:
            if known is not None:
                wrong.append(f"the prefix of {_shown(name)} is not declared: write {PREFIX}:{local}")
            continue
        if known is None:
            wrong.append(f"{_shown(name)} is unknown: there are {_names(prefix)}")
            continue
        field, read, instead = known
        setting = read(value.strip().lower())
        if setting is None:
            wrong.append(f'{name}="{_shown(value)}" is not understood: write {instead}')
            continue
        found[field] = setting
        if field in LIMITS and 0 < setting < least[field]:
            limit, unit = LIMITS[field]
            wrong.append(
                f'{name}="{_shown(value)}" is below {limit} ({least[field]} {unit}), which counts instead: '
                f"write more, or lower {limit}"
            )
            found[field] = least[field]
    return (replace(around, **found) if found else around), wrong


def written(settings: FeedSettings) -> Iterator[tuple[str, str]]:
    """The attributes, with the usual prefix, that say what these settings have beyond the defaults."""
    if settings.interval is not None:
        yield f"{PREFIX}:interval", str(settings.interval)
    if not settings.enabled:
        yield f"{PREFIX}:enabled", "false"
    if settings.language:
        yield f"{PREFIX}:language", settings.language
    if settings.weight != 1:
        yield f"{PREFIX}:weight", f"{settings.weight:.6f}".rstrip("0").rstrip(".")
    if settings.keep_days is not None:
        yield f"{PREFIX}:keep-days", str(settings.keep_days)


def _names(prefix: str) -> str:
    names = [f"{prefix}:{name}" for name in READERS]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _shown(text: str) -> str:
    return UNSHOWN.sub("…", text)[:LONGEST_SHOWN]
