"""Documents of one feed, one after another, read in two ways: all of each, and only what was not seen before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import text

from aggregator.config import load_settings
from aggregator.opml import read_opml
from aggregator.parse.mend import decode, mend
from aggregator.parse.split import split
from aggregator.pipeline.news import read_news
from aggregator.store import Store, open_store
from aggregator.store.entries import save_poll
from aggregator.store.feeds import listed_feeds, seen_of
from aggregator.store.syncing import sync_feeds
from aggregator.types import NOTHING_SEEN, Failed, Fetched, PollOutcome
from aggregator.workers.process import read_feed

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
URL = "https://paper.example/feed"
LIST = f"<opml version='2.0'><body><outlet/><outline xmlUrl='{URL}'/></body></opml>"
STORED = (
    "SELECT * FROM entry ORDER BY identity",
    "SELECT * FROM entry_version ORDER BY entry_id, id",
    "SELECT * FROM entry_alias ORDER BY entry_id, identity",
    "SELECT * FROM listed_item ORDER BY entry_id, position",
    "SELECT * FROM signature ORDER BY entry_id",
    "SELECT lang, ttl, skip_hours, skip_days FROM feed",
)


class Reader:
    """A store with one feed. `whole`: it reads all of every document."""

    def __init__(self, url: str, *, whole: bool) -> None:
        self.store: Store = open_store(url)
        self._whole = whole
        self._now = NOW
        self.skipped = 0
        with self.store.write() as db:
            sync_feeds(db, read_opml(LIST.encode()).feeds, load_settings({}), NOW)

    def read(self, body: bytes, content_type: str = "") -> None:
        """What a poll does with a body."""
        self._now += timedelta(minutes=30)
        with self.store.read() as db:
            (state,) = listed_feeds(db)
            seen = NOTHING_SEEN if self._whole else seen_of(db, state.id, 1)
        fetched = Fetched(URL, 200, body, content_type, "", "", "", None, "")
        feed = read_feed(fetched, self._now, seen)
        if isinstance(feed, Failed):
            return
        self.skipped += sum(item.entry > 0 for item in feed.seen.items)
        with self.store.write() as db:
            news = read_news(db, state.id, feed, is_whole=True)
            known = replace(state, lang=feed.lang, hints=feed.hints)
            save_poll(db, PollOutcome(known, 0, news, None, unchanged=False, read=feed.seen), self._now, 1)

    def stored(self) -> list[tuple[Any, ...]]:
        """All that was kept."""
        with self.store.read() as db:
            return [tuple(row) for query in STORED for row in db.execute(text(query))]

    def close(self) -> None:
        """Closes the store."""
        self.store.close()


def later_documents(body: bytes, content_type: str, random: Random) -> Iterator[bytes]:
    """Documents that a feed may have had before and after this one: items come, go, change, move and double."""
    document = mend(decode(body, content_type)).text
    parts = split(document, "")
    if parts is None or not parts.spans:
        yield body
        return
    whole = parts.document
    items = [whole[start:end] for start, end in parts.spans]
    head, tail = whole[: parts.spans[0][0]], whole[parts.spans[-1][1] :]

    def built(chosen: Sequence[bytes], before: bytes = head) -> bytes:
        return before + b"\n".join(chosen) + tail

    yield built(items[len(items) // 2 :])
    yield built(items)
    yield built(
        items, re.sub(rb"<(lastBuildDate|pubDate|updated)>[^<]*<", rb"<\1>2026-11-24T10:00:00Z<", head)
    )
    one = random.randrange(len(items))
    changed = re.sub(rb"(<title[^>]*>(?:<!\[CDATA\[)?)", rb"\1Now: ", items[one], count=1)
    yield built([*items[:one], changed, *items[one + 1 :]])
    yield built([*items, changed])
    yield built([re.sub(rb"<(guid|id)([^>]*)>", rb"<\1\2>x", items[one], count=1), *items])
    yield built([re.sub(rb"<(guid|id)([^>]*)>", rb"<\1\2>x", items[one], count=1), *items[:one]])
    yield built(random.sample(items, len(items)))
    yield built(items[: len(items) // 2], re.sub(rb"<title>", b"<title>The new ", head, count=1))
    yield body
