"""A line of JSON -> an entry, signed: what importing computes, in whatever process; no clock, no database."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import xxhash

from aggregator.cluster.signature import sign
from aggregator.normalise import normalise
from aggregator.parse import parse_date
from aggregator.parse.mend import clean
from aggregator.types import NO_HINTS, BadLine, NormalisedFeed, ParsedEntry, ParsedFeed

TEXT_FIELDS = ("id", "title", "text", "summary", "content", "url", "source", "lang", "author")
"""Fields of a line that hold text, a number, or null; `published` is a date in any form that feeds use."""

LINE_LIMIT = 5_000_000
"""Characters in one line: the longest news text there is has a tenth of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a file that follow one another: the first one's number, and where the next one begins.

    `end` counts bytes of the file, uncompressed; `raw_end` as it lies on the disk.
    """

    first: int
    lines: tuple[bytes, ...]
    end: int
    raw_end: int


@dataclass(frozen=True, slots=True)
class ReadPart:
    """The entries of a part by source, clean and signed. `keys`: 64-bit hashes of the entries' sources and ids."""

    read: int
    feeds: tuple[tuple[str, NormalisedFeed], ...]
    keys: tuple[int, ...]
    bad: tuple[BadLine, ...]


def read_part(part: Part, now: datetime, taken: Collection[int] = ()) -> ReadPart:
    """The entries on these lines. Of two with one id and source the first counts; those `taken` stood before."""
    parsed: dict[str, list[ParsedEntry]] = defaultdict(list)
    bad: list[BadLine] = []
    keys: dict[int, None] = {}
    for number, line in enumerate(part.lines, part.first):
        entry = _read_line(line)
        if isinstance(entry, str):
            bad.append(BadLine(number, entry))
        elif entry is not None:
            key = _key(entry)
            if key and (key in keys or key in taken):
                bad.append(BadLine(number, f"id {entry.guid[:80]} stands on an earlier line, which counts"))
                continue
            if key:
                keys[key] = None
            parsed[entry.source].append(entry)
    feeds = _normalised(parsed, now)
    return ReadPart(sum(map(len, parsed.values())), tuple(feeds.items()), tuple(keys), tuple(bad))


def _key(entry: ParsedEntry) -> int:
    """A hash of the entry's source and id, 0 if it has no id."""
    if not entry.guid:
        return 0
    return xxhash.xxh3_64_intdigest(f"{entry.source}\x00{entry.guid}".encode()) or 1


def _normalised(parsed: dict[str, list[ParsedEntry]], now: datetime) -> dict[str, NormalisedFeed]:
    feeds = {
        source: normalise(ParsedFeed(source, "", "", NO_HINTS, tuple(entries)), "", now)
        for source, entries in parsed.items()
    }
    # Together: MinHash values of many entries are computed at once.
    signatures = iter(sign([entry for feed in feeds.values() for entry in feed.entries]))
    return {
        source: replace(feed, signatures=tuple(next(signatures) for _ in feed.entries))
        for source, feed in feeds.items()
    }


def _read_line(line: bytes) -> ParsedEntry | str | None:
    """The entry on a line, what is wrong with it, or None for an empty line."""
    if len(line) > LINE_LIMIT:
        return f"longer than {LINE_LIMIT:,} bytes"
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start + 1}): save the file as UTF-8"
    if not text:
        return None
    fields = _read_json(text)
    return fields if isinstance(fields, str) else _entry(fields)


def _read_json(text: str) -> dict[str, Any] | str:
    """The fields of a JSON object, or what is wrong with it."""
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        return f"not JSON ({error})"
    except RecursionError:
        return "not an entry (nested too deeply)"
    except ValueError:
        return "not an entry (a number of thousands of digits)"
    return fields if isinstance(fields, dict) else "not a JSON object with fields such as id, title, text"


def _entry(fields: dict[str, Any]) -> ParsedEntry | str:
    values: dict[str, str] = {}
    for name in TEXT_FIELDS:
        value = fields.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            return f"field {name} is no text"
        values[name] = "" if value is None else clean(str(value))
    date = fields.get("published")
    if isinstance(date, float) and math.isfinite(date):
        date = int(date)  # seconds with a fraction
    if isinstance(date, bool) or not isinstance(date, str | int | None):
        return "field published is no date"
    content = values["content"] or values["text"]
    if not any((values["title"], content, values["summary"])):
        return "has no title, text, summary or content"
    return ParsedEntry(
        guid=values["id"],
        link=values["url"],
        title=values["title"],
        title_is_html=False,
        summary=values["summary"],
        summary_is_html=True,
        content=content,
        content_is_html=bool(values["content"]),
        base=values["url"],
        author=values["author"],
        lang=values["lang"],
        source=values["source"].strip(),
        published=None if date is None else parse_date(str(date)),
    )
