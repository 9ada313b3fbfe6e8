"""Log lines: text for people at a terminal, one JSON object a line for programs; times in UTC."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from aggregator.config import LogFormat, Settings

CHATTY = ("httpx", "httpcore", "alembic", "apscheduler")
"""Libraries whose ordinary doings are no news."""

TEXT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s"
TEXT_TIME = "%Y-%m-%dT%H:%M:%S"

KNOWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}
"""Attributes of every record, and uvicorn's message for terminals; what else one has was given as `extra`."""


class JsonFormatter(logging.Formatter):
    """Each record as one line of JSON: `time`, `level`, `logger`, `message`, then what the code gave as `extra`.

    `exception` has the traceback of a record that comes with one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in KNOWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def formatter(form: LogFormat, stream: TextIO) -> logging.Formatter:
    """How lines are written to a stream; `auto` is text on a terminal and JSON elsewhere."""
    if form == "json" or (form == "auto" and not stream.isatty()):
        return JsonFormatter()
    text = logging.Formatter(TEXT, TEXT_TIME)
    text.converter = time.gmtime
    return text


def log_to_stderr(settings: Settings) -> None:
    """All log lines, and Python's warnings, go to standard error from now on.

    Once only: a program that has set up its logging keeps it.
    """
    root = logging.getLogger()
    if not root.handlers:
        output = logging.StreamHandler(sys.stderr)
        output.setFormatter(formatter(settings.log_format, sys.stderr))
        root.addHandler(output)
        root.setLevel(settings.log_level)
        logging.captureWarnings(capture=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
