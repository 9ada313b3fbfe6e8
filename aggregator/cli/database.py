"""The commands about the database itself: prune, backup, check, vacuum, upgrade."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from aggregator.cli.screen import print_json, print_table
from aggregator.config import Settings
from aggregator.pipeline.clock import utc_now
from aggregator.store import Store, find_store, open_store
from aggregator.store.analysing import analyse_grown
from aggregator.store.dialect import hold_role
from aggregator.store.office import Office
from aggregator.store.schema import HEAD
from aggregator.store.space import space

FAULTY = 3
"""Exit status of `db check` when something does not fit."""

GROUPED = (
    "aggregator: another process groups the entries of this database: {what}, or stop it to do so from here\n"
)


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    store = find_store(settings.database)
    try:
        yield store
    finally:
        store.close()


def prune(settings: Settings, arguments: argparse.Namespace) -> int:
    """Removes what is older than KEEP_DAYS, or only says how much that is."""
    from aggregator.cli.passes import prune_all  # noqa: PLC0415 (half a second)
    from aggregator.pipeline.pruning import Pruner, count_old  # noqa: PLC0415

    with _opened(settings) as store:
        if arguments.dry_run:
            found = count_old(store, settings, utc_now())
        else:
            with Office(store, "cluster") as office:
                elected = office.seek()
                if elected is None:
                    sys.stderr.write(GROUPED.format(what="it removes what is old by itself, once a day"))
                    return 1
                found = prune_all(Pruner(elected, settings, utc_now))
            analyse_grown(store.engine)
    if arguments.json:
        print_json({"dry_run": arguments.dry_run, **asdict(found)})
        return 0
    would = "would be" if arguments.dry_run else "were"
    sys.stdout.write(f"{found.entries:,} entries in {found.events:,} events {would} removed.\n")
    if not settings.keep_days:
        sys.stdout.write("Everything is kept: KEEP_DAYS is 0, unless a feed has a rule of its own.\n")
    return 0


def backup(settings: Settings, arguments: argparse.Namespace) -> int:
    """Copies the database to a new file while it may be in use, and verifies the copy."""
    from aggregator.store.backup import back_up  # noqa: PLC0415

    with _opened(settings) as store:
        made = back_up(store.engine, Path(arguments.file))
    if arguments.json:
        print_json({"file": str(made.path), "bytes": made.size, "rows": made.rows})
        return 0
    rows = f", {made.rows['entry']:,} entries, {made.rows['event']:,} events" if made.rows else ""
    sys.stdout.write(f"{made.path}: {made.size:,} bytes{rows}; verified.\n")
    return 0


def check(settings: Settings, arguments: argparse.Namespace) -> int:
    """Looks for what does not fit together; with --repair makes anew what can be made from the entries."""
    from aggregator.pipeline.checking import find_faults, repair  # noqa: PLC0415 (half a second)

    with _opened(settings) as store:
        found = find_faults(store)
        if arguments.repair and any(fault.can_repair for faults in found.values() for fault in faults):
            with Office(store, "cluster") as office:
                elected = office.seek()
                if elected is None:
                    sys.stderr.write(GROUPED.format(what="repair nothing beside it"))
                    return 1
                repair(elected, [fault for faults in found.values() for fault in faults], utc_now())
            from aggregator.cli.passes import cluster_once  # noqa: PLC0415

            cluster_once(store, settings)
            found = find_faults(store)
    faults = [fault for faults in found.values() for fault in faults]
    if arguments.json:
        print_json({"checked": list(found), "faults": [asdict(fault) for fault in faults]})
    elif not faults:
        sys.stdout.write(f"Nothing is wrong: {', '.join(found)}.\n")
    else:
        rows = [
            (
                fault.check,
                fault.count,
                fault.example,
                "--repair mends it" if fault.can_repair else "restore a backup",
            )
            for fault in faults
        ]
        print_table(("what is wrong", "how many#", "for example", "what to do"), rows)
        if any(not fault.can_repair for fault in faults):
            sys.stdout.write("What can't be repaired: stop the program, restore a backup (docs/upkeep.md).\n")
    return FAULTY if faults else 0


def vacuum(settings: Settings, arguments: argparse.Namespace) -> int:
    """Gives the room of what was removed back to the disk; an SQLite file is written anew once."""
    from aggregator.store.space import rewrite  # noqa: PLC0415

    with _opened(settings) as store:
        before = _space(store)
        if store.engine.dialect.name == "sqlite":
            with ExitStack() as stack:
                if not all(
                    stack.enter_context(hold_role(store.engine, role)) for role in ("poll", "cluster")
                ):
                    sys.stderr.write("aggregator: the daemon uses this database: stop it for as long\n")
                    return 1
                rewrite(store.engine)
        after = _space(store)
    if arguments.json:
        print_json({"bytes_before": before, "bytes_after": after})
        return 0
    if store.engine.dialect.name == "sqlite":
        sys.stdout.write(f"{before:,} bytes became {after:,}; the file shrinks by itself from now on.\n")
    else:
        sys.stdout.write("PostgreSQL reuses the room by itself (autovacuum); nothing was done.\n")
    return 0


def upgrade(settings: Settings, arguments: argparse.Namespace) -> int:
    """Brings the database to this program's schema, as every command does, or makes one."""
    open_store(settings.database).close()
    if arguments.json:
        print_json({"schema": HEAD})
    else:
        sys.stdout.write(f"The database has schema {HEAD}, the newest that this program knows.\n")
    return 0


def _space(store: Store) -> int:
    with store.read() as db:
        return space(db).total
