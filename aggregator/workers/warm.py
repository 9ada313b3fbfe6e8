"""Imported for its effect, by the fork server: all that reading a feed needs is in memory, for all workers at once.

Code alone is not enough: word lists and the language model load themselves at the first text.
"""

from __future__ import annotations

import gc
from datetime import UTC, datetime

from aggregator.types import Fetched
from aggregator.workers.process import read_feed

TEXT = "The ferry to the islands sails again from Monday, says the harbour, after a winter of repairs."
FEED = f"""<rss version="2.0"><channel><title>Harbour</title><item><guid>1</guid><title>{TEXT}</title>
<description>&lt;p&gt;{TEXT}&lt;/p&gt;</description><pubDate>Mon, 02 Mar 2026 08:00:00 GMT</pubDate></item>
</channel></rss>
"""

read_feed(
    Fetched(
        url="https://harbour.example/feed",
        status=200,
        body=FEED.encode(),
        content_type="application/rss+xml",
        content_location="",
        etag="",
        last_modified="",
        max_age=None,
        moved_to="",
    ),
    datetime.now(UTC),
    None,
)
gc.collect()
gc.freeze()  # the workers' collector leaves alone what they share
