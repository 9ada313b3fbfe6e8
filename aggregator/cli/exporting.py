"""The command that writes all events to a file: events export."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from aggregator.cli.screen import progress_bar
from aggregator.config import Settings
from aggregator.pipeline.exporting import ExportError, Form, export_records, whole_file
from aggregator.store import find_store
from aggregator.store.reads import count_records
from aggregator.types import Span


def export_events(settings: Settings, arguments: argparse.Namespace) -> int:
    """Writes the events' records to a file or standard output; exit status 1 if that can't be done."""
    try:
        form = _form(arguments.format, arguments.output)
        count = _export(settings, form, arguments.output, Span(arguments.since, arguments.until))
    except ExportError as error:
        sys.stderr.write(f"aggregator: {error}\n")
        return 1
    except OSError as error:
        if arguments.output == "-":
            raise  # the reader has gone, or the disk is full: told where all output ends
        sys.stderr.write(
            f"aggregator: {arguments.output}: can't be written ({error.strerror}): name another with --output\n"
        )
        return 1
    if arguments.output != "-":
        sys.stderr.write(f"{count} events written to {arguments.output}\n")
    return 0


def _form(asked: str | None, output: str) -> Form:
    form = Form(asked or ("parquet" if output.lower().endswith(".parquet") else "jsonl"))
    if form is Form.PARQUET and output == "-":
        raise ExportError("Parquet is no text: name a file with --output")
    return form


def _export(settings: Settings, form: Form, output: str, span: Span) -> int:
    store = find_store(settings.database)
    count = 0
    try:
        with store.read() as db:
            total = None if output == "-" else count_records(db, span)
        with _opened(output) as file, progress_bar("exporting", total) as steps:
            for written in export_records(store, span, form, file):
                count += written
                if output != "-":
                    steps.advance(written)
    finally:
        store.close()
    return count


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with whole_file(Path(output)) as file:
        yield file
