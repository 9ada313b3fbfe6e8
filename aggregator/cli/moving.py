"""The command `db move`: a whole SQLite database into PostgreSQL, verified."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aggregator.cli.screen import print_json, print_table, progress_bar
from aggregator.config import Settings

if TYPE_CHECKING:
    from aggregator.store.moving import Compared

DIFFERS = """\
aggregator: the tables marked above are not the same on both sides: {url} is not ready, and no program opens it.
Another program wrote into one of them. Stop it, then run the command with --restart: it empties the target and
begins anew.
"""

DONE = """\
{rows:,} rows are the same on both sides. {source} was not changed; keep it until you trust the new one.
Next: set AGGREGATOR_DATABASE={url} (with its password) wherever this program runs, and start it.
"""


def move(settings: Settings, arguments: argparse.Namespace) -> int:
    """Copies every row into the target and compares both sides; if they are the same, the target may be used."""
    from aggregator.store.moving import open_move, shown  # noqa: PLC0415 (only this command needs it)

    compared: list[Compared] = []
    with open_move(settings.database, arguments.target, anew=arguments.restart) as moving:
        with progress_bar("copying rows", moving.total) as bar:
            for count in moving.copy():
                bar.advance(count)
        with progress_bar("making indexes", moving.left) as bar:
            for count in moving.finish():
                bar.advance(count)
        with progress_bar("comparing both sides", 2 * moving.total) as bar:
            for count in moving.verify(compared):
                bar.advance(count)
        mended = moving.mended
        is_same = all(table.is_same for table in compared)
        if is_same:
            moving.declare()
    if arguments.json:
        print_json(
            {
                "target": shown(arguments.target),
                "verified": is_same,
                "tables": [_as_json(table) for table in compared],
                "mended": dict(sorted(mended.items())),
            }
        )
        return 0 if is_same else 1
    _print(compared)
    for name, count in sorted(mended.items()):
        sys.stdout.write(
            f"{name}: PostgreSQL can't keep {count:,} values; they were mended: U+FFFD in the place of NUL and "
            "of what is no UTF-8, the nearest number that fits.\n"
        )
    if not is_same:
        sys.stdout.flush()
        sys.stderr.write(DIFFERS.format(url=shown(arguments.target)))
        return 1
    rows = sum(table.source.rows for table in compared)
    sys.stdout.write(DONE.format(rows=rows, source=settings.database, url=shown(arguments.target)))
    return 0


def _print(compared: Sequence[Compared]) -> None:
    print_table(
        ("table", "rows#", "rows moved#", "checksum", "checksum of the target", ""),
        [
            (
                one.table,
                f"{one.source.rows:,}",
                f"{one.target.rows:,}",
                one.source.checksum,
                one.target.checksum,
                "same" if one.is_same else "DIFFERS",
            )
            for one in compared
        ],
    )


def _as_json(one: Compared) -> dict[str, object]:
    return {
        "table": one.table,
        "rows": one.source.rows,
        "rows_moved": one.target.rows,
        "checksum": one.source.checksum,
        "checksum_of_target": one.target.checksum,
        "same": one.is_same,
    }
