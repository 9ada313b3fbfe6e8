"""The command that brings entries from a file: import."""

from __future__ import annotations

import argparse
import sys

from aggregator.cli.passes import cluster_once
from aggregator.cli.screen import GROUPED_ELSEWHERE, print_json, print_table, progress_bar
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.pipeline.importing import BadLine, UnreadableFileError, import_lines, open_lines
from aggregator.store import open_store

BAD_LINES_SHOWN = 20


def bring(settings: Settings, arguments: argparse.Namespace) -> int:
    """Imports the file's entries and groups them; bad lines are named on standard error, the others kept."""
    try:
        return _bring(settings, arguments)
    except UnreadableFileError as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1


def _bring(settings: Settings, arguments: argparse.Namespace) -> int:
    read = new = edited = 0
    bad: list[BadLine] = []
    fault: UnreadableFileError | None = None
    store = open_store(settings.database)
    try:
        with open_lines(arguments.file) as lines, progress_bar("importing", None) as steps:
            try:
                for report in import_lines(store, lines, utc_now()):
                    read, new, edited = read + report.read, new + report.new, edited + report.edited
                    bad += report.bad
                    steps.advance(report.read)
            except UnreadableFileError as error:
                fault = error
        grouped = cluster_once(store, settings)
    finally:
        store.close()
    for line in bad[:BAD_LINES_SHOWN]:
        sys.stderr.write(f"aggregator: {arguments.file}, line {line.number}: {line.reason}\n")
    if len(bad) > BAD_LINES_SHOWN:
        sys.stderr.write(f"aggregator: {arguments.file}: {len(bad) - BAD_LINES_SHOWN} more bad lines\n")
    if fault:
        sys.stderr.write(f"aggregator: {fault}\n")
    summary = {
        "entries read": read,
        "entries new": new,
        "entries edited": edited,
        "bad lines": len(bad),
        "events new": grouped.created if grouped else 0,
        "events grown": grouped.grown if grouped else 0,
    }
    if arguments.json:
        print_json({name.replace(" ", "_"): value for name, value in summary.items()})
    else:
        print_table([f"{name}#" for name in summary], [list(summary.values())])
        if grouped is None:
            sys.stdout.write(f"{GROUPED_ELSEWHERE}\n")
    return 1 if fault else 0
