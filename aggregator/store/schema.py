"""The schema's version: creates it, brings it up to date, refuses one that is newer than the program."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect
from sqlalchemy.engine import Connection

from aggregator.store.dialect import StoreError, lock_schema, refusals_told, sqlite_path

HEAD = "0024"
"""The newest revision in migrations/versions; named here so that an ordinary start need not load alembic."""

MOVING = "moving"
"""The revision of a database that `db move` has not finished: no program opens it meanwhile, older ones neither."""


def upgrade(engine: Engine) -> None:
    """The database at the newest schema, brought there in one transaction by one process at a time.

    Raises StoreError if the file is no database, can't be opened, or was written by a newer program.
    """
    with refusals_told(engine.url):
        with engine.connect() as connection:
            found = revision(connection)
        if found != HEAD:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                lock_schema(connection)
                _run(connection)


def has_schema(engine: Engine) -> bool:
    """Whether this program, of whatever version, has a database there; none is made by asking."""
    if engine.dialect.name == "sqlite":
        path = sqlite_path(engine.url)
        if not path.exists() or not path.stat().st_size:
            return False
    with refusals_told(engine.url), engine.connect() as connection:
        return revision(connection) != ""


def revision(connection: Connection) -> str:
    """The database's schema; "" if it has none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")


def _run(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 (half a second and 30 MB that only an upgrade needs)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision(connection)
    if found == MOVING:
        raise StoreError(
            "`db move` into this database is not finished: run it again with the database it came from, "
            "it goes on where it was"
        )
    if found and found not in known:
        raise StoreError(
            f"the database has schema {found}, this program knows up to {HEAD}: "
            "a newer version wrote it; install that version or use another database"
        )
    command.upgrade(config, "head")
