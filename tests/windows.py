"""Entries judged in a window of their own: what the clusterer thinks of a handful of stories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aggregator.cluster.copies import copy_reason
from aggregator.cluster.judge import VETOES, judge, place
from aggregator.cluster.network import shipped
from aggregator.cluster.prepared import prepare
from aggregator.cluster.signature import sign
from aggregator.cluster.window import Window
from aggregator.types import EntryId, FeedId, Signed
from tests.test_signature import entry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Judged:
    """What is thought of two entries: `reason` says why they are copies, or why they can't be one event."""

    is_copy: bool
    chance: float
    reason: str


def signed(title: str, text: str = "", source: str = "", lang: str = "en", hours: float = 0) -> Signed:
    """An entry as the clusterer sees it, published `hours` after noon."""
    (signature,) = sign([entry(title, text, source=source, lang=lang)])
    at = NOON + timedelta(hours=hours)
    return Signed(EntryId(1), FeedId(1), source.casefold(), lang, at, None, signature)


def numbered(entries: Sequence[Signed]) -> list[Signed]:
    """The entries with ids from 1 on."""
    return [
        Signed(EntryId(number), one.feed_id, one.source_key, one.lang, one.at, None, one.signature)
        for number, one in enumerate(entries, 1)
    ]


def judged(one: Signed, other: Signed, *around: Signed) -> Judged:
    """The two judged in a window that holds them and those around them; the same the other way round."""
    entries = numbered([one, other, *around])
    window, network = Window(3), shipped()
    rows = window.put(entries)
    place(window, network, rows)
    pair, back = judge(window, network, rows[:1], rows[1:2]), judge(window, network, rows[1:2], rows[:1])
    assert abs(float(pair.chance[0]) - float(back.chance[0])) < 1e-6
    reason = copy_reason(prepare(one), prepare(other))
    assert bool(reason) == bool(copy_reason(prepare(other), prepare(one)))
    return Judged(bool(reason), float(pair.chance[0]), reason or VETOES[int(pair.veto[0])])
