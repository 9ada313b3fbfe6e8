"""The command that brings entries from a file: import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aggregator.cli.passes import cluster_once
from aggregator.cli.screen import GROUPED_ELSEWHERE, print_json, print_table, progress_bar
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.importing import NOTHING_BROUGHT, ImportReport, import_source
from aggregator.pipeline.reports import ClusterReport
from aggregator.pipeline.sources import Source, UnreadableFileError, open_source
from aggregator.store import Store, open_store
from aggregator.workers import Alone, Crew, CrewError, DaskCluster, Processes, core_count, end_fork_server

SMALL_BYTES = 4_000_000
"""A file up to which this process reads alone: the others would take as long to start."""


def bring(settings: Settings, arguments: argparse.Namespace) -> int:
    """Imports the file's entries and groups them; bad lines are named on standard error, the others kept."""
    try:
        return _bring(settings, arguments)
    except (UnreadableFileError, CrewError) as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1


def _bring(settings: Settings, arguments: argparse.Namespace) -> int:
    store = open_store(settings.database)
    try:
        with open_source(arguments.file) as source, _crew(arguments, source) as crew:
            brought, fault = _read(store, source, crew)
            grouped = cluster_once(store, settings, crew)
    finally:
        store.close()
    for line in brought.bad:
        sys.stderr.write(f"aggregator: {arguments.file}, line {line.number}: {line.reason}\n")
    if brought.bad_count > len(brought.bad):
        more = brought.bad_count - len(brought.bad)
        sys.stderr.write(f"aggregator: {arguments.file}: {more} more bad lines\n")
    if fault:
        sys.stderr.write(f"aggregator: {fault}\n")
    _show(brought, grouped, is_json=arguments.json)
    return 1 if fault else 0


@contextmanager
def _crew(arguments: argparse.Namespace, source: Source) -> Iterator[Crew]:
    if arguments.dask:
        with DaskCluster(arguments.dask) as cluster:
            yield cluster
        return
    cores = arguments.cores or core_count()
    if cores == 1 or (source.size is not None and source.size < SMALL_BYTES):
        yield Alone()
        return
    try:
        with Processes(cores) as crew:
            yield crew
    finally:
        end_fork_server()


def _read(store: Store, source: Source, crew: Crew) -> tuple[ImportReport, UnreadableFileError | None]:
    """What all of the file brought, an earlier run of the same import included; why reading ended early."""
    total = NOTHING_BROUGHT
    with progress_bar("reading", source.size, is_bytes=True) as steps:
        try:
            for report in import_source(store, source, utc_now(), crew):
                steps.advance(report.position - total.position)
                total += report
        except UnreadableFileError as error:
            return total, error
    return total, None


def _show(brought: ImportReport, grouped: ClusterReport | None, *, is_json: bool) -> None:
    summary = {
        "entries read": brought.read,
        "entries new": brought.new,
        "entries edited": brought.edited,
        "bad lines": brought.bad_count,
        "events new": grouped.created if grouped else 0,
        "events grown": grouped.grown if grouped else 0,
    }
    if is_json:
        print_json({name.replace(" ", "_"): value for name, value in summary.items()})
        return
    print_table([f"{name}#" for name in summary], [list(summary.values())])
    if grouped is None:
        sys.stdout.write(f"{GROUPED_ELSEWHERE}\n")
