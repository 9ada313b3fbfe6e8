"""What a person sees: tables, progress bars and ages, on a terminal or in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

GROUPED_ELSEWHERE = "The entries will be grouped by the process that groups for this database."

PIPE_WIDTH = 160
"""Columns of a table that is not shown on a terminal."""


def console() -> Console:
    """Standard output: as wide as the terminal, or PIPE_WIDTH in a pipe."""
    from rich.console import Console  # noqa: PLC0415 (the library takes 25 ms: not before something is shown)

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Lets the caller know; the library's own way is to end the program as failed."""
            raise BrokenPipeError

    return Output(highlight=False) if sys.stdout.isatty() else Output(highlight=False, width=PIPE_WIDTH)


def print_json(value: Any) -> None:
    """The value as one indented JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table on standard output; columns whose name ends in "#" are numbers."""
    from rich.table import Table  # noqa: PLC0415 (see console)
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        number = column.endswith("#")
        table.add_column(column.rstrip("#"), justify="right" if number else "left", no_wrap=number)
    for row in rows:
        # Text and not str: brackets in a headline are no markup.
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)


class Steps:
    """A progress bar under way, or nothing where no terminal shows it."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress = progress
        self._task = task

    def advance(self, count: int = 1) -> None:
        """So many steps are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, count)


@contextmanager
def progress_bar(what: str, total: int | None, *, is_bytes: bool = False) -> Iterator[Steps]:
    """A progress bar on standard error while work goes on, if that is a terminal; steps are bytes if so said.

    It shows how many steps are done in a second, and how long the others will take if `total` is known.
    """
    if not sys.stderr.isatty():
        yield Steps()
        return
    from rich.console import Console  # noqa: PLC0415 (see console)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")

    count, rate = (DownloadColumn(), TransferSpeedColumn()) if is_bytes else (MofNCompleteColumn(), Rate())
    columns = (TextColumn("{task.description}"), BarColumn(), count, rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Steps(progress, progress.add_task(what, total=total))


def age(then: datetime | None, now: datetime) -> str:
    """How long ago, in the largest fitting unit: "5 min", "3 h", "12 d"."""
    if then is None:
        return "-"
    seconds = int((now - then).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "now"
