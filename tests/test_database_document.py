"""What docs/database.md shows is there; all documents' SQL and Python works on a database of sample feeds."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import inspect

from aggregator.demo import DemoServer, sample_feeds
from aggregator.publish import signed_headers
from aggregator.store import Store, open_store
from aggregator.store.events import add_changes, create_events
from aggregator.store.listing import latest_cursor
from aggregator.types import ChangeKind
from tests.databases import Databases, sqlite_file
from tests.documents import block_with, blocks
from tests.program import ROOT, Program

DOCUMENT = (ROOT / "docs/database.md").read_text()
DIAGRAMS = "\n".join(block.body for block in blocks("text") if "──" in block.body)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OURS = re.compile(r"(?!alembic_version|entry_words|entry_identity|sqlite_|\w+_(\d+_\d+|rest)$).*")
KINDS = {
    "integer": ("INTEGER", "BIGINT"),
    "text": ("TEXT",),
    "real": ("FLOAT", "DOUBLE PRECISION", "REAL"),
    "boolean": ("BOOLEAN",),
    "time": ("DATETIME", "TIMESTAMP"),
    "bytes": ("BLOB", "BYTEA"),
}
"""What a type of the diagram is called by a database."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def sampled(shared_databases: Databases, folder: Path) -> str:
    """A database of the sample feeds, under the name that the examples use if it is a file."""
    program = Program(folder, shared_databases.new(folder / "aggregator.db"))
    with DemoServer(sample_feeds(datetime.now(UTC))) as feeds:
        (folder / "feeds.opml").write_bytes(feeds.opml())
        program.run("poll")
    return program.database


@pytest.fixture(scope="module")
def store(sampled: str) -> Iterator[Store]:
    """The sample feeds."""
    opened = open_store(sampled)
    yield opened
    opened.close()


def _entities() -> dict[str, dict[str, tuple[str, str]]]:
    """The columns of each table and view in the diagrams: their type, and which keys they are."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for name, body in re.findall(r"^(\w+)\n((?:    .*\n)+)", DIAGRAMS, re.MULTILINE):
        columns = [column.split(maxsplit=2) for column in " ".join(body.split()).split(", ")]
        found[name] = {column[0]: (column[1], "".join(column[2:])) for column in columns}
    return found


def test_the_diagrams_have_every_table_and_view_with_its_columns(store: Store) -> None:
    database = inspect(store.engine)
    real = {
        name: {column["name"]: str(column["type"]).split("(")[0] for column in database.get_columns(name)}
        for name in (*database.get_table_names(), *database.get_view_names())
        if OURS.fullmatch(name)
    }
    drawn = _entities()
    assert {name: set(columns) for name, columns in drawn.items()} == {
        name: set(columns) for name, columns in real.items()
    }
    for name in database.get_view_names():
        assert list(drawn[name]) == list(real[name])
    for name in database.get_table_names():
        for column, (kind, keys) in drawn.get(name, {}).items():
            assert real[name][column] in KINDS[kind], f"{name}.{column}"
            is_primary = column in database.get_pk_constraint(name)["constrained_columns"]
            # On PostgreSQL the key of a partitioned table holds what it is cut by.
            is_primary &= (name, column) != ("entry_version", "entry_id")
            assert ("PK" in keys) == is_primary, f"{name}.{column}"


NO_KEYS = {
    "entry": ("event", {"event_id"}),
    "link": ("entry", {"a", "b"}),
    "decision": ("entry", {"entry_id"}),
    "teaser": ("entry", {"entry_id"}),
}
"""What is a foreign key on SQLite alone: see Partitions in the document."""


def test_the_diagrams_have_every_foreign_key(store: Store) -> None:
    database = inspect(store.engine)
    drawn = _entities()
    lines = set(re.findall(r"^(\w+) +──[<o] (\w+)", DIAGRAMS, re.MULTILINE))
    real = set()
    for name in filter(OURS.fullmatch, database.get_table_names()):
        keys = [key for key in database.get_foreign_keys(name) if OURS.fullmatch(key["referred_table"])]
        real |= {(str(key["referred_table"]), name) for key in keys}
        columns = {column for key in keys for column in key["constrained_columns"]}
        if store.engine.dialect.name == "postgresql" and name in NO_KEYS:
            real.add((NO_KEYS[name][0], name))
            columns |= NO_KEYS[name][1]
        assert columns == {column for column, (_, marks) in drawn[name].items() if "FK" in marks}, name
    assert {line for line in lines if not line[0].startswith("v1_")} == real


def _statements(sql: str) -> list[str]:
    return [statement.strip() for statement in sql.split(";") if statement.strip()]


@pytest.mark.parametrize(
    "example",
    _statements("".join(block.body for block in blocks("sql"))),
    ids=lambda sql: sql.partition("\n")[0],
)
def test_an_example_in_sql_finds_something_on_each_database(store: Store, example: str) -> None:
    with store.read() as db:
        assert db.exec_driver_sql(example).all()


OF_WORDS = {"sqlite": "MATCH", "postgresql": "@@"}


def test_a_query_within_a_sentence_finds_something(store: Store, kind: str) -> None:
    written = re.findall(r"`(SELECT [^`]+)`", DOCUMENT)
    asked = [sql for sql in written if "entry_words" not in sql or OF_WORDS[kind] in sql]
    assert len(asked) == len(written) - 1
    with store.read() as db:
        for sql in asked:
            assert db.exec_driver_sql(sql).all(), sql


def _run(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(example, "example", "exec"), names)
    return names


@pytest.mark.sqlite("so the examples are written")
@pytest.mark.usefixtures("sampled")
def test_examples_in_python_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for example in blocks("python"):
        names = _run(example.body)
        if "db" in names:
            names["db"].close()
    said = capsys.readouterr().out
    assert "created" in said, "the changes are followed"
    assert "mean" in said, "pandas has a table"


@pytest.mark.postgresql("SQLite has no NOTIFY")
def test_the_follower_of_changes_meets_the_old_ones_and_wakes_up_for_new_ones(database: str) -> None:
    store = open_store(database)
    with store.write() as db:
        (event,) = create_events(db, 1, datetime.now(UTC))
        last = latest_cursor(db)
        add_changes(db, [(event, ChangeKind.CREATED, None)], datetime.now(UTC))
    changes = _run(block_with("def follow", "python"))["follow"](database, last)
    assert next(changes)[1:] == (event, "created", None)

    def write() -> None:
        with store.write() as db:
            add_changes(db, [(event, ChangeKind.UPDATED, None)], datetime.now(UTC))

    later = threading.Timer(0.3, write)
    later.start()
    assert next(changes)[1:] == (event, "updated", None)
    later.join()
    changes.close()
    store.close()


def test_the_receiver_takes_what_we_sign_and_nothing_else() -> None:
    verify = _run(block_with("def verify", "python"))["verify"]
    now = datetime.now(UTC)
    body = b'{"id":"msg_1"}'
    headers = signed_headers(SECRET, "msg_1", body, now)
    at = now.timestamp()
    assert verify(SECRET, headers, body, at) == {"id": "msg_1"}
    twice = headers | {"webhook-signature": f"v1,another {headers['webhook-signature']}"}
    assert verify(SECRET, twice, body, at) == {"id": "msg_1"}
    for wrong in (
        (SECRET, headers, body + b" ", at),
        (SECRET, headers | {"webhook-id": "msg_2"}, body, at),
        (SECRET, headers | {"webhook-signature": "v1,"}, body, at),
        ("whsec_AAAA", headers, body, at),
        (SECRET, headers, body, at + 301),
        (SECRET, headers, body, at - 301),
    ):
        with pytest.raises(ValueError, match=r"too old|not signed"):
            verify(*wrong)


def test_the_receiver_answers_and_tells_each_message_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    receiver = _run(block_with("def verify", "python"))["Receiver"]
    receiver.log_message = lambda *_: None
    body = b'{"id":"msg_1","type":"event.grown","event":{"id":7,"title":"Bridge closed"}}'
    with ThreadingHTTPServer(("127.0.0.1", 0), receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        signed = signed_headers(SECRET, "msg_1", body, datetime.now(UTC))
        answers = [
            httpx.post(url, content=body, headers=headers).status_code for headers in (signed, signed, {})
        ]
        server.shutdown()
    assert answers == [204, 204, 400]
    assert capsys.readouterr().out == "event.grown 7 Bridge closed\n"


@pytest.mark.sqlite("what Datasette shows is SQLite")
def test_datasettes_description_fits_the_database(sampled: str) -> None:
    described = json.loads((ROOT / "docs/datasette.json").read_text())["databases"]["aggregator"]
    with closing(sqlite3.connect(sqlite_file(sampled))) as db:
        real = db.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        for query in described["queries"].values():
            assert db.execute(query["sql"]).fetchall(), query["title"]
    tables = described["tables"]
    assert {name for name, kind in real if kind == "view"} == {n for n in tables if "hidden" not in tables[n]}
    hidden = {name for name, kind in real if kind == "table" and not name.startswith("entry_words_")}
    assert hidden == {name for name in tables if tables[name].get("hidden")}
    assert [query["sql"] for query in described["queries"].values()] == [
        example.partition("\n")[2] for example in _statements(block_with("what the most outlets tell", "sql"))
    ]
