"""Entries are encoded where that is asked for: what each of them means is kept with its signature."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from aggregator.cluster.meaning import encode
from aggregator.store import Store, decisions

AT_ONCE = 100
"""Entries encoded in a step, of about a second. Nobody waits for it: it holds no transaction."""


def encode_missing(store: Store, since: datetime | None = None) -> Iterator[int]:
    """Encodes entries that wait for the clusterer, or those published since `since`; gives the number done."""
    while True:
        with store.read() as db:
            missing = decisions.to_encode(db, since, AT_ONCE)
        if not missing:
            return
        meanings = encode([entry for _, entry in missing])
        with store.write() as db:
            decisions.write_meanings(
                db, [(*one, meaning) for one, meaning in zip(missing, meanings, strict=True)]
            )
        yield len(missing)
