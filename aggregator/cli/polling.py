"""The commands that poll: serve, and poll."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

from aggregator.cli.screen import GROUPED_ELSEWHERE, print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.lists import Outdated, feeds_to_ask, put_in_force, read_file
from aggregator.pipeline.memory import share_one_arena
from aggregator.pipeline.reports import ClusterReport, PollReport, Result
from aggregator.store import Store, open_store
from aggregator.store.clocks import doubt_future
from aggregator.store.dialect import hold_polling
from aggregator.store.entries import awaits_grouping
from aggregator.store.feeds import end_leases
from aggregator.types import FeedState

FAULTS_SHOWN = 50


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
    listed = read_file(settings)
    for warning in listed.feeds.warnings:
        sys.stderr.write(f"aggregator: {settings.opml}: {warning}\n")
    store = open_store(settings.database)
    try:
        with hold_polling(store.engine) as held:
            if not held:
                sys.stderr.write("aggregator: another process polls for this database: it will do the work\n")
                return 1
            started = time.monotonic()
            with store.write() as db:
                end_leases(db)
                doubt_future(db, utc_now())
            if isinstance(kept := put_in_force(store, listed, settings), Outdated):
                sys.stderr.write(f"aggregator: {kept}\n")
            states = feeds_to_ask(store, utc_now(), settings, every=arguments.all)
            reports, grouped = _pass(store, settings, states)
        seconds = time.monotonic() - started
    finally:
        store.close()
    _print_summary(reports, grouped, seconds, as_json=arguments.json)
    return 0


def _pass(
    store: Store, settings: Settings, states: Sequence[FeedState]
) -> tuple[list[PollReport], ClusterReport | None]:
    """Polls these feeds and groups what waits; where nothing is to be done, nothing is loaded for it."""
    is_plain = settings.weights is None and not settings.semantic  # else they are checked, at least
    if not states and is_plain:
        with store.read() as db:
            if not awaits_grouping(db):
                return [], ClusterReport()
    from aggregator.cli.passes import cluster_once, poll_once  # noqa: PLC0415 (half a second, 60 MB)

    return poll_once(store, settings, states) if states else [], cluster_once(store, settings)


def _print_summary(
    reports: list[PollReport], grouped: ClusterReport | None, seconds: float, *, as_json: bool
) -> None:
    results = Counter(report.result for report in reports)
    failed = [report for report in reports if report.result in {Result.FAILED, Result.UNREACHED}]
    summary = {
        "feeds ok": results[Result.OK],
        "feeds unchanged": results[Result.UNCHANGED],
        "feeds failed": len(failed),
        "feeds not asked": results[Result.OFFLINE],
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
