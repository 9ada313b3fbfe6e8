"""Polls every file below a folder as a feed, twice: nothing may crash, no readable feed stay empty, nothing double.

usage: python benchmarks/corpus.py DIR

Prints the feeds that feedparser reads entries of and the program stored none of, and what the second pass stored.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import feedparser
from runs import rows, run_timed, serving, write_list

LEFT_OUT = {".opml", ".png", ".ico", ".swift", ".rb", ".py", ".js", ".cpp", ".h", ".expected", ".gz"}


def main() -> None:
    """Polls the folder and prints what is wrong."""
    folder = Path(sys.argv[1])
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.suffix not in LEFT_OUT)
    paths = [f"/{file.relative_to(folder).as_posix()}" for file in files]
    with tempfile.TemporaryDirectory() as scratch, serving(folder) as base:
        place = Path(scratch)
        write_list(place / "feeds.opml", base, paths)
        seconds, first = run_timed(place, "poll", "--json")
        failed = first.pop("failed")
        print(f"{len(files)} files, {seconds:.1f} s: {first}")
        before = rows(place / "news.db", "SELECT count(*), count(event_id) FROM v1_entry")
        _, second = run_timed(place, "poll", "--all", "--json")
        second.pop("failed")
        print(f"second pass: {second}")
        after = rows(place / "news.db", "SELECT count(*), count(event_id) FROM v1_entry")
        print(f"entries before and after: {before} {after}")
        stored = {
            str(url): entries for url, entries in rows(place / "news.db", "SELECT url, entries FROM v1_feed")
        }
        for file, path in zip(files, paths, strict=True):
            there = len(feedparser.parse(io.BytesIO(file.read_bytes())).entries)
            if there and not stored.get(base + quote(path)):
                print(f"  empty: {path}: feedparser reads {there}")
        assert isinstance(failed, list)
        print(Counter(str(feed["problem"])[:60] for feed in failed).most_common(12))


if __name__ == "__main__":
    main()
