"""The commands that poll: serve, and poll."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from aggregator.cli.screen import print_json, print_table, progress_bar
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.cluster import Clusterer, ClusterReport
from aggregator.pipeline.lists import read_list
from aggregator.pipeline.memory import share_one_arena
from aggregator.pipeline.poll import PollReport, Result, open_poller, poll_all
from aggregator.schedule import due_at_all
from aggregator.store import Store, open_store
from aggregator.store.dialect import hold_role
from aggregator.store.entries import count_pending
from aggregator.store.feeds import due_feeds, listed_feeds, sync_feeds

FAULTS_SHOWN = 50

GROUPED_ELSEWHERE = "The entries will be grouped by the process that groups for this database."


def serve(settings: Settings, arguments: argparse.Namespace) -> int:
    """Runs the daemon until a signal ends it."""
    share_one_arena()
    from aggregator.daemon import DaemonError, Roles  # noqa: PLC0415 (the scheduler is not needed for one pass)
    from aggregator.daemon import serve as run_daemon  # noqa: PLC0415

    try:
        run_daemon(settings, Roles(poll=arguments.poll, cluster=arguments.cluster, web=arguments.web))
    except DaemonError as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1
    return 0


def poll(settings: Settings, arguments: argparse.Namespace) -> int:
    """One pass over the feeds that are due (or all), clustering included; a summary on standard output."""
    share_one_arena()
    feeds = read_list(settings)
    for warning in feeds.warnings:
        sys.stderr.write(f"aggregator: {settings.opml}: {warning}\n")
    store = open_store(settings.database)
    try:
        with hold_role(store.engine, "poll") as held:
            if not held:
                sys.stderr.write("aggregator: another process polls for this database: it will do the work\n")
                return 1
            started = time.monotonic()
            now = utc_now()
            with store.write() as db:
                sync_feeds(db, feeds.feeds, settings, now)
            reports = poll_once(store, settings, every=arguments.all)
            grouped = cluster_once(store, settings)
        seconds = time.monotonic() - started
    finally:
        store.close()
    _print_summary(reports, grouped, seconds, as_json=arguments.json)
    return 0


def poll_once(store: Store, settings: Settings, *, every: bool) -> list[PollReport]:
    """Polls the due feeds (with `every`, all that may be asked) and gives a report for each."""
    now = utc_now()
    with store.read() as db:
        states = listed_feeds(db) if every else due_feeds(db, now)
    states = [state for state in states if due_at_all(state, now, settings)]
    reports = []
    with open_poller(store, settings) as poller, progress_bar("polling", len(states)) as steps:
        for report in poll_all(poller, states):
            reports.append(report)
            steps.advance()
    return reports


def cluster_once(store: Store, settings: Settings) -> ClusterReport | None:
    """Groups all pending entries; None if another process does that for this database."""
    with hold_role(store.engine, "cluster") as held:
        if not held:
            return None
        with store.read() as db:
            waiting = count_pending(db)
        clusterer = Clusterer(store, settings, utc_now)
        total = ClusterReport()
        with progress_bar("grouping", waiting) as steps:
            for report in clusterer.work():
                total += report
                steps.advance(report.entries)
        return total


def _print_summary(
    reports: list[PollReport], grouped: ClusterReport | None, seconds: float, *, as_json: bool
) -> None:
    results = Counter(report.result for report in reports)
    failed = [report for report in reports if report.result is Result.FAILED]
    summary = {
        "feeds ok": results[Result.OK],
        "feeds unchanged": results[Result.UNCHANGED],
        "feeds failed": results[Result.FAILED],
        "entries seen": sum(report.seen for report in reports),
        "entries new": sum(report.new for report in reports),
        "events new": grouped.created if grouped else 0,
        "events grown": grouped.grown if grouped else 0,
        "seconds": round(seconds, 2),
    }
    if as_json:
        values: dict[str, object] = {name.replace(" ", "_"): value for name, value in summary.items()}
        values["failed"] = [
            {"feed": report.state.title, "id": report.state.id, "problem": report.detail} for report in failed
        ]
        print_json(values)
        return
    if failed:
        rows = [(report.state.title or f"feed {report.state.id}", report.detail) for report in failed]
        print_table(("failed feed", "problem"), rows[:FAULTS_SHOWN])
        if len(rows) > FAULTS_SHOWN:
            sys.stdout.write(f"... and {len(rows) - FAULTS_SHOWN} more\n")
        sys.stdout.write("\n")
    print_table([f"{name}#" for name in summary], [list(summary.values())])
    if grouped is None:
        sys.stdout.write(f"{GROUPED_ELSEWHERE}\n")
