"""A backup of PostgreSQL is made and brought back by the commands in the documents, and life goes on from it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from aggregator.pipeline.checking import find_faults
from aggregator.store import StoreError, open_store
from aggregator.store.backup import back_up
from aggregator.store.checking import VIEWS
from aggregator.store.dialect import open_engine
from tests.databases import Server
from tests.documents import block_with
from tests.loopback import LoopbackServer
from tests.program import Program
from tests.servers import path_with_clients
from tests.stage import item, ok, rss

pytestmark = pytest.mark.postgresql("a backup of SQLite is a file like the one it was made of")

NAME = "restored"
"""Of the new database; the documents call it `news`."""


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's client programs are on PATH."""
    monkeypatch.setenv("PATH", path_with_clients(os.environ["PATH"]))


@pytest.fixture
def fresh(postgresql: Server) -> Iterator[str]:
    """The URL of a database that is not there yet."""
    url = make_url(postgresql.uri).set(database=NAME).render_as_string(hide_password=False)
    yield url
    postgresql.drop(url)


def _documented(backup: Path) -> str:
    """The commands in docs/upkeep.md that restore a backup."""
    commands = block_with("pg_restore", "console")
    return re.sub(r"\bnews\b", NAME, commands).replace("FILE", str(backup))


def _variables(url: str) -> dict[str, str]:
    """Where the client programs find the server."""
    with psycopg.connect(url) as db:
        return {"PGHOST": db.info.host, "PGPORT": str(db.info.port), "PGUSER": db.info.user}


def _shown(program: Program) -> dict[str, list[tuple[Any, ...]]]:
    return {view: sorted(program.query(f"SELECT * FROM {view}"), key=repr) for view in VIEWS}


@pytest.mark.usefixtures("clients")
def test_a_restored_database_shows_what_it_did_and_is_polled_on(
    program: Program, loopback: LoopbackServer, fresh: str
) -> None:
    items = [item(name) for name in ("one", "two", "three")]
    loopback.on("/feed", ok(rss(*items[:2])))
    outline = f'<outline xmlUrl="{loopback.url("/feed")}"/>'
    (program.folder / "feeds.opml").write_text(f'<opml version="2.0"><body>{outline}</body></opml>')
    program.run("poll")
    assert "verified" in program.run("db", "backup", "news.dump").stdout
    assert (program.folder / "news.dump").stat().st_mode & 0o777 == 0o600
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _documented(program.folder / "news.dump")],
        env=os.environ | _variables(program.database),
        check=True,
    )
    restored = Program(program.folder, fresh)
    assert _shown(restored) == _shown(program)
    assert "Nothing is wrong" in restored.run("db", "check").stdout
    loopback.on("/feed", ok(rss(*items)))
    restored.run("poll", "--all")
    assert sorted(restored.query("SELECT id, guid FROM v1_entry"))[:2] == program.query(
        "SELECT id, guid FROM v1_entry ORDER BY id"
    )
    names = restored.query("SELECT guid FROM v1_entry ORDER BY guid")
    assert names == [("guid-one",), ("guid-three",), ("guid-two",)]
    store = open_store(fresh)
    assert not any(find_faults(store).values())
    store.close()


@pytest.mark.usefixtures("clients")
def test_a_backup_that_fails_leaves_no_file_and_says_why(program: Program) -> None:
    url = make_url(program.database).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(StoreError, match="nowhere"):
        back_up(open_engine(url), program.folder / "news.dump")
    assert not list(program.folder.glob("news.dump*"))
