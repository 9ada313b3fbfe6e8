"""Events in files: every record once, of one moment, by time, in whole files or none."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from aggregator.pipeline import exporting
from aggregator.pipeline.exporting import Form, export_records, whole_file
from aggregator.publish import event_json
from aggregator.store import Store
from aggregator.store.events import add_changes
from aggregator.store.reads import count_records, event_record
from aggregator.types import EventId, EventRecord, Span
from tests.pages import ENTRIES, bring
from tests.program import Program, command, write_jsonl

ONE = {"id": "a", "title": "Veldmark lights its lamp again", "text": "The lamp was lit at dusk."}


@pytest.fixture
def store(store: Store) -> Store:
    """A store with events."""
    bring(store, ENTRIES)
    return store


def _records(store: Store) -> list[EventRecord]:
    """The living events, those that grew longest ago first."""
    with store.read() as db:
        rows = db.exec_driver_sql(
            "SELECT id FROM v1_event WHERE merged_into IS NULL ORDER BY last_seen_at, id"
        ).all()
        found = [event_record(db, EventId(row.id)) for row in rows]
    return [record for record in found if record is not None]


def _lines(store: Store, span: Span = Span()) -> list[Any]:  # noqa: B008 (immutable)
    output = BytesIO()
    count = sum(export_records(store, span, Form.JSONL, output))
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert count == len(lines)
    return lines


def _spread(store: Store) -> list[datetime]:
    """Puts a day between the times at which the events grew; these times."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    times = []
    with store.write() as db:
        for place, record in enumerate(_records(store)):
            at = start + timedelta(days=place)
            shown = at.strftime("%Y-%m-%d %H:%M:%S.%f") + ("" if db.dialect.name == "sqlite" else "+00")
            db.exec_driver_sql(f"UPDATE event SET last_seen_at = '{shown}' WHERE id = {record.id}")
            times.append(at)
    return times


def test_every_record_is_a_line_as_the_program_shows_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [json.loads(json.dumps(event_json(record))) for record in _records(store)]
    assert len(expected) > 3
    assert any(record["teasers"] for record in expected)
    assert _lines(store) == expected
    monkeypatch.setattr(exporting, "PART", 1)
    assert _lines(store) == expected


def test_parquet_holds_what_json_lines_hold(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PART", 2)
    monkeypatch.setattr(exporting, "ROWS_OF_GROUP", 2)
    output = BytesIO()
    total = sum(export_records(store, Span(), Form.PARQUET, output))
    file = parquet.ParquetFile(BytesIO(output.getvalue()))
    assert file.metadata.num_row_groups == (total + 1) // 2
    table = file.read()
    assert str(table.schema.field("last_seen_at").type) == "timestamp[us, tz=UTC]"
    found = [json.loads(json.dumps(row, default=_rfc3339)) for row in table.to_pylist()]
    assert found == _lines(store)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def test_an_empty_database_makes_a_file_with_all_columns(tmp_path: Path, program: Program) -> None:
    program.run("events", "export", "--output", tmp_path / "none.parquet")
    table = parquet.read_table(tmp_path / "none.parquet")
    assert table.num_rows == 0
    assert {"id", "title", "text", "entries", "teasers"} <= set(table.column_names)


def test_since_is_included_and_until_is_not(store: Store) -> None:
    times = _spread(store)
    span = Span(times[1], times[3])
    assert [line["last_seen_at"] for line in _lines(store, span)] == [_rfc3339(at) for at in times[1:3]]
    with store.read() as db:
        assert count_records(db, span) == 2
    assert len(_lines(store, Span(since=times[1]))) == len(times) - 1
    assert len(_lines(store, Span(until=times[1]))) == 1


def test_an_event_that_grows_meanwhile_is_written_once_and_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = _spread(store)
    monkeypatch.setattr(exporting, "PART", 1)
    before, output = _records(store), BytesIO()
    parts = export_records(store, Span(), Form.JSONL, output)
    next(parts)
    late = times[-1] + timedelta(days=1)
    with store.write() as db:
        shown = late.strftime("%Y-%m-%d %H:%M:%S.%f") + ("" if db.dialect.name == "sqlite" else "+00")
        db.exec_driver_sql(f"UPDATE event SET last_seen_at = '{shown}' WHERE id = {before[0].id}")
        add_changes(db, [], late)
    assert sum(parts) == len(before) - 1
    ids = [json.loads(line)["id"] for line in output.getvalue().splitlines()]
    assert ids == [record.id for record in before]


def test_merged_events_are_left_out(tmp_path: Path, program: Program) -> None:
    lines = [ONE, ONE | {"id": "b", "title": "Bees are back in town", "text": "They came on Monday."}]
    program.run("import", write_jsonl(tmp_path / "in.jsonl", lines))
    program.run("event", "merge", "1", "2")
    done = program.run("events", "export")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1]
    assert program.query("SELECT count(*) FROM v1_event") == [(2,)]


def test_a_file_takes_the_place_of_the_old_one_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(file) as output:  # noqa: PT012 (half of it is written)
        output.write(b"new")
        output.flush()
        raise ZeroDivisionError
    assert file.read_text() == "old"
    with whole_file(file) as output:
        output.write(b"new")
        output.flush()
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_followed_and_a_device_is_no_file_to_replace(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    for place in (link, Path("/dev/null")):
        with whole_file(place) as output:
            output.write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert Path("/dev/null").is_char_device()


@pytest.mark.sqlite("nothing is kept")
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--format", "parquet"), 1, "name a file with --output"),
        (("--since", "tomorrow"), 2, "is no date"),
        (("--output", "/no/such/folder/x.jsonl"), 1, "/no/such/folder/x.jsonl: can't be written"),
    ],
)
def test_a_fault_is_one_message(program: Program, arguments: tuple[str, ...], status: int, says: str) -> None:
    assert says in program.run("events", "export", *arguments, status=status).stderr


@pytest.mark.sqlite("nothing is kept")
def test_without_the_library_parquet_says_how_to_get_it(tmp_path: Path, program: Program) -> None:
    hidden = "import sys; sys.modules['pyarrow'] = None; from aggregator.cli import main; sys.exit(main())"
    arguments = ["events", "export", "--output", str(tmp_path / "x.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", hidden, *arguments],
        env=program.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install '.[parquet]'" in done.stderr
    assert not list(tmp_path.glob("*x.parquet*"))


def test_the_word_export_can_still_be_looked_for(tmp_path: Path, program: Program) -> None:
    program.run("import", write_jsonl(tmp_path / "in.jsonl", [ONE | {"title": "Lamp export halted"}]))
    assert "Lamp export halted" in program.run("events", "--", "export").stdout


def test_a_terminal_shows_progress_while_a_file_is_written(tmp_path: Path, program: Program) -> None:
    program.run("import", write_jsonl(tmp_path / "in.jsonl", [ONE]))
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command("events", "export", "--output", "out.jsonl"),
        cwd=tmp_path,
        env=program.environment(),
        stderr=theirs,
        check=True,
    )
    os.close(theirs)
    screen = os.read(ours, 65536)
    os.close(ours)
    assert done.returncode == 0
    assert b"exporting" in screen
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1
