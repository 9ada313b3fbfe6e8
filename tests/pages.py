"""A page to ask: a database of a few events, served as the daemon does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from aggregator.config import load_settings
from aggregator.meters import Meters
from aggregator.pipeline.cluster import Clusterer
from aggregator.pipeline.importing import import_lines
from aggregator.store import Store
from aggregator.web import WebServer
from tests.test_corrections import BASE, BRIDGE, NOON

HOSTILE = "<script>alert(1)</script>\u202egnp.exe\u202c <img src=x onerror=alert(1)> " + "long" * 5000
ODD = [
    {
        "id": "hostile",
        "source": "<b>Bad & Co</b>",
        "title": HOSTILE,
        "content": f"<p>{HOSTILE}</p><style>body{{display:none}}</style><iframe src='https://e.example/'></iframe>",
        "url": "javascript:alert(1)",
        "published": (NOON - timedelta(hours=1)).isoformat(),
    },
    {
        "id": "arabic",
        "source": "الجريدة",
        "title": "افتتاح جسر جديد في المدينة القديمة بعد سنوات من العمل",
        "text": "افتتح رئيس البلدية الجسر الجديد صباح اليوم بحضور مئات السكان.",
        "url": "https://ar.example/1",
        "lang": "ar",
        "published": (NOON - timedelta(hours=2)).isoformat(),
    },
    {
        "id": "japanese",
        "source": "日報",
        "title": "東京都知事が新しい橋を開通させた",
        "text": "東京都知事は火曜日、川にかかる新しい橋を開通させた。",
        "url": "https://ja.example/1",
        "lang": "ja",
        "published": (NOON - timedelta(hours=3)).isoformat(),
    },
]


def bring(store: Store, entries: Sequence[dict[str, Any]]) -> None:
    """Keeps entries and groups them."""
    for _ in import_lines(store, [json.dumps(entry).encode() for entry in entries], NOON):
        continue
    for _ in Clusterer(store, load_settings({}), lambda: NOON).work():
        continue


def bridge(number: int) -> dict[str, Any]:
    """One more outlet's copy of the first event."""
    return BASE[0] | {"id": f"late-{number}", "source": f"Late {number}", "text": BRIDGE}


@contextmanager
def serving(store: Store, **settings: Any) -> Iterator[httpx.Client]:
    """A client of the page."""
    chosen = load_settings({"port": 0, **settings})
    with (
        WebServer(store, chosen, Meters()) as server,
        httpx.Client(base_url=server.url, timeout=20, trust_env=False) as client,
    ):
        yield client


ENTRIES = [*BASE, *ODD]
