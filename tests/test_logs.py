"""Log lines: what people read at a terminal, what programs read elsewhere."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import LogFormat
from aggregator.logs import formatter
from tests.program import Program, command

AT = datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=UTC)


def _record(message: str, *arguments: object, error: BaseException | None = None, **extra: object) -> Any:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("aggregator.daemon", logging.WARNING, "x.py", 1, message, arguments, info)
    record.created, record.msecs = AT.timestamp(), 250.0
    vars(record).update(extra)
    return record


def _json(record: Any) -> Any:
    line = formatter("json", io.StringIO()).format(record)
    assert "\n" not in line
    return json.loads(line)


def test_a_line_of_json_has_time_level_logger_message_and_fields() -> None:
    found = _json(_record("%s: failed", "Le Phare\n", feed_id=7, seconds=0.25, color_message="\x1b[1m"))
    assert found == {
        "time": "2026-11-23T12:30:15.250Z",
        "level": "WARNING",
        "logger": "aggregator.daemon",
        "message": "Le Phare\n: failed",
        "feed_id": 7,
        "seconds": 0.25,
    }


def test_an_exception_is_a_field() -> None:
    error = ZeroDivisionError("too small")
    found = _json(_record("a bug", error=error, place=Path("/tmp")))
    assert found["message"] == "a bug"
    assert found["exception"].endswith("ZeroDivisionError: too small")
    assert found["place"] == "/tmp"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("form", "stream", "is_text"),
    [
        ("auto", _Terminal(), True),
        ("auto", io.StringIO(), False),
        ("text", io.StringIO(), True),
        ("json", _Terminal(), False),
    ],
)
def test_text_is_for_terminals_unless_said_otherwise(
    form: LogFormat, stream: io.StringIO, *, is_text: bool
) -> None:
    line = formatter(form, stream).format(_record("hello", feed_id=7))
    assert (line == "2026-11-23T12:30:15.250Z WARNING hello") is is_text


@pytest.mark.sqlite("nothing is kept")
def test_all_that_a_command_logs_is_json_in_a_pipe_and_text_on_a_terminal(
    tmp_path: Path, program: Program
) -> None:
    (tmp_path / "feeds.opml").write_text('<opml version="2.0"><head/><body></body></opml>')
    slip = {"AGGREGATOR_INTERVALL": "5"}
    done = program.run("events", extra=slip)
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert "did you mean AGGREGATOR_INTERVAL" in line["message"]
    assert program.run("events", "--log-format", "TEXT", extra=slip).stderr.count("WARNING AGGREGATOR_") == 1
    ours, theirs = pty.openpty()
    subprocess.run(
        command("events"),
        cwd=tmp_path,
        env=program.environment() | slip,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING AGGREGATOR_INTERVALL is no setting", shown
    )
