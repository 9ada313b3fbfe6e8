"""The import flow: JSON Lines -> entries of a pseudo-feed per source, kept like polled ones; clustered after."""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from aggregator.normalise import normalise
from aggregator.parse import parse_date
from aggregator.parse.mend import clean
from aggregator.pipeline.news import read_news
from aggregator.store import Store
from aggregator.store.entries import write_news
from aggregator.store.feeds import import_feeds
from aggregator.types import NO_HINTS, ParsedEntry, ParsedFeed

TEXT_FIELDS = ("id", "title", "text", "summary", "content", "url", "source", "lang", "author")
"""Fields of a line that hold text, a number, or null; `published` is a date in any form that feeds use."""

LINE_LIMIT = 5_000_000
"""Characters in one line: the longest news text there is has a tenth of it."""


class UnreadableFileError(Exception):
    """The file can't be read at all; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no entry: its number from 1, and what is wrong with it."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a part of the file brought."""

    read: int
    new: int
    edited: int
    bad: tuple[BadLine, ...]


def import_lines(store: Store, lines: Iterable[bytes], now: datetime) -> Iterator[ImportReport]:
    """A report for every few hundred lines, each kept in one transaction before the report is given.

    A line that was imported before changes nothing; one with a known id and other content is an edit. Of two
    lines with one id (and source) the first counts, wherever they stand: repeating the file then changes nothing.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for part in _numbered_parts(lines):
        parsed: dict[str, list[ParsedEntry]] = defaultdict(list)
        bad: list[BadLine] = []
        for number, line in part:
            entry = _read_line(line)
            if isinstance(entry, str):
                bad.append(BadLine(number, entry))
            elif entry is not None and entry.guid and entry.guid in ids[entry.source]:
                bad.append(BadLine(number, f"id {entry.guid[:80]} stands on an earlier line, which counts"))
            elif entry is not None:
                parsed[entry.source].append(entry)
                ids[entry.source].add(entry.guid)
        new, edited = _keep(store, parsed, now)
        yield ImportReport(sum(map(len, parsed.values())), new, edited, tuple(bad))


def _numbered_parts(lines: Iterable[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    part: list[tuple[int, bytes]] = []
    for number, line in enumerate(lines, 1):
        part.append((number, line))
        if len(part) == 500:
            yield part
            part = []
    if part:
        yield part


def _keep(store: Store, parsed: dict[str, list[ParsedEntry]], now: datetime) -> tuple[int, int]:
    new = edited = 0
    with store.write() as db:
        feeds = import_feeds(db, list(parsed))
        for source, entries in parsed.items():
            feed = normalise(ParsedFeed(source, "", "", NO_HINTS, tuple(entries)), "", now)
            news = read_news(db, feeds[source], feed, is_whole=False)
            new += len(write_news(db, feeds[source], news, now))
            edited += len(news.edits)
    return new, edited


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


@contextmanager
def open_lines(name: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file, gzipped or not; "-" is standard input. Raises UnreadableFileError."""
    try:
        with _open(name) as file:
            yield _lines(file, name)
    except OSError as error:
        raise UnreadableFileError(
            f"{name}: can't be read ({error.strerror or error}): name another file, or let this user read it"
        ) from None


def _open(name: str) -> BinaryIO:
    if name == "-" and sys.stdin is None:
        raise UnreadableFileError("-: standard input is closed: pipe a file into it, or name one")
    file: BinaryIO = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 (closed by the caller)
    start = file.peek(2)[:2]  # type: ignore[attr-defined]  # both are buffered readers
    return gzip.open(file, "rb") if start == b"\x1f\x8b" else file  # type: ignore[return-value]  # reads bytes too


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while line := file.readline(LINE_LIMIT + 2):
            yield line
            while len(line) > LINE_LIMIT and not line.endswith(b"\n"):
                line = file.readline(LINE_LIMIT)
                if not line:
                    break
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFileError(
            f"{name}: the compressed file is damaged or cut short ({error}); what came before is kept"
        ) from None
