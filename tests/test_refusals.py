"""What the operator can mend is told in a sentence; a fault in the program looks like one, in the log too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Select, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from aggregator.pipeline.outage import Outage
from aggregator.store import Store, StoreError, UnreachableError, open_store
from aggregator.store.columns import Records
from aggregator.store.dialect import plain_rows
from aggregator.timers import Timers
from tests.databases import change, sqlite_file, sqlite_url

WRONG = (
    "SELECT no_such_column FROM feed",
    "SELECT 1 FROM no_such_table",
    "SELEC 1",
    "SELECT no_such_function(1)",
    "INSERT INTO feed (id) VALUES (NULL, NULL)",
)


@pytest.mark.parametrize("statement", WRONG)
def test_a_wrong_statement_on_a_healthy_database_is_a_fault_in_the_program(
    store: Store, statement: str
) -> None:
    with pytest.raises((DBAPIError, store.engine.dialect.loaded_dbapi.Error)), store.read() as db:
        db.exec_driver_sql(statement)
    with pytest.raises((DBAPIError, store.engine.dialect.loaded_dbapi.Error)), store.write() as db:
        db.exec_driver_sql(statement)
    with store.read() as db:
        assert db.exec_driver_sql("SELECT 1").scalar() == 1


def test_so_is_one_whose_rows_are_read_plainly(store: Store) -> None:
    driver_errors = (DBAPIError, store.engine.dialect.loaded_dbapi.Error)
    query: Select[Any] = select(literal_column("no_such_column"))
    with pytest.raises(driver_errors), store.read() as db:
        plain_rows(db, query)
    with pytest.raises(driver_errors), store.read() as db:
        Records(db.dialect.name, query, np.dtype([("number", "<i8")])).read(db, {})


@pytest.mark.postgresql("SQLite lets a transaction go on after a statement that failed")
def test_going_on_after_a_failed_statement_is_a_fault_in_the_program(store: Store) -> None:
    with pytest.raises(DBAPIError, match="aborted"), store.read() as db:  # noqa: PT012
        with pytest.raises(DBAPIError):
            db.exec_driver_sql("SELEC 1")
        db.exec_driver_sql("SELECT 1")


@pytest.mark.postgresql("SQLite's users are those of the file")
def test_missing_rights_are_told_with_what_to_do(database: str, store: Store) -> None:
    user = f"reader_{os.getpid()}"
    change(database, f"CREATE ROLE {user}")
    with pytest.raises(StoreError, match=r"permission denied.*GRANT") as refused, store.read() as db:  # noqa: PT012
        db.exec_driver_sql(f"SET LOCAL ROLE {user}")
        db.exec_driver_sql("SELECT count(*) FROM feed")
    assert not isinstance(refused.value, UnreachableError)
    change(database, f"DROP ROLE {user}")


@pytest.mark.postgresql("SQLite has no standby")
def test_a_server_that_may_only_be_read_is_told_with_what_to_do(store: Store) -> None:
    with pytest.raises(StoreError, match="name the one that takes writes"), store.write() as db:  # noqa: PT012
        db.exec_driver_sql("SET TRANSACTION READ ONLY")
        db.exec_driver_sql("DELETE FROM feed")


@pytest.mark.postgresql("SQLite has no server that could end a session")
def test_a_session_that_ends_meanwhile_is_an_outage(store: Store) -> None:
    with pytest.raises(UnreachableError), store.read() as db:
        db.execute(select(func.pg_terminate_backend(func.pg_backend_pid())))


def test_a_daemon_logs_a_wrong_statement_as_a_bug_with_where_it_stands(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def job() -> None:
        with store.read() as db:
            db.exec_driver_sql("SELECT no_such_column FROM feed")

    assert not Timers(Outage(store)).run(job)
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.exc_info is not None


@pytest.mark.sqlite("a file can be spoilt")
def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "news.db")
    open_store(url).close()
    file = sqlite_file(url)
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="restore a backup"):
        _read_all(url)


def _read_all(url: str) -> None:
    store = open_store(url)
    try:
        with store.read() as db:
            for table in ("feed", "entry", "event"):
                db.execute(text(f"SELECT * FROM {table}")).all()
    finally:
        store.close()
