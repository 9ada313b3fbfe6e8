"""The commands that show how feeds do: feeds list and check."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from aggregator.cli.passes import cluster_once, poll_once
from aggregator.cli.screen import age, print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import ListFile, Outdated, feeds_to_ask, put_in_force, read_file
from aggregator.pipeline.reports import PollReport, Result
from aggregator.publish import FeedEvidence, diagnose, feed_advice, feed_json, plain_json
from aggregator.publish.diagnosis import LOOKED_AT
from aggregator.store import Store, find_store, open_store
from aggregator.store.dialect import hold_polling
from aggregator.store.feeds import end_leases, feed_statuses
from aggregator.store.listing import latest_entries
from aggregator.types import FeedHealth, FeedStatus, Finding

TO_DO, UNABLE = 3, 1
"""Exit status of a check that found something to do, and of one that could not ask all feeds."""


def list_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    """Every listed feed with its state, as a table or JSON; nothing is fetched."""
    store = find_store(settings.database)
    try:
        with store.read() as db:
            feeds = feed_statuses(db)
    finally:
        store.close()
    if arguments.json:
        print_json([feed_json(feed, feed_advice(feed)) for feed in feeds])
    elif feeds:
        now = utc_now()
        rows = [
            (
                feed.id,
                feed.title or feed.url,
                feed.state,
                feed.entries,
                age(feed.last_success_at, now),
                feed.problem,
            )
            for feed in feeds
        ]
        print_table(("id#", "feed", "state", "entries#", "read#", "problem"), rows)
    else:
        sys.stdout.write(
            "No feeds: `feeds add URL` adds one to the list, which `poll` and a running daemon read.\n"
        )
    return 0


def check_feeds(settings: Settings, arguments: argparse.Namespace) -> int:
    """Polls every feed that may be asked, then says what a person should do; the exit status tells, too.

    A look that kept nothing would cost each server one request more, and break MIN_INTERVAL.
    """
    file = read_file(settings)
    warnings = file.feeds.warnings
    store = open_store(settings.database)
    try:
        reports = _poll(store, settings, file)
        evidence = _evidence(store)
    finally:
        store.close()
    found = diagnose(evidence, utc_now(), settings.fetch_timeout)
    before = _asked_before(evidence, reports)
    not_asked = sum(report.result is Result.OFFLINE for report in reports)
    if arguments.json:
        to_do = [
            feed_json(feed, findings[0].advice) | {"findings": [asdict(finding) for finding in findings]}
            for feed, findings in found
        ]
        values = {
            "feeds": len(evidence),
            "not_asked": not_asked,
            "asked_before": len(before),
            "asked_since": min(before, default=None),
            "list": list(warnings),
            "to_do": to_do,
        }
        print_json(plain_json(values))
    else:
        _print_findings(settings, warnings, found, len(evidence))
        if before:
            sys.stdout.write(
                f"{len(before):,} feeds were not asked anew: what is told of them is of "
                f"{min(before):%Y-%m-%d %H:%M} UTC or later.\n"
            )
        if not_asked:
            sys.stdout.write(f"{not_asked:,} feeds could not be asked: there is no network.\n")
    if not_asked:
        return UNABLE
    return TO_DO if found or warnings else 0


def _poll(store: Store, settings: Settings, listed: ListFile) -> list[PollReport]:
    with hold_polling(store.engine) as held:
        if not held:
            sys.stderr.write("aggregator: another process polls for this database: this is what it found\n")
            return []
        with store.write() as db:
            end_leases(db)
        if isinstance(kept := put_in_force(store, listed, settings), Outdated):
            sys.stderr.write(f"aggregator: {kept}\n")
        reports = poll_once(store, settings, feeds_to_ask(store, utc_now(), settings, every=True))
        cluster_once(store, settings)
        return reports


def _evidence(store: Store) -> list[FeedEvidence]:
    with store.read() as db:
        feeds = feed_statuses(db)
        latest = latest_entries(db, LOOKED_AT)
    return [FeedEvidence(feed, latest.get(feed.id, ())) for feed in feeds]


def _asked_before(evidence: Iterable[FeedEvidence], reports: Iterable[PollReport]) -> list[datetime]:
    """When each feed was last asked that was not asked anew, but for those that are asked no more."""
    done = {report.state.id for report in reports if report.result is not Result.PASSED_OVER}
    resting = {FeedHealth.GONE, FeedHealth.PAUSED}
    return [
        feed.last_polled_at
        for feed in (each.status for each in evidence)
        if feed.last_polled_at and feed.id not in done and feed.state not in resting and not feed.twin
    ]


def _print_findings(
    settings: Settings,
    warnings: Iterable[str],
    found: list[tuple[FeedStatus, tuple[Finding, ...]]],
    count: int,
) -> None:
    for warning in warnings:
        sys.stdout.write(f"{settings.opml}: {warning}\n")
    if found:
        rows = [
            (feed.id, feed.title, finding.kind.replace("_", " "), finding.advice)
            for feed, findings in found
            for finding in findings
        ]
        print_table(("id#", "feed", "what", "to do"), rows)
    sys.stdout.write(f"{count} feeds, {len(found)} with something to do.\n")
