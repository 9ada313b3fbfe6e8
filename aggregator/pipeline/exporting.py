"""The records of all events in a file, for programs that read no database: JSON Lines or Parquet."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from aggregator.publish import event_json, event_values
from aggregator.store import Store
from aggregator.store.reads import records_in
from aggregator.types import EventRecord, Span

PART = 500
"""Events read at a time: some 3 MB with their texts."""

ROWS_OF_GROUP = 5_000
"""Events of one row group of Parquet: readers skip and share out whole groups."""


class ExportError(Exception):
    """The file can't be made; the text says why and what to do."""


class Form(StrEnum):
    """How records are written: one JSON object a line, or the columns of Apache Parquet."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def export_records(store: Store, span: Span, form: Form, output: BinaryIO) -> Iterator[int]:
    """Writes the records of the events that grew last in `span`, and gives the number of each part written.

    All are of one moment, ordered by when they grew last; merged events are left out. Memory is that of one
    part, or of one row group. Raises ExportError if Parquet can't be written here.
    """
    write = _parquet_lines if form is Form.PARQUET else _json_lines
    with store.read() as db:
        yield from write(records_in(db, span, PART), output)


def _json_lines(parts: Iterator[list[EventRecord]], output: BinaryIO) -> Iterator[int]:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for part in parts:
        output.write("".join(f"{encode(event_json(record))}\n" for record in part).encode())
        yield len(part)


def _parquet_lines(parts: Iterator[list[EventRecord]], output: BinaryIO) -> Iterator[int]:
    pa, parquet = _arrow()
    schema = _schema(pa)
    with parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        batches: list[Any] = []
        for part in parts:
            rows = [event_values(record) for record in part]
            batches.append(pa.RecordBatch.from_pylist(rows, schema=schema))
            if sum(batch.num_rows for batch in batches) >= ROWS_OF_GROUP:
                writer.write_table(pa.Table.from_batches(batches))
                batches = []
            yield len(part)
        if batches:
            writer.write_table(pa.Table.from_batches(batches))


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra: 150 MB that most installations do without)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise ExportError(
            "Parquet needs the extra [parquet]: pip install 'news-event-aggregator[parquet]' (in a checkout: "
            "pip install '.[parquet]'), or write --format jsonl"
        ) from None
    return pa, parquet


def _schema(pa: Any) -> Any:
    """The columns of an EventRecord; what is never NULL is said to be so."""
    number, text, at = pa.int64(), pa.string(), pa.timestamp("us", tz="UTC")

    def always(name: str, kind: Any) -> Any:
        return pa.field(name, kind, nullable=False)

    entry = pa.struct(
        [
            always("entry_id", number),
            always("relation", text),
            pa.field("score", pa.float64()),
            *(always(name, text) for name in ("feed_url", "source", "guid", "title", "url")),
            always("published_at", at),
        ]
    )
    teaser = pa.struct(
        [
            *(always(name, text) for name in ("kind", "text", "full_text", "title", "url", "source")),
            pa.field("published_at", at),
            pa.field("entry_id", number),
            pa.field("related_event_id", number),
        ]
    )
    return pa.schema(
        [
            always("id", number),
            *(always(name, text) for name in ("title", "url", "source", "summary", "text", "lang")),
            pa.field("published_at", at),
            always("first_seen_at", at),
            always("last_seen_at", at),
            always("entry_count", number),
            always("source_count", number),
            pa.field("canonical_entry_id", number),
            pa.field("merged_into", number),
            always("entries", pa.list_(pa.field("element", entry, nullable=False))),
            always("teasers", pa.list_(pa.field("element", teaser, nullable=False))),
        ]
    )


@contextmanager
def whole_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file that takes the place of the one at `path` when all is written, or not at all.

    Its mode is `mode` less the process's umask. What is no regular file (a pipe, a device) is written to as it is.
    Raises OSError as writing does.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as straight:
            yield straight
        return
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
