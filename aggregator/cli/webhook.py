"""The command about the webhook: what waits for it, what was given up, and another try."""

from __future__ import annotations

import argparse
import sys

from aggregator.cli.screen import print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.publish import plain_json
from aggregator.store import find_store
from aggregator.store.outbox import outbox_counts, revive_dead, troubled_messages

SHOWN = 20


def webhook(settings: Settings, arguments: argparse.Namespace) -> int:
    """How many messages wait and were given up, and the newest troubles; with --retry the latter wait again."""
    store = find_store(settings.database)
    try:
        revived = 0
        if arguments.retry:
            with store.write() as db:
                revived = revive_dead(db, utc_now())
        with store.read() as db:
            counts, troubled = outbox_counts(db), troubled_messages(db, SHOWN)
    finally:
        store.close()
    if arguments.json:
        summary = {"waiting": counts.waiting, "dead": counts.dead, "revived": revived}
        print_json(summary | {"troubled": [plain_json(one._asdict()) for one in troubled]})
        return 0
    if arguments.retry:
        sys.stdout.write(f"{revived} messages wait to be sent again.\n")
    print_table(("waiting#", "dead#"), [(counts.waiting, counts.dead)])
    if troubled:
        rows = [
            (one.id, one.type, one.event_id, one.tries, "dead" if one.is_dead else "waits", one.problem)
            for one in troubled
        ]
        print_table(("message", "type", "event#", "tries#", "state", "problem"), rows)
        sys.stdout.write("What waits is sent again by itself; --retry sends what is dead once more.\n")
    return 0
